"""Puts the parts together; the only place that knows which error is which status code."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.middleware.cors import CORSMiddleware
from fastapi.openapi.utils import get_openapi
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import models_json_schema
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.websockets import WebSocketState

from server import errors
from server.access.dependencies import describe_refusals
from server.access.gate import Gate
from server.access.guard import build_guard
from server.access.headers import EXPOSED, Policy
from server.access.limits import Limits
from server.admission import Admission
from server.capacity import find_capacity
from server.connectivity.pictures import PicturePeer
from server.expiry import expire_streams
from server.idle import run_idle
from server.messages import DOCUMENTED, describe_errors
from server.pool.jobs import AvatarInfo
from server.pool.pool import PoolSettings, RenderPool
from server.pool.sizing import available_cores, default_warp_threads
from server.routes import avatars, health, load, pictures, queue, render, streams, whep
from server.routes.bodies import PROBLEM, PROBLEM_CONTENT
from server.routes.docs import docs_routes
from server.routes.live import LiveRequests
from server.routes.viewer import viewer_route
from server.routes.whep import TICKET_HEADER
from server.session import Peer, Session
from server.sessions import Connect, Sessions
from server.settings import Settings
from server.streams import Stream, Streams
from server.version import VERSION
from server.webrtc.codecs import parse_codecs
from server.webrtc.nvenc import choose_h264
from server.webrtc.peer import AiortcPeer, PeerOptions

logger = logging.getLogger(__name__)

_Handler = Callable[[Request, Exception], Awaitable[Response]]
PoolFactory = Callable[[Settings], RenderPool]

STATUS: Mapping[type[errors.TelewarpError], int] = {
    # The first that fits counts, so the special ones stand before their parents.
    errors.BadMessageError: 400,
    errors.IceRestartError: 422,
    errors.BadOfferError: 400,
    errors.MediaTypeError: 415,
    errors.TooLargeError: 413,
    errors.LimitError: 429,
    errors.UnauthorizedError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.StreamExistsError: 409,
    errors.StreamClosedError: 410,
    errors.SessionClosedError: 410,
    errors.PreconditionError: 412,
    errors.PoolBusyError: 503,
    errors.DrainingError: 503,
    errors.NotReadyError: 503,
    errors.RenderError: 500,
    errors.TelewarpError: 500,
}
RETRY_AFTER_S = {errors.PoolBusyError: 5, errors.DrainingError: 5, errors.NotReadyError: 2}
DEMO = "demo"
_CLOSED_FOR = 4000
"""A WebSocket's close code is this plus the status code, in the range left to applications."""
_LONGEST_REASON = 123
"""Bytes that a close frame holds."""
_DESCRIPTION = """Post a face's head pose and coefficients to a **stream**; watch it in a browser,
or from any WHEP player, from wherever your own head is.

Metres, seconds or `_ms`; right-handed, +X right, +Y up, +Z towards the viewer. Quaternions are
`[x, y, z, w]`, poses map local to world. The neutral head is at the origin and faces +Z. Errors
are `application/problem+json` whose `detail` says what was expected and what came.

`WS /v1/streams/{stream_id}/frames` takes the same frames as `POST`, one a text message.

A viewer opens the data channel `view` (unordered, without retransmits) and sends `View` messages
there, or `MeshMessage` to drive the face itself; on its channel `events` it gets a `frame` event
for every frame sent, with the view it shows, its RTP timestamp and where the time went, and
`draining`, with the seconds that are left, before the server goes down.

Where a server is full, viewers wait in a line: `POST /v1/streams/{stream_id}/queue`.

Where WebRTC cannot get through, `WS /v1/streams/{stream_id}/pictures` shows the same as JPEG
pictures: each is a binary message after its `frame` event, and the next comes once the viewer has
sent `{"type": "shown", "picture": n}`. Views and faces go up the same socket.
"""
SWITCH_INTERVAL_S = 0.0005
"""How long a Python thread may keep the interpreter: at the default of 5 ms, encoder and warp
threads hold up the event loop and add several milliseconds to every frame."""


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str = Field(description="The status in words")
    status: int
    detail: str = Field(description="What was expected and what came")
    reason: str | None = Field(default=None, description="Of a 503 to viewers: full or draining")
    line: int | None = Field(default=None, description="Of a live body: the broken line, from 1")
    accepted: int | None = Field(default=None, description="Of a live body: frames before it")
    dropped: int | None = Field(default=None, description="Of a live body: late frames before it")
    last_seq: int | None = Field(default=None, description="Of a live body: newest frame's `seq`")


