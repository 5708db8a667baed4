"""The command `python -m server`: reads the settings, listens, serves, and exits on a signal."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import uvicorn
from fastapi import FastAPI

from server import logs
from server.access_settings import log_former_names
from server.admission.draining import drain
from server.app import PoolFactory, create_app
from server.auth.addresses import address_matcher
from server.errors import NotReadyError, SettingsError
from server.http.streaming_requests import StreamingRequests
from server.line_writer import LineWriter
from server.logs import LogFormat
from server.network.connections import Connections, limit_connections
from server.network.http_protocol import http_protocol
from server.network.listening import listen
from server.network.websocket_protocol import WebSocketProtocol
from server.pool.pool import RenderPool
from server.settings import Settings, read_settings

logger = logging.getLogger("server")

_SHUTDOWN_TIMEOUT_S = 2
"""Time for running requests, such as still images, to finish at the end, seconds."""
_FIRST_WORKER_S = 120.0


class _Server(uvicorn.Server):
    """uvicorn, ended by signals with exit code 0; SIGTERM lets viewers leave first.

    It also ends, with exit code 1, when the last device is lost.

    Args:
        config: uvicorn's own.
        app: What it serves.
        drain_timeout_s: How long viewers have to leave.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI, drain_timeout_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_timeout_s = drain_timeout_s
        self._draining: asyncio.Task[None] | None = None
        self.device_lost = False
        """Whether the server ended because no device could render any more."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Drain at a first SIGTERM, end at a first SIGINT; at a second signal, end at once."""
        first = self._draining is None and not self.should_exit
        if first and sig == signal.SIGTERM:
            self._draining = asyncio.create_task(self._drain())
            return
        self.force_exit = not first
        self._end()

    async def end_when_lost(self) -> None:
        """End once no device can render in this process any more.

        The context of a failed GPU ends only with its process, so the supervisor of the server has
        to start another one.
        """
        pool: RenderPool = self._app.state.pool
        await pool.lost.wait()
        self.device_lost = True
        logger.error("no device can be used by this process any more, ending: %s", pool.reason)
        self._end()

    async def _drain(self) -> None:
        state = self._app.state
        await drain(state.admission, state.sessions.broadcast, self._drain_timeout_s)
        self._end()

    def _end(self) -> None:
        self.should_exit = True
        live: StreamingRequests = self._app.state.live
        live.end_all()  # live bodies, which uvicorn would wait for

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Handle signals on the event loop, and do not raise them again afterwards."""
        loop = asyncio.get_running_loop()
        signals = (signal.SIGINT, signal.SIGTERM)
        for number in signals:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)


def main(arguments: list[str], pool_factory: PoolFactory | None = None) -> int:
    """Run the server until SIGINT or SIGTERM.

    Args:
        arguments: The command line, without the program's name.
        pool_factory: Creates the pool; by default one of real renderers.

    Returns:
        The process's exit code.
    """
    log_format: LogFormat = "text"
    try:
        settings = read_settings(arguments)
        log_format = settings.log_format
        level = logging.getLevelNamesMapping()[settings.log_level.upper()]
        logs.configure(log_format, level)
        log_former_names(Settings, arguments)
        connections = limit_connections(
            settings.max_address_connections, address_matcher(settings.proxies)
        )
        with listen(settings.host, settings.port, connections) as listening:
            return asyncio.run(_serve(settings, listening, connections, pool_factory))
    except SettingsError as exc:
        _announce(f"Telewarp cannot start: {exc}", log_format, False)
        return 1


async def _serve(
    settings: Settings,
    listening: socket.socket,
    connections: Connections,
    pool_factory: PoolFactory | None,
) -> int:
    app = create_app(settings, pool_factory, connections)
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=http_protocol(connections),
        ws=WebSocketProtocol,
        lifespan="off",  # run here, so that errors at the start are raised here
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # see server/auth/addresses.py: uvicorn trusts every local client
        ws_max_size=settings.longest_line,
        ws_per_message_deflate=False,  # JPEG is already compressed; it would take 1 ms per image
        timeout_graceful_shutdown=_SHUTDOWN_TIMEOUT_S,
    )
    async with app.router.lifespan_context(app):
        _freeze_loaded_objects()  # only now, because the start of the parts loads the models
        server = _Server(config, app, settings.drain_timeout_s)
        tasks = [
            asyncio.create_task(_announce_address(app, server, listening)),
            asyncio.create_task(server.end_when_lost()),
        ]
        try:
            await server.serve(sockets=[listening])
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
    return 1 if server.device_lost else 0


def _freeze_loaded_objects() -> None:
    """Exclude all permanent objects, above all torch's modules, from garbage collection.

    Python runs a full collection only once the new objects amount to a quarter of those that the
    last one found. With 300 000 permanent objects, the few hundred of a closed connection were kept
    until hundreds more had closed, each with its encoder and frames. The second collection resets
    the count that the threshold is computed from.
    """
    gc.collect()
    gc.freeze()
    gc.collect()


async def _announce_address(app: FastAPI, server: uvicorn.Server, listening: socket.socket) -> None:
    """Print the address of the server once it can render."""
    while not server.started:
        await asyncio.sleep(0.05)
    pool: RenderPool = app.state.pool
    log_format = app.state.settings.log_format
    host, port = listening.getsockname()[:2]
    shown = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    address = f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"
    try:
        await pool.wait_ready(_FIRST_WORKER_S)
    except NotReadyError as exc:
        _announce(f"Telewarp answers at {address}, but cannot render yet: {exc}", log_format, False)
    else:
        _announce(f"Telewarp is showing the face at {address}", log_format, True)


def _announce(text: str, log_format: LogFormat, good: bool) -> None:
    """Print a line for the operator, or log it as JSON where the log is JSON."""
    if log_format == "json":
        logs.announce(logger, text, logging.INFO if good else logging.ERROR)
    else:
        writer = LineWriter(sys.stdout if good else sys.stderr)
        writer.write(text)
        if not good:
            writer.flush()  # the program may exit now
