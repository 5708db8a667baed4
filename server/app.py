"""Assemble the parts of the server into one FastAPI application."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

from fastapi import FastAPI, Request, Response

from models.contract.avatar_info import AvatarInfo
from server import errors
from server.admission.admission import Admission
from server.admission.capacity import find_capacity
from server.admission.shares import UNLIMITED, Shares
from server.auth.addresses import address_matcher
from server.avatar_store.command import JobLimits
from server.avatar_store.jobs import AvatarJobs, StoreLimits
from server.avatar_store.store import AvatarStore
from server.awake_clock import AwakeClock
from server.background import BackgroundTasks
from server.calls.calls import Calls
from server.drivers.drivers import Drivers, check_drivers
from server.encoding.codecs import parse_codecs
from server.encoding.nvenc import choose_h264
from server.http import (
    avatar_jobs,
    avatars,
    calls,
    health,
    jpeg_socket,
    load,
    queue,
    recordings,
    render,
    stills,
    streams,
    whep,
    whip,
)
from server.http.access import install_access, methods_of
from server.http.docs import docs_routes
from server.http.locations import Locations
from server.http.openapi import DESCRIPTION, openapi
from server.http.problems import answer_errors
from server.http.request_forms import RequestForms
from server.http.streaming_requests import StreamingRequests
from server.http.unread_bodies import UnreadBodies
from server.http.viewer_page import viewer_route
from server.network.connections import Connections, limit_connections
from server.pool.engine_factory import ModelEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.pool.sizing import available_cores, default_warp_threads
from server.publications.publications import (
    ConnectPublisher,
    Publication,
    PublicationPeer,
    Publications,
)
from server.recordings.recordings import RecordingLimits, Recordings
from server.recordings.replay import Replays
from server.sessions.expiry import end_expired_sessions
from server.sessions.peer import Peer
from server.sessions.registry import Connect, Sessions
from server.sessions.session import Session
from server.sessions.stills import Stills
from server.settings import Settings
from server.streams.expiry import expire_streams
from server.streams.idle_animation import run_idle_animation
from server.streams.streams import Stream, Streams
from server.transport.jpeg_socket import JpegPeer
from server.transport.webrtc.peer import AiortcPeer, PeerOptions
from server.transport.webrtc.publisher import AiortcPublisher, PublisherOptions
from server.version import VERSION

logger = logging.getLogger(__name__)

_Handler = Callable[[Request, Exception], Awaitable[Response]]
PoolFactory = Callable[[Settings], RenderPool]

ROUTERS = (
    jpeg_socket.router,
    whep.router,
    whip.router,
    queue.router,
    streams.router,
    calls.router,
    avatar_jobs.router,  # before `avatars`, whose paths match too
    avatars.router,
    recordings.router,
    render.router,
    stills.router,
    health.router,
    load.router,
)
DEMO = "demo"
SWITCH_INTERVAL_S = 0.0005
"""Switch interval of Python threads, seconds: at the default of 5 ms, encoder and warp threads
block the event loop and add several milliseconds to every frame."""


def create_app(
    settings: Settings,
    pool_factory: PoolFactory | None = None,
    connections: Connections | None = None,
) -> FastAPI:
    """Build the server.

    Args:
        settings: Options of the server.
        pool_factory: Creates the pool; by default one of real renderers.
        connections: Counts the TCP connections, for the metrics; by default none are counted.
    """
    app = FastAPI(
        title="Telewarp",
        version=VERSION,
        summary="Real-time telepresence rendering",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=partial(_run_parts, settings, pool_factory or build_pool),
    )
    app.state.settings = settings
    app.state.live = StreamingRequests()
    app.state.ice_servers = settings.ice
    app.state.connections = connections or limit_connections(
        settings.max_address_connections, address_matcher(settings.proxies)
    )
    page = viewer_route(settings.client)
    methods = methods_of((page, *(route for router in ROUTERS for route in router.routes)))
    install_access(app, settings, methods, public_url=settings.public_url)
    check_drivers(settings)
    app.add_middleware(Locations)
    app.add_middleware(UnreadBodies)  # outermost but one: also for refusals of the others
    app.add_middleware(RequestForms)
    for router in ROUTERS:
        app.include_router(router)
    app.router.routes.extend((*docs_routes(), page))
    answer_errors(app)
    app.openapi = partial(openapi, app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def build_pool(settings: Settings) -> RenderPool:
    """Return a pool of real renderers."""
    cores = settings.cores or available_cores()
    threads = default_warp_threads(cores)
    factory = ModelEngineFactory(settings.avatars, threads, settings.cuda_kernels)
    return RenderPool(pool_settings(settings), factory)


def pool_settings(settings: Settings) -> PoolSettings:
    """Return the settings of the pool."""
    return PoolSettings(
        devices=settings.device,
        warp_in=settings.warp_in,
        workers=settings.workers,
        cores=settings.cores,
        threads=settings.threads,
        largest_frame=settings.max_frame_size,
        smallest_frame=settings.min_frame_size,
        largest_image=settings.max_still_size,
        mark=settings.watermark,
        log_level=logging.getLevelNamesMapping()[settings.log_level.upper()],
        log_format=settings.log_format,
    )


def shares_of(settings: Settings) -> Shares:
    """Return the shares of the server that one viewer may use; all of it on its own machine."""
    if settings.tokens is not None:
        return Shares(settings.max_token_share, settings.max_address_share)
    if settings.insecure:
        return Shares(None, settings.max_address_share)
    return UNLIMITED


@asynccontextmanager
async def _run_parts(
    settings: Settings, pool_factory: PoolFactory, app: FastAPI
) -> AsyncIterator[None]:
    """Start all parts in order and close them in reverse order."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    async with AsyncExitStack() as stack:
        executor = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="encode")
        stack.callback(executor.shutdown)
        clock = AwakeClock()
        pool = await _start_pool(settings, pool_factory, clock)
        stack.push_async_callback(pool.close)
        all_streams = Streams(pool.avatars, settings.max_streams, clock.now)
        background = app.state.background = BackgroundTasks()
        stack.push_async_callback(background.close)
        background.start("run the clock", clock.run)
        background.start(
            "expire streams", partial(expire_streams, all_streams, settings.idle_stream_s)
        )
        app.state.pool, app.state.streams = pool, all_streams
        await _start_avatar_store(settings, app)
        admission = app.state.admission = _open_admission(settings, app, clock, executor)
        largest = settings.max_still_size
        all_stills = Stills(pool, largest, executor) if largest else None
        sessions = Sessions(all_streams, pool, settings.fps, admission, all_stills)
        stack.push_async_callback(sessions.close_all)
        app.state.sessions = sessions
        background.start("end expired sessions", partial(end_expired_sessions, sessions))
        if settings.demo:
            demo = _make_demo(all_streams, pool.avatars)
            background.start("animate the demo", partial(run_idle_animation, demo, settings.fps))
        _open_publishing(settings, app, clock, stack)
        app.state.connect = _webrtc_connector(settings, executor, clock, pool.devices)
        app.state.connect_jpeg = partial(
            JpegPeer, executor=executor, silence_s=settings.idle_session_s, clock=clock.now
        )
        yield


