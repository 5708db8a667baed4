"""The earliest start of a viewer's next frame, and the sleep until then or until a change."""

from __future__ import annotations

import asyncio

_TOLERANCE = 1.03
"""Ratio of the permitted to the nominal frame rate. A screen of 60.3 Hz sends views slightly faster
than 60 per second; at exactly 60 each one would wait longer than the one before, up to a frame."""
_MAX_LEAD = 2.0
"""Time by which a frame may begin early after late or bunched views, in intervals. Warps still run
one after the other. With a smaller value, one late view delays those after it for a second."""
_IDLE_AFTER = 1.5
"""Intervals without a view after which the viewer counts as not moving."""


class FramePacing:
    """Permits at most `fps` frames per second on average and aligns them with the viewer's views.

    The caller passes in the time.

    The view clock of the client sends each view at the moment from which its frame reaches the
    screen just in time. Mesh frames arrive at other times, and a frame started for one of them
    would delay the next view. So while views arrive, a mesh frame waits for the next view, whose
    frame shows both; frames for mesh changes alone use the remaining rate.

    Args:
        fps: Maximum number of frames per second.
    """

    def __init__(self, fps: float) -> None:
        self._interval_s = 1.0 / (fps * _TOLERANCE)
        self._view_schedule_s = float("-inf")
        """When the next frame for a view would begin at a constant rate, seconds."""
        self._frame_schedule_s = float("-inf")
        """When the next frame of any kind would begin at a constant rate, seconds."""
        self._moved_at = float("-inf")

    def viewer_moved(self, now_s: float) -> None:
        """Record the arrival of a view."""
        self._moved_at = now_s

    def view_frame_begins(self, now_s: float) -> None:
        """Record the start of a frame that shows a new view."""
        self._view_schedule_s = max(self._view_schedule_s, now_s) + self._interval_s
        self.frame_begins(now_s)

    def frame_begins(self, now_s: float) -> None:
        """Record the start of any other frame."""
        # Not before now, so that a pause does not permit a burst.
        self._frame_schedule_s = max(self._frame_schedule_s, now_s) + self._interval_s

    @property
    def view_due_at_s(self) -> float:
        """Earliest time at which a frame that shows a new view may begin, seconds."""
        return self._view_schedule_s - _MAX_LEAD * self._interval_s

    @property
    def due_at_s(self) -> float:
        """Earliest time at which a frame for any other change may begin, seconds."""
        idle_at = self._moved_at + _IDLE_AFTER * self._interval_s
        return max(self._frame_schedule_s - _MAX_LEAD * self._interval_s, idle_at)


class Wakeup:
    """A sleep that a change ends early; for one task at a time."""

    def __init__(self) -> None:
        # A future and not an Event: a timer and a change may both end the same sleep, and the next
        # one starts without a stale signal.
        self._woken: asyncio.Future[None] | None = None

    async def sleep_until(self, due_at_s: float) -> None:
        """Sleep until `due_at_s`, by the clock of the event loop, or until `wake` is called."""
        loop = asyncio.get_running_loop()
        self._woken = loop.create_future()
        timer = loop.call_at(due_at_s, self.wake)
        try:
            await self._woken
        finally:
            timer.cancel()
            self._woken = None

    def wake(self) -> None:
        """End the sleep, if there is one."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)
