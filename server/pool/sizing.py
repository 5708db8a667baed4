"""Default numbers of workers and threads for a machine."""

from __future__ import annotations

import os
from dataclasses import dataclass

_CORES_PER_WORKER = 4
"""A full render of a small network gains little from more threads; a second viewer gains more from
a second worker."""


@dataclass(frozen=True)
class Size:
    """Workers and threads of one device."""

    workers: int
    threads: int
    """Number per worker."""


def available_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def default_warp_threads(cores: int) -> int:
    """Return the number of threads that share one warp on a CPU.

    More threads shorten the latency of a frame. On few cores, however, the others are busy with
    encoders, full renders and the event loop, and waiting for them takes longer than it saves.
    """
    return 2 if cores >= 4 else 1


def default_size(device: str, cores: int) -> Size:
    """Return one worker for a GPU; for the CPU, enough for all cores but one for the server."""
    if device != "cpu":
        return Size(workers=1, threads=1)
    spare = max(1, cores - 1)
    workers = max(1, round(spare / _CORES_PER_WORKER))
    return Size(workers, threads=max(1, spare // workers))
