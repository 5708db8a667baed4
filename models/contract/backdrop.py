"""What is behind a head in place of the avatar's own background."""

from __future__ import annotations

from typing import NamedTuple


class Backdrop(NamedTuple):
    """One colour, or nothing. None stands for the avatar's own background."""

    colour: tuple[int, int, int] | None
    """Red, green and blue, 0..255. None for nothing: frames bring the coverage of the head, see
    `images.layered_rows`."""


TRANSPARENT = Backdrop(None)
