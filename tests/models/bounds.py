"""What a hostile file may cost before it is refused."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

MEGABYTES = 400
"""Of Python's and numpy's allocations, touched or not."""
SECONDS = 2.0
"""Of processor time."""


@contextmanager
def within_bounds() -> Iterator[None]:
    """Assert that the body allocates and computes no more than a file may cost."""
    started = time.process_time()
    tracemalloc.start(1)
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEGABYTES << 20, f"{peak >> 20} MB"
    assert time.process_time() - started < SECONDS
