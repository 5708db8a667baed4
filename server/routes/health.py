"""Is it alive, and can it show anything yet."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from server.access.dependencies import needs, open_to_all
from server.access.grants import Scope
from server.errors import NotReadyError
from server.metrics import CONTENT_TYPE, render
from server.routes.bodies import problems
from server.routes.parts import ThePool, TheSessions, TheStreams

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = "ok"


class ReadyToRender(BaseModel):
    """At least one worker renders."""

    status: str = "ready"
    workers: int
    """Render processes that are ready."""
    sessions: int
    """Viewers at present."""


@router.get("/healthz", summary="Alive", dependencies=[open_to_all()])
async def healthz() -> Alive:
    """200 while the process answers at all."""
    return Alive()


@router.get(
    "/readyz",
    summary="Ready to render",
    responses=problems(_503="no worker is ready; says why"),
    dependencies=[open_to_all()],
)
async def readyz(pool: ThePool, sessions: TheSessions) -> ReadyToRender:
    """200 once a worker is ready, 503 with the reason before."""
    state = pool.status()
    if not state.ready:
        raise NotReadyError(state.reason or "no worker is ready")
    ready = sum(worker.ready for worker in state.workers)
    return ReadyToRender(workers=ready, sessions=len(sessions.list()))


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    dependencies=[needs(Scope.ADMIN)],
)
async def metrics(pool: ThePool, streams: TheStreams, sessions: TheSessions) -> Response:
    """Workers, streams, viewers and caches, as Prometheus reads them."""
    return Response(render(pool, streams, sessions), media_type=CONTENT_TYPE)
