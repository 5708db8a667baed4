"""Limits of memory and processor time for reading a hostile file."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTES = 300
"""Added to the memory of the process, which is 500 MB at most with Python, numpy and torch."""
SECONDS = 2.0
"""Processor time."""


@contextmanager
def within_bounds() -> Iterator[None]:
    """Assert that the body of the `with` stays within the limits of memory and processor time."""
    # Resets the peak memory of the process to its current memory, see proc(5).
    Path("/proc/self/clear_refs").write_text("5")
    before, started = _peak_megabytes(), time.process_time()
    yield
    assert time.process_time() - started < SECONDS
    assert _peak_megabytes() - before < MEGABYTES


def _peak_megabytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) >> 10
