"""Runs a router until it is told to end."""

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
from pydantic import Field

from server.settings import Settings


class RouterSettings(Settings):
    """A router in front of many hosts. Of the server's options, those on access and page count."""

    reached: str = Field(
        default="http://*:*,ws://*:*",
        description="hosts that the page may connect to, as in a Content-Security-Policy: "
        "https://*.gpu.example.org,wss://*.gpu.example.org",
    )

    @property
    def host_sources(self) -> tuple[str, ...]:
        """CSP host sources of the hosts."""
        return tuple(source.strip() for source in self.reached.split(",") if source.strip())


class _Server(uvicorn.Server):
    """uvicorn that leaves signals to `serve`, or it would end by them again afterwards."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: FastAPI, listening: socket.socket, beside: Coroutine[Any, Any, None] | None = None
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        app: The router.
        listening: Where.
        beside: Runs meanwhile.
    """
    config = uvicorn.Config(
        app, loop="asyncio", lifespan="off", log_config=None, access_log=False, server_header=False
    )
    server = _Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, setattr, server, "should_exit", True)
    keeping = asyncio.create_task(beside) if beside is not None else None
    try:
        await server.serve(sockets=[listening])
    finally:
        if keeping is not None:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping


def address_of(listening: socket.socket) -> str:
    """Where a listening socket is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def say(text: str, stream: TextIO | None = None) -> None:
    """Tell the person who started the program."""
    print(text, file=stream or sys.stdout, flush=True)
