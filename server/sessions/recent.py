"""Running statistics of the last few hundred frames, with bounded memory."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import numpy as np

_WINDOW = 600
"""Number of values: ten seconds at 60 frames per second."""


class RecentPercentiles:
    """Computes percentiles of the newest values.

    Args:
        size: Number of values to keep.
    """

    def __init__(self, size: int = _WINDOW) -> None:
        self._values: deque[float] = deque(maxlen=size)

    def add(self, value: float) -> None:
        """Add a value, replacing the oldest one."""
        self._values.append(value)

    def percentiles(self) -> dict[str, float | None]:
        """Return `p50` and `p95`; None if there are no values."""
        if not self._values:
            return {"p50": None, "p95": None}
        p50, p95 = np.percentile(np.fromiter(self._values, float), (50, 95))
        return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}


class Rate:
    """Counts events per second over a short time span.

    Args:
        span_s: Length of the time span.
        clock: Returns monotonic time, seconds.
    """

    def __init__(self, span_s: float = 2.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._span_s = span_s
        self._clock = clock
        self._times: deque[float] = deque(maxlen=_WINDOW)
        self._began = clock()

    def count(self) -> None:
        """Count an event at the current time."""
        self._times.append(self._clock())

    def per_s(self) -> float:
        """Return events per second over the span, or since the start if that is shorter."""
        now = self._clock()
        while self._times and self._times[0] <= now - self._span_s:
            self._times.popleft()
        span_s = min(self._span_s, now - self._began)
        return round(len(self._times) / span_s, 2) if span_s > 0 else 0.0
