"""Deletes streams that nobody publishes to or watches, so that forgotten ones do not pile up."""

from __future__ import annotations

import asyncio
import logging

from server.streams.streams import Streams

logger = logging.getLogger(__name__)

_LONGEST_WAIT_S = 30.0
_LOOKS = 10
"""A stream lives at most a tenth longer than it may."""


async def expire_streams(streams: Streams, idle_s: float) -> None:
    """Look from time to time, for as long as the server runs."""
    while True:
        for stream in streams.unused(idle_s):
            ids = {"stream": stream.id}
            logger.info("stream %s was not used for %g s", stream.id, idle_s, extra=ids)
            streams.delete(stream.id)
        await asyncio.sleep(min(idle_s / _LOOKS, _LONGEST_WAIT_S))
