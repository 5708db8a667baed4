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


def sizes_up_to(resolution: int, largest: int | None = None) -> tuple[int, ...]:
    """Return the sizes of an avatar's frames, in increasing order.

    Args:
        resolution: The avatar's own, which is one of them unless `largest` is smaller.
        largest: The largest one; None for the resolution.
    """
    limit = largest or resolution
    sizes = {size for size in (*FRAME_SIZES, resolution) if size <= limit}
    return tuple(sorted(sizes)) or (limit,)
