"""When a viewer's next frame may begin. Knows no session and no clock: it is told the time."""

from __future__ import annotations

_TOLERANCE = 1.03
"""Screens are not exact. One of 60.3 Hz sends views a little faster than 60 frames a second would
take them; each would wait longer than the one before, up to a whole frame."""
_EARLY = 0.5
"""So much of an interval a frame may come early where the one before was late."""
_PATIENCE = 1.5
"""After so many intervals without a view, the viewer has stopped moving."""


class Pace:
    """At most `fps` frames a second on average, begun when the viewer moves.

    A frame has a moment at which it reaches the screen just in time, and the viewer's page sends
    its views for that moment (`client_web/js/view_clock.js`). A face that moves by itself would
    start frames at any other time, each of them in the way of the view that comes next. So while
    views come, the face waits for the next one, which shows it too.

    Args:
        fps: Most frames a second.
    """

    def __init__(self, fps: float) -> None:
        self._interval_s = 1.0 / (fps * _TOLERANCE)
        self._even_at = float("-inf")
        """When the next frame would begin if all came evenly."""
        self._moved_at = float("-inf")

    def viewer_moved(self, now_s: float) -> None:
        """Take note that a view has come in."""
        self._moved_at = now_s

    def frame_begins(self, now_s: float) -> None:
        """Take note of a frame."""
        self._even_at = max(self._even_at, now_s) + self._interval_s

    @property
    def due_at_s(self) -> float:
        """When a frame that shows a new view may begin."""
        return self._even_at - _EARLY * self._interval_s

    @property
    def due_without_view_at_s(self) -> float:
        """When a frame may begin that shows anything else that is new."""
        return max(self.due_at_s, self._moved_at + _PATIENCE * self._interval_s)
