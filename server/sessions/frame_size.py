"""The size of one viewer's frames, chosen by that of its display."""

from __future__ import annotations

from collections.abc import Sequence

MOST_ENLARGED = 1.1
"""Frames are enlarged at most by this factor where there are larger ones: a tenth is not seen, and
the next smaller size takes three quarters of the time."""


def choose_size(sizes: Sequence[int], own: int, display_px: int) -> int:
    """Return the rows and columns of frames for a display.

    Args:
        sizes: Those that there are, in increasing order.
        own: The avatar's resolution, for displays of unknown size.
        display_px: Rows of the frame on the display, in its own pixels; 0: unknown.
    """
    wanted = display_px / MOST_ENLARGED if display_px else own
    return next((size for size in sizes if size >= wanted), sizes[-1])
