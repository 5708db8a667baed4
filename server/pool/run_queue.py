"""Time for which processes wait for a core, which is no hang, and their processor time."""

from __future__ import annotations

import math
import os

from server.pool.process_tree import descendants

_NS = 1e-9  # seconds
_MOST_BYTES = 64
"""Three numbers of at most 20 digits."""
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def waited_s(pid: int) -> float:
    """Return how long the main thread of a process was ready to run while it had no core.

    Args:
        pid: Id of a process; it may have ended.

    Returns:
        Seconds since its start; 0 where the system does not count them (other than Linux).
    """
    # Read without a file object: a device process gets a deadline with each of its frames.
    try:
        descriptor = os.open(f"/proc/{pid}/schedstat", os.O_RDONLY)
    except OSError:
        return 0.0
    try:
        # Nanoseconds on a core, nanoseconds in the run queue, time slices
        # (Documentation/scheduler/sched-stats.rst of the kernel).
        return int(os.read(descriptor, _MOST_BYTES).split()[1]) * _NS
    except OSError:  # it has ended in between
        return 0.0
    finally:
        os.close(descriptor)


def used_s(pid: int) -> float:
    """Return the processor time of a process and of all that it started, directly or not.

    Args:
        pid: Id of a process; it may have ended.

    Returns:
        Seconds since its start, as far as processes run or their parents have waited for their
        end; NaN, which equals nothing, where the system does not tell.
    """
    below = (_ticks(child) for child in descendants(pid))
    ticks = _ticks(pid) + sum(used for used in below if not math.isnan(used))
    return ticks / _TICKS_PER_S


def _ticks(pid: int) -> float:
    """Return the processor time of a process and of its children that have ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The second field, a name in parentheses, may contain anything (proc_pid_stat(5)).
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return math.nan
    return sum(map(int, fields[11:15]))
