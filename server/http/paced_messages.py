"""The messages of a WebSocket, each with whether it is within the rate of its sender."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.websockets import WebSocket

from server.errors import FloodError
from server.protocol.message_rate import FLOOD_FACTOR, MessageRate

_DROPS_PER_PAUSE = 2 * int(FLOOD_FACTOR)
"""Dropped messages between two pauses. Up to this multiple of its rate a sender is read as fast as
it sends, so that the newest message counts; beyond it, TCP slows the sender down. Higher than the
factor of a flood, which could not be detected otherwise."""


async def paced_messages(
    socket: WebSocket, rate: MessageRate
) -> AsyncIterator[tuple[str | bytes, bool]]:
    """Yield the messages of a socket until it is closed.

    The newest message above the rate is held until the rate permits it, or a newer one replaces it.

    Yields:
        A message, and whether it is within the rate; otherwise it should be counted and dropped.

    Raises:
        FloodError: If the sender floods, see `MessageRate.flooding`.
    """
    held: str | bytes | None = None
    while True:
        try:
            async with asyncio.timeout(None if held is None else rate.wait_s()):
                message = await socket.receive()
        except TimeoutError:
            if held is not None and rate.take():
                yield held, True
                held = None
            continue
        if held is not None:
            yield held, message["type"] == "websocket.disconnect"
            held = None
        if message["type"] == "websocket.disconnect":
            return
        text = message.get("text") or message.get("bytes") or ""
        if rate.take():
            yield text, True
            continue
        held = text
        if rate.flooding:
            raise FloodError("expected fewer messages: far above the rate for too long")
        await let_others_run(rate)


async def let_others_run(rate: MessageRate) -> None:
    """Let other tasks run after a dropped message, and pause after some."""
    due = rate.dropped % _DROPS_PER_PAUSE == 0
    await asyncio.sleep(rate.wait_s() if due else 0)
