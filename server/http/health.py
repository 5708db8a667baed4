"""Liveness, readiness, status and metrics."""

from __future__ import annotations

from fastapi import APIRouter, Response
from pydantic import BaseModel

from server.auth.grants import Scope
from server.errors import NotReadyError
from server.http.authorization import needs, open_to_all
from server.http.bodies import problems
from server.http.dependencies import (
    TheAdmission,
    TheBackground,
    TheMeasuredParts,
    ThePool,
)
from server.http.metrics import CONTENT_TYPE, render

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
    capacity: int
    """Maximum simultaneous viewers."""
    waiting: int
    """Queued viewers."""
    problems: list[str]
    """Devices and workers that are not ready, background tasks that failed, and why."""


class Status(BaseModel):
    """Load and session limit of the server."""

    sessions: int
    capacity: int
    measured: dict[str, object] | None
    """Measurements that the capacity was computed from; null if it was set."""
    waiting: int
    draining: bool


@router.get("/healthz", summary="Alive", dependencies=[open_to_all()])
async def healthz() -> Alive:
    """Return 200 while the process answers."""
    return Alive()


@router.get(
    "/readyz",
    summary="Ready to render",
    responses=problems(
        _503="no worker is ready, or the server is shutting down; `detail` says why"
    ),
    dependencies=[open_to_all()],
)
async def readyz(
    pool: ThePool, admission: TheAdmission, background: TheBackground
) -> ReadyToRender:
    """Return 200 once a worker is ready; 503 with the reason before, and during shutdown."""
    admission.check_open()
    state = pool.status()
    if not state.ready:
        raise NotReadyError(state.reason or "no worker is ready")
    ready = sum(worker.ready for worker in state.workers)
    states = [(device.name, device.problem) for device in state.devices]
    states += [(worker.name, worker.problem) for worker in state.workers]
    states += [(task.name, task.problem) for task in (*state.tasks, *background.statuses)]
    return ReadyToRender(
        workers=ready,
        sessions=admission.admitted,
        capacity=admission.capacity,
        waiting=admission.queued,
        problems=[f"{name}: {problem}" for name, problem in states if problem],
    )


@router.get(
    "/v1/status",
    summary="Session limit, and its measurement",
    dependencies=[needs(Scope.ADMIN)],
)
async def status(admission: TheAdmission) -> Status:
    """Return the number of viewers, the session limit and how it was measured."""
    return Status(
        sessions=admission.admitted,
        capacity=admission.capacity,
        measured=admission.measurement,
        waiting=admission.queued,
        draining=admission.draining,
    )


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    dependencies=[needs(Scope.ADMIN)],
)
async def metrics(parts: TheMeasuredParts) -> Response:
    """Return metrics of workers, streams, viewers and caches in Prometheus' text format."""
    return Response(render(parts), media_type=CONTENT_TYPE)