def create_app(settings: Settings, pool_factory: PoolFactory | None = None) -> FastAPI:
    """Build the server.

    Args:
        settings: How it is set.
        pool_factory: Makes the pool; the real one where left out.
    """
    app = FastAPI(
        title="Telewarp",
        version=VERSION,
        summary="Real-time telepresence rendering",
        description=_DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=partial(_run_parts, settings, pool_factory or build_pool),
    )
    app.state.settings = settings
    app.state.live = LiveRequests()
    app.state.ice_servers = settings.ice
    add_gate(app, settings)
    app.include_router(pictures.router)
    for router in (
        whep.router,
        queue.router,
        streams.router,
        avatars.router,
        render.router,
        health.router,
    ):
        app.include_router(router)
    app.include_router(load.router)
    app.router.routes.extend((*docs_routes(), viewer_route(settings.client)))
    answer_errors(app)
    app.openapi = partial(_openapi, app)  # type: ignore[method-assign]
    return app


def answer_errors(app: FastAPI) -> None:
    """Answer whatever goes wrong with a problem."""
    app.add_exception_handler(errors.TelewarpError, cast("_Handler", _answer_ours))
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(Exception, _answer_unknown)


def add_gate(app: FastAPI, settings: Settings, reached: Sequence[str] = ()) -> None:
    """Keep out who must not come in; CORS outside of it, for refusals too are to be readable.

    Args:
        app: What is behind it.
        settings: How it is set.
        reached: Hosts that its page may connect to besides.
    """
    guard, origins = build_guard(settings), settings.origins
    app.state.passes = guard.passes
    limits = Limits(settings.max_requests_per_s, settings.max_connections)
    app.add_middleware(
        Gate,
        guard=guard,
        limits=limits if guard.reachable_by_others else None,
        policy=Policy(origins, reached),
        answer=_answer_ours,
    )
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["GET", "POST", "PATCH", "DELETE"],
            allow_headers=["Authorization", "Content-Type", "If-Match", TICKET_HEADER],
            expose_headers=EXPOSED,
        )


def build_pool(settings: Settings) -> RenderPool:
    """The pool of real renderers; imports the models, which takes a while."""
    from server.pool.engine import ModelEngineFactory

    factory = ModelEngineFactory(settings.avatars, default_warp_threads(available_cores()))
    return RenderPool(pool_settings(settings), factory)


def pool_settings(settings: Settings) -> PoolSettings:
    """The part of the settings that lays out the pool."""
    return PoolSettings(
        devices=settings.device,
        workers=settings.workers,
        threads=settings.threads,
        log_level=logging.getLevelNamesMapping()[settings.log_level.upper()],
        log_format=settings.log_format,
    )


@asynccontextmanager
async def _run_parts(
    settings: Settings, pool_factory: PoolFactory, app: FastAPI
) -> AsyncIterator[None]:
    """Start everything in order and end it in reverse; whoever opens a part closes it."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with AsyncExitStack() as stack:
        executor = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="encode")
        stack.callback(executor.shutdown)
        pool = await _start_pool(settings, pool_factory)
        stack.push_async_callback(pool.close)
        all_streams = Streams(pool.avatars, settings.max_streams)
        _run_beside(stack, expire_streams(all_streams, settings.idle_stream_s))
        admission = Admission(settings.max_sessions, settings.max_waiting)
        if settings.max_sessions is None:
            _run_beside(stack, find_capacity(pool, admission, settings.fps, executor))
        sessions = Sessions(all_streams, pool, settings.fps, admission)
        stack.push_async_callback(sessions.close_all)
        if settings.demo:
            demo = _make_demo(all_streams, pool.avatars)
            _run_beside(stack, run_idle(demo, settings.fps))
        app.state.pool = pool
        app.state.streams = all_streams
        app.state.admission = admission
        app.state.sessions = sessions
        app.state.connect = _by_aiortc(settings, executor)
        app.state.connect_pictures = partial(
            PicturePeer, executor=executor, silence_s=settings.idle_session_s
        )
        yield


async def _start_pool(settings: Settings, pool_factory: PoolFactory) -> RenderPool:
    """Load the avatars and start the workers; what is wrong with either is the settings' fault."""
    try:
        pool = pool_factory(settings)
        await pool.start()
    except Exception as exc:
        logger.debug("the pool did not start", exc_info=exc)
        raise errors.SettingsError(
            f"the renderer did not start with avatars {settings.avatars} on device "
            f"{settings.device}: {exc}"
        ) from exc
    return pool


