"""A real server for all HTTP and WebRTC tests: uvicorn on a free port, with the fake engine."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import pytest
import uvicorn
from fastapi import FastAPI

from server.app import PoolFactory, create_app, pool_settings
from server.network.http_protocol import http_protocol
from server.network.listening import listen
from server.network.websocket_protocol import WebSocketProtocol
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.settings import Settings

READY_S = 30.0


@dataclass(frozen=True)
class Served:
    """A running server."""

    app: FastAPI
    host: str
    port: int
    loop: asyncio.AbstractEventLoop
    """Event loop of the server, in a thread of its own."""

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def fake_pool(settings: Settings) -> RenderPool:
    return RenderPool(pool_settings(settings), FakeEngineFactory())


async def _serve(
    app: FastAPI,
    listening: socket.socket,
    started: Future[asyncio.AbstractEventLoop],
    stop: threading.Event,
    ready_s: float,
) -> None:
    async with app.router.lifespan_context(app):
        await app.state.pool.wait_ready(ready_s)
        longest = app.state.settings.longest_line
        config = uvicorn.Config(
            app,
            http=http_protocol(app.state.connections),
            ws=WebSocketProtocol,
            lifespan="off",
            log_config=None,
            ws_max_size=longest,
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        started.set_result(asyncio.get_running_loop())
        await asyncio.to_thread(stop.wait)
        server.should_exit = True
        await serving


@contextmanager
def serving(
    settings: Settings, pool_factory: PoolFactory = fake_pool, ready_s: float = READY_S
) -> Iterator[Served]:
    """Run a server in a thread until the block ends; fail unless it is ready within `ready_s`."""
    app = create_app(settings, pool_factory)
    listening = listen(settings.host, settings.port)
    started: Future[asyncio.AbstractEventLoop] = Future()
    stop = threading.Event()

    def run() -> None:
        try:
            asyncio.run(_serve(app, listening, started, stop, ready_s))
        except BaseException as exc:
            if not started.done():
                started.set_exception(exc)
            raise

    thread = threading.Thread(target=run, name="server")
    thread.start()
    try:
        loop = started.result(ready_s + 10)
        host, port = listening.getsockname()
        yield Served(app, host, port, loop)
    finally:
        stop.set()
        thread.join(20)
        listening.close()


@pytest.fixture(scope="session")
def served() -> Iterator[Served]:
    settings = Settings(
        port=0,
        workers=1,
        max_sessions=3,
        max_frame_size=320,
        max_streams=40,
        max_body_mb=0.1,
        max_line_kb=20,
        max_frames=8,
        idle_session_s=2.5,
        demo=False,
    )
    with serving(settings) as running:
        yield running


@pytest.fixture
def http(served: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=served.url, timeout=10) as client:
        yield client


@pytest.fixture
def stream(http: httpx2.Client) -> Iterator[str]:
    """Create a stream for one test; return its id."""
    created = http.post("/v1/streams", json={}).json()["id"]
    yield created
    http.delete(f"/v1/streams/{created}")
