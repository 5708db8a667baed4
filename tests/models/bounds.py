"""What a hostile file may cost before it is refused."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEGABYTES = 300
"""More than the process had before; with Python, numpy and torch it has 500 MB at most."""
SECONDS = 2.0
"""Of processor time."""


@contextmanager
def within_bounds() -> Iterator[None]:
    """Assert that the body uses no more memory and processor time than a file may cost."""
    # Sets the process's peak to what it has now, proc(5).
    Path("/proc/self/clear_refs").write_text("5")
    before, started = _peak_megabytes(), time.process_time()
    yield
    assert time.process_time() - started < SECONDS
    assert _peak_megabytes() - before < MEGABYTES


def _peak_megabytes() -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) >> 10
