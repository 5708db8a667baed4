"""An avatar at one size, and the sizes that there are."""

from __future__ import annotations

from typing import NamedTuple

FRAME_SIZES = (256, 320, 384, 512, 640, 768)
"""Rows and columns of frames, beside the avatar's own resolution: multiples of `images.STRIDE`.
Few, because only viewers of one size share caches and frames."""


class Rendition(NamedTuple):
    """What caches, crossfades and frames belong to."""

    avatar_id: str
    size: int
    """Rows and columns of its frames: one of `FRAME_SIZES`, or the avatar's resolution."""


def sizes_up_to(resolution: int, largest: int | None = None, smallest: int = 0) -> tuple[int, ...]:
    """Return the sizes of an avatar's frames, in increasing order.

    Args:
        resolution: The avatar's own, which is one of them unless the limits exclude it.
        largest: The largest one; None for the resolution.
        smallest: No size below it, unless all are: then the largest of them.
    """
    limit = largest or resolution
    sizes = sorted({size for size in (*FRAME_SIZES, resolution) if size <= limit}) or [limit]
    return tuple(size for size in sizes if size >= smallest) or (sizes[-1],)
