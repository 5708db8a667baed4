"""Requests that last as long as their sender likes, and how they end when the server does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class StreamingRequests:
    """All bodies that are still being sent."""

    def __init__(self) -> None:
        self._running: set[asyncio.Timeout] = set()
        self._ended = False

    @asynccontextmanager
    async def until_ended(self) -> AsyncIterator[None]:
        """Leave the block early, and quietly, once `end_all` is called."""
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
        """Stop reading: the senders get their answer now. For the end of the server."""
        self._ended = True
        now = asyncio.get_running_loop().time()
        for scope in self._running:
            scope.reschedule(now)
