"""JPEG fallback over a WebSocket, for networks that block WebRTC."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from server.auth.grants import Scope
from server.errors import SessionClosedError, SessionNotFoundError
from server.http.authorization import TheGrant, needs
from server.http.dependencies import TheConnectJpeg, TheSessions
from server.http.paced_messages import paced_messages
from server.protocol.background import parse_background
from server.protocol.display import parse_display
from server.protocol.message_rate import MessageRate
from server.transport.jpeg_socket import JPEG, JpegPeer

router = APIRouter(prefix="/v1/streams", tags=["watching"])

_MESSAGES_PER_S = 500.0
"""Messages of one viewer that are parsed: a view and a mesh frame per frame at 120 frames per
second, their acknowledgements, and as many again."""
_TICKET = "telewarp.ticket."
"""Prefix of the subprotocol that carries a ticket."""


class _Socket:
    """One viewer's WebSocket, for a peer that is independent of the transport."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def send_text(self, text: str) -> None:
        try:
            await self._socket.send_text(text)
        except (WebSocketDisconnect, RuntimeError) as exc:  # the latter after it was closed
            raise ConnectionError("the viewer has disconnected") from exc

    async def send_bytes(self, data: bytes) -> None:
        try:
            await self._socket.send_bytes(data)
        except (WebSocketDisconnect, RuntimeError) as exc:
            raise ConnectionError("the viewer has disconnected") from exc


@router.websocket("/{stream_id}/pictures", dependencies=[needs(Scope.VIEW)])
async def stream_jpeg(
    socket: WebSocket,
    stream_id: str,
    sessions: TheSessions,
    connect: TheConnectJpeg,
    grant: TheGrant,
    background: str | None = None,
    display: str | None = None,
) -> None:
    """Send a stream as JPEG images, each after a `frame` event as text.

    `background` and `display` of the address are those of WHEP; over nothing each image is layered
    as a frame is.

    The viewer sends views and mesh frames on the same socket, and acknowledges each image with
    `{"type": "shown", "picture": n}`; the next one is sent only then.
    """
    await socket.accept()  # first, because a browser does not learn why a socket was not accepted
    carrier = _Socket(socket)
    backdrop, display_px = parse_background(background), parse_display(display)
    session, _ = await sessions.open(
        stream_id,
        lambda session: connect(session, carrier),
        JPEG,
        grant,
        _ticket(socket),
        backdrop,
        display_px,
    )
    peer = session.peer
    assert isinstance(peer, JpegPeer)
    reading = asyncio.create_task(_read(socket, peer))
    ended = asyncio.create_task(peer.ended.wait())
    try:
        await asyncio.wait({reading, ended}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        left = reading.done()
        for task in (reading, ended):
            task.cancel()
        with suppress(SessionNotFoundError):  # it has ended by itself
            await sessions.close(session.id)
    if left:
        await reading  # raises where the viewer was disconnected for its rate
    else:
        reason = session.ended_because or "the session has ended"
        raise peer.failure or SessionClosedError(reason)


def _ticket(socket: WebSocket) -> str | None:
    """Return the ticket from the subprotocols: a browser's WebSocket cannot set headers."""
    offered = socket.scope.get("subprotocols", ())
    return next((o.removeprefix(_TICKET) for o in offered if o.startswith(_TICKET)), None)


async def _read(socket: WebSocket, peer: JpegPeer) -> None:
    """Pass the viewer's messages to the peer until it disconnects; drop those above the rate."""
    rate = MessageRate(_MESSAGES_PER_S, _MESSAGES_PER_S)
    async for text, within_rate in paced_messages(socket, rate):
        if within_rate:
            peer.receive(text)
