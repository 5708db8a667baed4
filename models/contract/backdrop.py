"""The background of a head in place of the avatar's own."""

from __future__ import annotations

from typing import NamedTuple

from models.contract.images import layered_rows


class Backdrop(NamedTuple):
    """One colour, or nothing. None stands for the avatar's own background."""

    colour: tuple[int, int, int] | None
    """Red, green and blue, 0..255. None for no background: frames contain the coverage of the head,
    see `images.layered_rows`."""


TRANSPARENT = Backdrop(None)


def frame_rows(size: int, backdrop: Backdrop | None) -> int:
    """Return the rows of a frame of video over a backdrop.

    Args:
        size: Rows and columns of the head's image.
        backdrop: None for the avatar's own background.
    """
    return layered_rows(size) if backdrop == TRANSPARENT else size
