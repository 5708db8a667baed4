"""The size of one viewer's frames, chosen by that of its display."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

MOST_ENLARGED = 1.1
"""Frames are enlarged at most by this factor where there are larger ones: a tenth is not seen, and
the next smaller size takes three quarters of the time."""


CHANGE_INTERVAL_S = 3.0
"""Least time between two changes: each one costs a full render, and a key frame."""


def choose_size(
    sizes: Sequence[int], own: int, display_px: int, enlarged: float = MOST_ENLARGED
) -> int:
    """Return the rows and columns of frames for a display.

    Args:
        sizes: Those that there are, in increasing order.
        own: The avatar's resolution, for displays of unknown size.
        display_px: Rows of the frame on the display, in its own pixels; 0: unknown.
        enlarged: Factor by which frames may be enlarged where there are larger ones.
    """
    wanted = display_px / enlarged if display_px else own
    return next((size for size in sizes if size >= wanted), sizes[-1])


class FrameSize:
    """Follows the display of one viewer: not every small change, and not too often.

    Belongs to the event loop.

    Args:
        sizes: Those that there are, in increasing order.
        own: The avatar's resolution.
        display_px: See `choose_size`.
        changed: Called after each change of `size`.
    """

    def __init__(
        self, sizes: Sequence[int], own: int, display_px: int, changed: Callable[[], None]
    ) -> None:
        self.size = choose_size(sizes, own, display_px)
        """Rows and columns that the viewer's frames are to have."""
        self._sizes, self._own, self._changed = sizes, own, changed
        self._display_px = display_px
        self._changed_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None

    def set_display(self, display_px: int) -> None:
        """Follow a display with this many rows, at the earliest `CHANGE_INTERVAL_S` after a change.

        Of several until then the newest counts.
        """
        self._display_px = display_px
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = max(0.0, self._changed_at + CHANGE_INTERVAL_S - loop.time())
            self._timer = loop.call_later(wait_s, self._follow)

    def close(self) -> None:
        """Follow no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def _follow(self) -> None:
        self._timer = None
        size = choose_size(self._sizes, self._own, self._display_px)
        if size < self.size:
            # Smaller only where nothing is enlarged: otherwise a display whose size is at the limit
            # would change it again and again.
            size = min(self.size, choose_size(self._sizes, self._own, self._display_px, 1.0))
        if size != self.size:
            self.size, self._changed_at = size, asyncio.get_running_loop().time()
            self._changed()
