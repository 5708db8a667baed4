"""Detect congestion from the trend of the delay: a queue that grows delays each packet more.

draft-ietf-rmcat-gcc-02, sections 5.3 and 5.4, with the linear fit of libwebrtc's
`TrendlineEstimator` in place of the draft's Kalman filter. Constants are libwebrtc's unless stated.
"""

from __future__ import annotations

from collections import deque
from enum import Enum, auto

from server.transport.webrtc.congestion.packet_groups import GroupDelta

_WINDOW = 20  # groups of packets, `kDefaultTrendlineWindowSize`
_SMALLEST_WINDOW = 5
"""Ours: at 30 frames per second, 20 groups are two thirds of a second, too long for a first
estimate after a start or a pause."""
_SMOOTHING = 0.9  # share of the earlier delays, `kDefaultTrendlineSmoothingCoeff`
_GAIN = 4.0  # `kDefaultTrendlineThresholdGain`
_MOST_DELTAS = 60  # `kMinNumDeltas`: the slope of a young trend counts for less
_FIRST_THRESHOLD_MS = 12.5
_SMALLEST_THRESHOLD_MS, _LARGEST_THRESHOLD_MS = 6.0, 600.0
_RAISE, _LOWER = 0.0087, 0.039
"""Adaptation of the threshold, per millisecond (draft section 5.4: K_u and K_d)."""
# `kMaxAdaptOffsetMs`: a sudden drop of the network must not raise the threshold that detects it.
_LARGEST_ADAPTATION_MS = 15.0
_LONGEST_STEP_MS = 100.0  # `kMaxTimeDeltaMs`: a pause between two deltas is no time of adaptation
_OVERUSE_S = 0.01
"""The trend must stay above the threshold for it (section 5.4)."""
_PAUSE_S = 1.0
"""Ours: after a longer pause the earlier trend is meaningless."""


class Usage(Enum):
    """State of the network according to the delay."""

    NORMAL = auto()
    OVERUSED = auto()
    """The queue grows."""
    UNDERUSED = auto()
    """The queue drains."""


class DelayTrend:
    """The trend of the delay over the last groups of packets."""

    def __init__(self) -> None:
        self.usage = Usage.NORMAL
        self._points: deque[tuple[float, float]] = deque(maxlen=_WINDOW)
        self._deltas = 0
        self._delay_ms = self._smoothed_ms = self._last_slope = 0.0
        self._above_s: float | None = None
        """How long the trend has been above the threshold; None while it is not."""
        self._threshold_ms = _FIRST_THRESHOLD_MS
        self._adapted_at: float | None = None

    def add(self, delta: GroupDelta) -> None:
        """Update `usage` by the next delta."""
        if max(delta.sent_s, delta.arrived_s) > _PAUSE_S:
            self._reset()
            return
        self._deltas = min(self._deltas + 1, _MOST_DELTAS)
        # Differences alone: the clocks of both ends have no common origin.
        self._delay_ms += (delta.arrived_s - delta.sent_s) * 1e3
        self._smoothed_ms += (1 - _SMOOTHING) * (self._delay_ms - self._smoothed_ms)
        self._points.append((delta.arrived_at * 1e3, self._smoothed_ms))
        if len(self._points) >= _SMALLEST_WINDOW:
            self._detect(_slope(self._points), delta)

    def _reset(self) -> None:
        """Reset everything but the threshold."""
        self.usage = Usage.NORMAL
        self._points.clear()
        self._deltas = 0
        self._delay_ms = self._smoothed_ms = self._last_slope = 0.0
        self._above_s = None

    def _detect(self, slope: float, delta: GroupDelta) -> None:
        trend_ms = self._deltas * slope * _GAIN
        if trend_ms > self._threshold_ms:
            self._above(slope, delta.sent_s)
        else:
            self._above_s = None
            under = trend_ms < -self._threshold_ms
            self.usage = Usage.UNDERUSED if under else Usage.NORMAL
        self._last_slope = slope
        self._adapt(abs(trend_ms), delta.arrived_at)

    def _above(self, slope: float, sent_s: float) -> None:
        """Count how long the trend has been above; the first delta counts half of its time."""
        first = self._above_s is None
        self._above_s = sent_s / 2 if self._above_s is None else self._above_s + sent_s
        if not first and self._above_s > _OVERUSE_S and slope >= self._last_slope:
            self._above_s = 0.0
            self.usage = Usage.OVERUSED

    def _adapt(self, trend_ms: float, at: float) -> None:
        """Move the threshold towards the trend, so that jitter does not look like congestion."""
        passed_ms = 0.0 if self._adapted_at is None else (at - self._adapted_at) * 1e3
        # Before the return below, so that the time of a spike is not added after it.
        self._adapted_at = at
        if trend_ms > self._threshold_ms + _LARGEST_ADAPTATION_MS:
            return
        speed = _LOWER if trend_ms < self._threshold_ms else _RAISE
        step_ms = min(max(passed_ms, 0.0), _LONGEST_STEP_MS)
        moved = self._threshold_ms + speed * (trend_ms - self._threshold_ms) * step_ms
        self._threshold_ms = min(max(moved, _SMALLEST_THRESHOLD_MS), _LARGEST_THRESHOLD_MS)


def _slope(points: deque[tuple[float, float]]) -> float:
    """Return the slope of the least-squares line through points; 0 if all have the same x."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    square = sum((x - mean_x) ** 2 for x, _ in points)
    if not square:
        return 0.0
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / square
