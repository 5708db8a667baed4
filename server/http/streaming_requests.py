"""Requests with live bodies of unlimited duration, and their end at shutdown."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class StreamingRequests:
    """All live bodies that are still being received."""

    def __init__(self) -> None:
        self._running: set[asyncio.Timeout] = set()
        self._ended = False

    @asynccontextmanager
    async def until_ended(self) -> AsyncIterator[None]:
        """Leave the block early, without an error, once `end_all` is called."""
        try:
            async with asyncio.timeout(0 if self._ended else None) as scope:
                self._running.add(scope)
                try:
                    yield
                finally:
                    self._running.discard(scope)
        except TimeoutError:
            if not scope.expired():
                raise

    def end_all(self) -> None:
        """Stop reading at shutdown: every sender receives its response now."""
        self._ended = True
        now = asyncio.get_running_loop().time()
        for scope in self._running:
            scope.reschedule(now)
