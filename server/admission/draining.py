"""Graceful shutdown: admits no viewers, notifies the viewers and waits until they have left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

from server.admission.admission import Admission

logger = logging.getLogger(__name__)

_NOTIFY_EVERY_S = 1.0
"""Interval of notifications, which a new viewer cannot receive before its channel is open."""
_CHECK_S = 0.1  # a restart waits at most this much longer than for the last viewer


async def drain(
    admission: Admission, notify: Callable[[Mapping[str, Any]], None], timeout_s: float
) -> None:
    """Stop admitting viewers, and return when the last one has left or the time is up.

    Args:
        admission: Counts the sessions.
        notify: Sends an event to all viewers.
        timeout_s: Time that viewers have to leave, seconds.
    """
    admission.draining = True
    logger.info("draining: %d viewers have %g s to leave", admission.admitted, timeout_s)
    now = asyncio.get_running_loop().time
    ends_at, notify_at = now() + timeout_s, now()
    while admission.admitted and now() < ends_at:
        if now() >= notify_at:
            notify({"type": "draining", "ends_in_s": round(ends_at - now(), 1)})
            notify_at += _NOTIFY_EVERY_S  # relative to the last time, so that delays do not add up
        await asyncio.sleep(_CHECK_S)
    if admission.admitted:
        logger.warning("shutting down with %d viewers still connected", admission.admitted)
