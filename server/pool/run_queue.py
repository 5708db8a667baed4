"""How long processes wait for a core, which is no sign that they hang."""

from __future__ import annotations

import os

_NS = 1e-9  # seconds
_MOST_BYTES = 64
"""Three numbers of at most 20 digits."""


def waited_s(pid: int) -> float:
    """Return how long the main thread of a process was ready to run while it had no core.

    Args:
        pid: Of a process; it may have ended.

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
