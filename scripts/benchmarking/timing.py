"""Measure and compare durations of calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median

import numpy as np


def interleaved_ms(
    calls: dict[str, Callable[[], object]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Return median durations in ms. The calls alternate, so other load affects all of them.

    Args:
        calls: Functions to time, by name.
        rounds: Number of calls of each.
        clock: Seconds; `time.thread_time` for the time that this thread computes.
    """
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = clock()
            call()
            times[name].append((clock() - started) * 1000)
    return {name: round(median(values), 2) for name, values in times.items()}


def percentiles(values: Sequence[float]) -> dict[str, float | None]:
    """Return `p50` and `p95`, or None for each if there are no values."""
    if not values:
        return {"p50": None, "p95": None}
    p50, p95 = np.percentile(values, (50, 95))
    return {"p50": round(float(p50), 2), "p95": round(float(p95), 2)}
