"""Graceful shutdown: admit nobody, notify the viewers, and wait until they have left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from server.admission.admission import Admission

logger = logging.getLogger(__name__)

_NOTIFY_EVERY_S = 1.0
"""Repeated, since a viewer that has just connected receives nothing before its channel is open."""
_CHECK_S = 0.1


async def drain(
    admission: Admission, notify: Callable[[Mapping[str, Any]], None], grace_s: float
) -> None:
    """Stop admitting viewers, and return when the last one has left or the time is over.

    Args:
        admission: Of the server.
        notify: Sends an event to all viewers.
        grace_s: How long viewers have to leave, seconds.
    """
    admission.draining = True
    logger.info("draining: %d viewers have %g s to leave", admission.inside, grace_s)
    now = asyncio.get_running_loop().time
    ends_at, notify_at = now() + grace_s, now()
    while admission.inside and now() < ends_at:
        if now() >= notify_at:
            notify({"type": "draining", "ends_in_s": round(ends_at - now(), 1)})
            notify_at += _NOTIFY_EVERY_S
        await asyncio.sleep(_CHECK_S)
    if admission.inside:
        logger.warning("shutting down with %d viewers still connected", admission.inside)
