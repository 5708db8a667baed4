"""uvicorn's WebSocket protocol with bounded reads, messages and answers to pings.

Uses private parts of uvicorn (`frames`, `conn`): see the bounds in `pyproject.toml`.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode, Frame

from server.network.http_protocol import limit_reads, refusal

MOST_FRAGMENTS = 4096
"""Maximum number of fragments of one message. Its bytes are limited, but empty fragments have none,
and each is kept until the message ends. The longest message, 2 MB, has 500 fragments of 4 kB."""


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """WebSocket with bounded reads, messages and answers to pings."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held_pong: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Limit reads."""
        limit_reads(transport)
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Parse data, and answer handshakes that websockets cannot parse, as it gives no reason."""
        super().data_received(data)
        error = self.conn.handshake_exc
        if error is not None and not self.handshake_initiated and not self.transport.is_closing():
            why = f"expected the handshake of a WebSocket, got an error: {_reason(error)}"
            self.transport.write(refusal(HTTPStatus.BAD_REQUEST, why))
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        """Keep a fragment, unless there are too many."""
        if len(self.frames) >= MOST_FRAGMENTS:
            reason = f"expected at most {MOST_FRAGMENTS} fragments"
            self._fail(CloseCode.MESSAGE_TOO_BIG, reason)
        else:
            super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Pass a message on; invalid UTF-8 is an error of the client, and not logged."""
        if self.curr_msg_data_type == "text":
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError as exc:
                self._fail(CloseCode.INVALID_DATA, f"expected UTF-8, got an error: {exc.reason}")
                return
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Answer a ping; only the newest one while a client does not read (RFC 6455, 5.5.3)."""
        pong = b"".join(self.conn.data_to_send())
        if self.writable.is_set():
            self.transport.write(pong)
        else:
            self._held_pong = pong

    def resume_writing(self) -> None:
        """Send the pong that waits for the client to read."""
        super().resume_writing()
        pong, self._held_pong = self._held_pong, None
        if pong is not None and not self.close_sent:
            self.transport.write(pong)

    def _fail(self, code: CloseCode, reason: str) -> None:
        self.frames = []
        if not self.close_sent:
            self.conn.fail(code, reason)
            self.handle_parser_exception()


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error)[:200]