async def _start_avatar_store(settings: Settings, app: FastAPI) -> None:
    """Load the avatars of the store, and resume its jobs."""
    store = _open_avatar_store(settings, app.state.pool, app.state.streams)
    jobs = _open_avatar_jobs(settings, store)
    app.state.avatar_store, app.state.avatar_jobs = store, jobs
    if store is not None and jobs is not None:
        await store.restore()  # before all parts that refer to avatars
        app.state.background.start("make avatars", jobs.run)


def _open_admission(
    settings: Settings, app: FastAPI, clock: AwakeClock, executor: Executor
) -> Admission:
    """Return the admission, whose limit is measured unless it is set."""
    admission = Admission(
        settings.max_sessions, settings.max_queue_length, clock.now, shares_of(settings)
    )
    if settings.max_sessions is None:
        app.state.background.start(
            "measure the capacity",
            partial(
                find_capacity, app.state.pool, admission, settings.fps, executor, settings.cores
            ),
        )
    return admission


def _open_publishing(
    settings: Settings, app: FastAPI, clock: AwakeClock, stack: AsyncExitStack
) -> None:
    """Open the parts that drive streams: calls, recordings, drivers and publications."""
    all_streams: Streams = app.state.streams
    app.state.calls = Calls(all_streams, settings.max_calls, settings.call_grace_s, clock.now)
    app.state.background.start("end abandoned seats", app.state.calls.free_abandoned_seats)
    app.state.recordings = _open_recordings(settings)
    app.state.replays = Replays()
    stack.push_async_callback(app.state.replays.close)
    if app.state.recordings is not None:
        stack.push_async_callback(app.state.recordings.close)
    app.state.drivers = Drivers(settings, all_streams)
    stack.callback(app.state.drivers.close)
    app.state.publications = Publications()
    stack.push_async_callback(app.state.publications.close_all)
    app.state.connect_publisher = _publisher_connector(settings, clock)


