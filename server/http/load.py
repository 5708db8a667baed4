"""Load of this host, for a router in front of many hosts."""

from __future__ import annotations

import secrets

from fastapi import APIRouter

from server.auth.grants import Scope
from server.http.authorization import needs
from server.http.dependencies import TheAdmission, ThePool, TheSessions, TheSettings, TheStreams
from server.protocol.host_load import HeldStream, HostLoad

router = APIRouter(prefix="/v1", tags=["health"])
_RUN = secrets.token_hex(8)
"""Id of this process: a supervisor may restart it within a router's lease."""


@router.get("/load", summary="Load and streams of this host", dependencies=[needs(Scope.ADMIN)])
async def get_load(
    pool: ThePool,
    sessions: TheSessions,
    streams: TheStreams,
    admission: TheAdmission,
    settings: TheSettings,
) -> HostLoad:
    """Return the load, which a router requests every second."""
    return HostLoad(
        run=_RUN,
        address=settings.public_url,
        ready=pool.ready,
        draining=admission.draining,
        sessions=len(sessions.list()),
        capacity=admission.capacity,
        asked=sessions.metrics.viewer_requests,
        streams=tuple(HeldStream(id=s.id, avatar=s.avatar.id) for s in streams.list()),
    )
