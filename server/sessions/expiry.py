"""End of the sessions whose token has expired."""

from __future__ import annotations

import asyncio
import time

from server.sessions.registry import Sessions

_CHECK_S = 0.25
_NOTICE_S = 0.5
"""Delay between the event and the end, so that the event is delivered. WebSockets, which the HTTP
layer closes when their token expires, have ended by then, each with a close code."""


async def end_expired_sessions(sessions: Sessions) -> None:
    """Notify viewers whose token has expired, then end their sessions; runs until cancelled."""
    event = {"type": "expired", "detail": "the token has expired; ask for a new one"}
    notified: set[str] = set()
    while True:
        now, present = time.time(), sessions.list()
        notified &= {session.id for session in present}
        for session in present:
            expires_at = session.viewer.expires_at
            if expires_at is None or now < expires_at:
                continue
            if session.id not in notified and session.peer is not None:
                session.peer.send_event(event)
                notified.add(session.id)
            if now >= expires_at + _NOTICE_S:
                session.end()
        await asyncio.sleep(_CHECK_S)
