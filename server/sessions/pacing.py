"""When a viewer's next frame may begin. Knows no session and no clock: it is told the time."""

from __future__ import annotations

_TOLERANCE = 1.03
"""Screens are not exact. One of 60.3 Hz sends views a little faster than 60 frames a second would
take them; each would wait longer than the one before, up to a whole frame."""
_EARLY = 2.0
"""So many intervals a frame may come early where those before were late or came close together.
They are still drawn one after the other; with less, a view that comes late has those after it wait
for a second."""
_PATIENCE = 1.5
"""After so many intervals without a view, the viewer has stopped moving."""


class FramePacing:
    """At most `fps` frames a second on average, begun when the viewer moves.

    A frame has a moment at which it reaches the screen just in time, and the viewer's page sends
    its views for that moment (`client_web/js/view_clock.js`). A face that moves by itself would
    start frames at any other time, each of them in the way of the view that comes next. So while
    views come, the face waits for the next one, which shows it too; and by itself it gets the
    frames that views leave over.

    Args:
        fps: Most frames a second.
    """

    def __init__(self, fps: float) -> None:
        self._interval_s = 1.0 / (fps * _TOLERANCE)
        self._views_even_at = float("-inf")
        """When the next frame of a view would begin if all came evenly."""
        self._all_even_at = float("-inf")
        self._moved_at = float("-inf")

    def viewer_moved(self, now_s: float) -> None:
        """Take note that a view has come in."""
        self._moved_at = now_s

    def view_frame_begins(self, now_s: float) -> None:
        """Take note of a frame that shows a new view."""
        self._views_even_at = max(self._views_even_at, now_s) + self._interval_s
        self.frame_begins(now_s)

    def frame_begins(self, now_s: float) -> None:
        """Take note of a frame that shows anything else."""
        self._all_even_at = max(self._all_even_at, now_s) + self._interval_s

    @property
    def view_due_at_s(self) -> float:
        """When a frame that shows a new view may begin."""
        return self._views_even_at - _EARLY * self._interval_s

    @property
    def due_at_s(self) -> float:
        """When a frame may begin that shows anything else that is new."""
        rested_at = self._moved_at + _PATIENCE * self._interval_s
        return max(self._all_even_at - _EARLY * self._interval_s, rested_at)