def _by_aiortc(settings: Settings, executor: Executor) -> Connect:
    options = PeerOptions(
        fps=settings.fps,
        codecs=parse_codecs(settings.codecs),
        open_h264=choose_h264(),
        start_bitrate=settings.start_bitrate_kbps and settings.start_bitrate_kbps * 1000,
        highest_bitrate=settings.max_bitrate_kbps * 1000,
        silence_s=settings.idle_session_s,
        ice_servers=settings.ice,
        reach=settings.reach,
    )

    def connect(session: Session) -> Peer:
        return AiortcPeer(session, options, executor)

    return connect


def _make_demo(all_streams: Streams, known: Mapping[str, AvatarInfo]) -> Stream:
    """A stream of the avatar that ships or else the first one, to stay for good."""
    demo = all_streams.create("default" if "default" in known else next(iter(known)), DEMO)
    demo.permanent = True
    return demo


def _run_beside(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Run something until the stack is closed."""
    stack.push_async_callback(_cancel, asyncio.create_task(work))


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _answer_ours(connection: HTTPConnection, error: Exception) -> Response | None:
    """Say what of `server.errors` went wrong; to a WebSocket that is open, by its close code."""
    assert isinstance(error, errors.TelewarpError)
    kind = next(kind for kind in STATUS if isinstance(error, kind))
    if isinstance(connection, WebSocket) and _is_open(connection):
        reason = str(error).encode()[:_LONGEST_REASON].decode(errors="ignore")
        await connection.close(_CLOSED_FOR + STATUS[kind], reason)
        return None
    headers = _headers(error, RETRY_AFTER_S.get(kind))
    answer = problem(STATUS[kind], str(error), headers, _extra(error))
    if isinstance(connection, WebSocket):
        await connection.send_denial_response(answer)
        return None
    return answer


def _extra(error: errors.TelewarpError) -> dict[str, object]:
    """What a program is to know about an error beside the words."""
    match error:
        case errors.BadLineError():
            return {
                "line": error.line,
                "accepted": error.accepted,
                "dropped": error.dropped,
                "last_seq": error.last_seq,
            }
        case errors.FullError():
            return {"reason": "full"}
        case errors.DrainingError():
            return {"reason": "draining"}
    return {}


def _is_open(socket: WebSocket) -> bool:
    return socket.application_state == WebSocketState.CONNECTED


def _headers(error: errors.TelewarpError, retry_after_s: int | None) -> dict[str, str]:
    """What a client is to know about an error beside the words."""
    if isinstance(error, errors.UnauthorizedError):  # RFC 6750, section 3
        why = ', error="invalid_token"' if isinstance(error, errors.BadTokenError) else ""
        return {"WWW-Authenticate": f'Bearer realm="telewarp"{why}'}
    if isinstance(error, errors.TooManyRequestsError):
        retry_after_s = error.retry_after_s
    return {"Retry-After": str(retry_after_s)} if retry_after_s else {}


async def _answer_http(request: Request, error: Exception) -> Response:
    """What the frameworks refuse by themselves: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    place = f"{request.method} {request.url.path}"
    match error.status_code:
        case 404:
            detail = f"expected a path of this server (see /docs), got {place}"
        case 405:
            allowed = (error.headers or {}).get("Allow", "another")
            detail = f"expected the method to be {allowed}, got {place}"
        case _:
            detail = error.detail
    return problem(error.status_code, detail, error.headers)


async def _answer_validation(request: Request, error: Exception) -> Response:
    """What FastAPI refuses by itself: path and query parameters."""
    assert isinstance(error, RequestValidationError)
    return problem(400, describe_errors(error.errors()))


async def _answer_unknown(request: Request, error: Exception) -> Response:
    """A fault of ours; the traceback is in the log, not in the answer."""
    return problem(500, "an internal error, which has been logged")


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> JSONResponse:
    """An RFC 9457 answer."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **(extra or {}),
    }
    return JSONResponse(content, status, headers, media_type=PROBLEM)


def _openapi(app: FastAPI) -> dict[str, Any]:
    """FastAPI's description, with the bodies that are parsed by hand and our form of errors."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            summary=app.summary,
            description=app.description,
            routes=app.routes,
        )
        documented: list[type[BaseModel]] = [*DOCUMENTED, Problem]
        _, ours = models_json_schema(
            [(model, "validation") for model in documented],
            ref_template="#/components/schemas/{model}",
        )
        components = schema.setdefault("components", {}).setdefault("schemas", {})
        components.update(ours["$defs"])
        for unused in ("HTTPValidationError", "ValidationError"):
            components.pop(unused, None)
        for path in schema["paths"].values():
            for operation in path.values():
                # FastAPI's own form; such errors come as a problem with status 400 instead.
                operation["responses"].pop("422", None)
        describe_refusals(schema, PROBLEM_CONTENT)
        app.openapi_schema = schema
    return app.openapi_schema
