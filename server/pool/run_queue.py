"""How long processes wait for a core, which is no sign that they hang."""

from __future__ import annotations

from pathlib import Path

_NS = 1e-9


def waited_s(pid: int) -> float:
    """Return how long the main thread of a process was ready to run while it had no core.

    Args:
        pid: Of a process; it may have ended.

    Returns:
        Seconds since its start; 0 where the system does not count them (other than Linux).
    """
    try:
        # Nanoseconds on a core, nanoseconds in the run queue, time slices
        # (Documentation/scheduler/sched-stats.rst of the kernel).
        fields = Path(f"/proc/{pid}/schedstat").read_text().split()
    except OSError:
        return 0.0
    return int(fields[1]) * _NS
