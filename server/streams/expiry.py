"""Expiry of streams without publisher and viewer."""

from __future__ import annotations

import asyncio
import logging

from server.streams.streams import Streams

logger = logging.getLogger(__name__)

_MAX_INTERVAL_S = 30.0
_CHECKS_PER_LIFETIME = 10
"""A stream outlives its limit by at most a tenth."""


async def expire_streams(streams: Streams, idle_s: float) -> None:
    """Delete streams that are unused for `idle_s` seconds; runs until cancelled."""
    while True:
        for stream in streams.unused(idle_s):
            ids = {"stream": stream.id}
            logger.info("stream %s was not used for %g s", stream.id, idle_s, extra=ids)
            streams.delete(stream.id)
        # At least every 30 s, because only these checks notice that a stream is watched.
        await asyncio.sleep(min(idle_s / _CHECKS_PER_LIFETIME, _MAX_INTERVAL_S))
