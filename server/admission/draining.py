"""The end in good order: nobody new comes in, viewers are told, and have a while to leave."""

from __future__ import annotations

import asyncio
import logging

from server.admission.admission import Admission
from server.sessions.registry import Sessions

logger = logging.getLogger(__name__)

_TELL_EVERY_S = 1.0
"""Again and again: a viewer who has just come hears nothing before its channel is open."""
_CHECK_S = 0.1


async def drain(admission: Admission, sessions: Sessions, grace_s: float) -> None:
    """Let nobody in any more, and return when the last viewer has left or the time is over."""
    admission.draining = True
    logger.info("going down: %d viewers have %g s to leave", admission.inside, grace_s)
    now = asyncio.get_running_loop().time
    ends_at, tell_at = now() + grace_s, now()
    while admission.inside and now() < ends_at:
        if now() >= tell_at:
            sessions.tell({"type": "draining", "ends_in_s": round(ends_at - now(), 1)})
            tell_at += _TELL_EVERY_S
        await asyncio.sleep(_CHECK_S)
    if admission.inside:
        logger.warning("going down with %d viewers still there", admission.inside)
