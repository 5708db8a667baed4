"""The size of one viewer's frames: what its display needs, if the server is fast enough for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from server.sessions.load_limit import FrameLoad, LoadLimit

MOST_ENLARGED = 1.1
"""Frames are enlarged at most by this factor where there are larger ones: an enlargement by a tenth
is not visible, and the next smaller size takes three quarters of the time."""
CHANGE_INTERVAL_S = 3.0
"""Least time between two changes: each one costs a full render, and a key frame."""
_SPAN_S = 1.0
"""Interval at which the load is judged."""


def choose_size(
    sizes: Sequence[int], own: int, display_px: int, enlarged: float = MOST_ENLARGED
) -> int:
    """Return the rows and columns of frames for a display.

    Args:
        sizes: The available sizes, in increasing order.
        own: The avatar's resolution, for displays of unknown size.
        display_px: Rows of the frame on the display, in its own pixels; 0: unknown.
        enlarged: Factor by which frames may be enlarged where there are larger ones.
    """
    wanted = display_px / enlarged if display_px else own
    return next((size for size in sizes if size >= wanted), sizes[-1])


class FrameSize:
    """Follows the display of one viewer and the load, but not each small change, nor too often.

    Belongs to the event loop.

    Args:
        sizes: The available sizes, in increasing order.
        own: The avatar's resolution.
        display_px: Rows of the frame on the display, in its own pixels; 0: unknown.
        fps: Maximum number of frames per second.
        changed: Called after each change of `size` or `lowered_from`.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        own: int,
        display_px: int,
        fps: float,
        changed: Callable[[], None],
    ) -> None:
        self.size = choose_size(sizes, own, display_px)
        """Rows and columns that the viewer's frames are to have."""
        self._needed = self.size
        """The size that the display needs, whatever the load."""
        self._sizes, self._own, self._changed = sizes, own, changed
        self._display_px = display_px
        self._changed_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._limit = LoadLimit(sizes, fps)
        self._watching: asyncio.TimerHandle | None = None

    @property
    def lowered_from(self) -> int | None:
        """The size that the display needs, where frames are smaller because of load."""
        return self._needed if self.size < self._needed else None

    def set_display(self, display_px: int) -> None:
        """Follow a display with this many rows, at the earliest `CHANGE_INTERVAL_S` after a change.

        Of several changes until then, only the newest is applied.
        """
        self._display_px = display_px
        self._follow_soon()

    def watch_load(
        self, measure: Callable[[], tuple[int, FrameLoad]], limited: Callable[[bool], None]
    ) -> None:
        """Follow the load, too, if the display's size is known and there are sizes to choose from.

        Args:
            measure: Returns the rows of the newest frame, and the sum of all so far.
            limited: Called after each change by load, with whether frames become larger.
        """
        if self._limit.may_fall:
            self._judge_later(measure, limited)

    def close(self) -> None:
        """Follow no longer."""
        for timer in (self._timer, self._watching):
            if timer is not None:
                timer.cancel()

    def _judge_later(
        self, measure: Callable[[], tuple[int, FrameLoad]], limited: Callable[[bool], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        began_s, (size_before, before) = loop.time(), measure()

        def judge() -> None:
            now_s, (size, load) = loop.time(), measure()
            # Frames of the size before a change say nothing about those that follow.
            if self._display_px and size_before == size == self.size:
                self._judge(load.since(before), now_s - began_s, now_s, limited)
            self._judge_later(measure, limited)

        self._watching = loop.call_later(_SPAN_S, judge)

    def _judge(
        self, load: FrameLoad, span_s: float, now_s: float, limited: Callable[[bool], None]
    ) -> None:
        before = self._limit.size
        if self._limit.judge(self.size, load, span_s, now_s):
            limited(before is not None and (self._limit.size or 0) > before)
            self._follow_soon()

    def _follow_soon(self) -> None:
        if self._timer is None:
            loop = asyncio.get_running_loop()
            wait_s = max(0.0, self._changed_at + CHANGE_INTERVAL_S - loop.time())
            self._timer = loop.call_later(wait_s, self._follow)

    def _follow(self) -> None:
        self._timer = None
        before = self.size, self.lowered_from
        self._needed = self._needed_now()
        if self._limit.size is not None and self._limit.size >= self._needed:
            self._limit.forget()
        self.size = min(self._needed, self._limit.size or self._needed)
        if self.size != before[0]:
            self._changed_at = asyncio.get_running_loop().time()
        if (self.size, self.lowered_from) != before:
            self._changed()

    def _needed_now(self) -> int:
        size = choose_size(self._sizes, self._own, self._display_px)
        if size >= self._needed:
            return size
        # The size is lowered only where no frames are enlarged: otherwise a display at the limit
        # between two sizes would change it again and again.
        return min(self._needed, choose_size(self._sizes, self._own, self._display_px, 1.0))