async def _start_pool(
    settings: Settings, pool_factory: PoolFactory, clock: AwakeClock
) -> RenderPool:
    """Load the avatars and start the workers; a failure of either is an error of the settings."""
    try:
        pool = pool_factory(settings)
        await pool.start(clock.now)
    except Exception as exc:
        logger.debug("the pool did not start", exc_info=exc)
        raise errors.SettingsError(
            f"the renderer did not start with avatars {settings.avatars} on device "
            f"{settings.device}: {exc}"
        ) from exc
    return pool


def _webrtc_connector(
    settings: Settings, executor: Executor, clock: AwakeClock, devices: Sequence[str]
) -> Connect:
    for device in devices:
        choose_h264(device)  # probed now, because it would delay the frames of other viewers
    options = PeerOptions(
        fps=settings.fps,
        codecs=parse_codecs(settings.codecs),
        open_h264=choose_h264,
        start_bitrate=settings.start_bitrate_kbps and settings.start_bitrate_kbps * 1000,
        highest_bitrate=settings.max_bitrate_kbps * 1000,
        silence_s=settings.idle_session_s,
        clock=clock.now,
        ice_servers=settings.ice,
        reachability=settings.reachability,
        candidates=settings.candidates,
    )

    def connect(session: Session) -> Peer:
        return AiortcPeer(session, options, executor)

    return connect


def _publisher_connector(settings: Settings, clock: AwakeClock) -> ConnectPublisher:
    options = PublisherOptions(
        longest_message=settings.longest_line,
        silence_s=settings.idle_session_s,
        clock=clock.now,
        ice_servers=settings.ice,
        reachability=settings.reachability,
        candidates=settings.candidates,
    )

    def connect(publication: Publication) -> PublicationPeer:
        return AiortcPublisher(publication, options)

    return connect


def _open_recordings(settings: Settings) -> Recordings | None:
    if settings.recordings is None:
        return None
    limits = RecordingLimits(
        size=round(settings.max_recording_mb * 1e6),
        length_s=settings.max_recording_s,
        number=settings.max_recordings,
    )
    return Recordings(settings.recordings, limits)


def _open_avatar_store(
    settings: Settings, pool: RenderPool, all_streams: Streams
) -> AvatarStore | None:
    if settings.avatar_store is None:
        return None
    return AvatarStore(settings.avatar_store, pool, all_streams)


def _open_avatar_jobs(settings: Settings, store: AvatarStore | None) -> AvatarJobs | None:
    if settings.avatar_store is None or store is None:
        return None
    limits = StoreLimits(
        avatars=settings.max_avatars,
        jobs=settings.max_avatar_jobs,
        upload=round(settings.max_upload_mb * 1e6),
        job=JobLimits(
            disk=round(settings.max_job_disk_mb * 1e6),
            memory=round(settings.max_job_memory_mb * 1e6),
            time_s=60 * settings.max_job_minutes,
        ),
    )
    return AvatarJobs(settings.avatar_store, store, limits)


def _make_demo(all_streams: Streams, known: Mapping[str, AvatarInfo]) -> Stream:
    """Create a permanent stream of the avatar `default`, or else of the first one."""
    demo = all_streams.create("default" if "default" in known else next(iter(known)), DEMO)
    demo.permanent = True
    return demo
