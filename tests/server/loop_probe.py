"""Measures from inside how long the event loop of a server is blocked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_TICK_S = 0.002


@dataclass
class Blocks:
    """The result of a measurement."""

    longest_s: float = 0.0


@contextmanager
def measured(loop: asyncio.AbstractEventLoop) -> Iterator[Blocks]:
    """Measure the longest block of a loop that runs in another thread of this process.

    A task measures how late it runs. To exclude delays by other programs, a delay counts up to the
    processor time that this process has spent in it. This includes threads that hold the
    interpreter lock, as parsers do.
    """
    blocks = Blocks()

    async def watch() -> None:
        while True:
            due, spent_s = time.monotonic() + _TICK_S, time.process_time()
            await asyncio.sleep(_TICK_S)
            late_s = min(time.monotonic() - due, time.process_time() - spent_s)
            blocks.longest_s = max(blocks.longest_s, late_s)

    watching = asyncio.run_coroutine_threadsafe(watch(), loop)
    try:
        yield blocks
        time.sleep(2 * _TICK_S)  # so that the last delay is measured
    finally:
        watching.cancel()
