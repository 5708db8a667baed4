"""Serve a router until SIGINT or SIGTERM."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import uvicorn
from fastapi import FastAPI

from server.network.connections import Connections
from server.network.http_protocol import http_protocol
from server.network.websocket_protocol import WebSocketProtocol


class _Server(uvicorn.Server):
    """uvicorn without signal handlers; its own would raise the signal again after the end."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: FastAPI,
    listening: socket.socket,
    connections: Connections,
    background: Coroutine[Any, Any, None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        app: The router.
        listening: The listening socket.
        connections: The limits of that socket.
        background: Runs until the router ends, then is cancelled.
    """
    config = uvicorn.Config(
        app,
        loop="asyncio",
        http=http_protocol(connections),
        ws=WebSocketProtocol,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # see server/auth/addresses.py: uvicorn trusts every local client
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    background_task = asyncio.create_task(background) if background is not None else None
    try:
        await server.serve(sockets=[listening])
    finally:
        if background_task is not None:
            background_task.cancel()
            with suppress(asyncio.CancelledError):
                await background_task


def address_of(listening: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def print_line(text: str, stream: TextIO | None = None) -> None:
    """Print a line to standard output, or to another stream, and flush it."""
    stream = stream or sys.stdout
    # One call: `print` writes the newline separately if the stream is not buffered, and a line of
    # the log, which another thread writes, could come between.
    stream.write(f"{text}\n")
    stream.flush()
