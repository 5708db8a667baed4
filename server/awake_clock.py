"""A clock for timeouts that pauses while this process does not run."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

TICK_S = 0.25
LONGEST_GAP_S = 1.0
"""A gap between two ticks above this means that the process was stopped, suspended or starved: no
callback of the event loop takes as long."""


class AwakeClock:
    """Monotonic time without the times at which this process was frozen.

    A client that sends keepalives to a frozen process is not silent. When the process resumes,
    timers are due before the keepalives that have arrived meanwhile are read, so with the system's
    clock every timeout would fire. This one counts a freeze as a single tick, so that each timeout
    keeps its remaining time.

    Args:
        clock: Returns monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.frozen_s = 0.0
        """Sum of the times at which the process was frozen."""
        self._clock = clock
        self._last_tick = clock()

    def now(self) -> float:
        """Return the time, seconds. Requires that `run` is running."""
        now = self._clock()
        gap_s = now - self._last_tick
        if gap_s > LONGEST_GAP_S:
            self.frozen_s += gap_s - TICK_S
        self._last_tick = now
        return now - self.frozen_s

    async def run(self) -> None:
        """Tick until cancelled."""
        while True:
            self.now()
            await asyncio.sleep(TICK_S)


class Stopwatch:
    """Time since the last event of a kind.

    Args:
        clock: Seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._restarted_at = -math.inf

    def restart(self) -> None:
        """Note an event."""
        self._restarted_at = self._clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the last event; infinite before the first one."""
        return self._clock() - self._restarted_at
