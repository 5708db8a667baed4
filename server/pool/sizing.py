"""How many workers and threads a machine should have where nobody says so."""

from __future__ import annotations

import os
from dataclasses import dataclass

_CORES_PER_WORKER = 4
"""A full render of a small network gains little from more threads; a second viewer gains more
from a second worker."""


@dataclass(frozen=True)
class Size:
    """What one device gets."""

    workers: int
    threads: int
    """Of each worker."""


def available_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_warp_threads(cores: int) -> int:
    """Threads that share one warp on a CPU: it is short, and a viewer's latency.

    On few cores the other ones are busy with encoders, full renders and the event loop; waiting for
    them costs more than they give.
    """
    return 2 if cores >= 4 else 1


def default_size(device: str, cores: int) -> Size:
    """One worker on a GPU; on CPU, what is left beside one core for the server itself."""
    if device != "cpu":
        return Size(workers=1, threads=1)
    spare = max(1, cores - 1)
    workers = max(1, round(spare / _CORES_PER_WORKER))
    return Size(workers, threads=max(1, spare // workers))
