"""uvicorn's HTTP protocol with time limits for requests, bounded reads, and refusals with reasons.

Uses private parts of uvicorn (`cycle`, `flow`): see the bounds in `pyproject.toml`.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from http import HTTPStatus
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from server.network.connections import Connections

HEAD_S = 10.0
"""Time in which a client must send the head of a request, seconds."""
BODY_PAUSE_S = 30.0
"""Longest pause of the sender of a body, seconds. Live bodies may pause for any time: TCP keepalive
ends those whose sender is lost."""
READ_BYTES = 8192
"""Bytes parsed in one step of the event loop. asyncio reads 256 kB at a time: as frames or chunks
of a few bytes they take half a second to parse."""
REFUSED_S = 1.0
"""Time for which data after an invalid request are read and dropped, seconds. A connection that is
closed while bytes are unread is reset, and the client may never see why it was refused."""
_VALID = "expected valid HTTP/1.1, got"
_LIVE = b"application/x-ndjson"
_QUOTED = re.compile(r": (?:b|bytearray\(b)['\"]")
"""Marks the start of text that h11 quotes from a request, which may be a secret."""
_ALONE = re.compile(rb"(?<!\r)\n|\r(?!\n|\Z)")
"""A malformed line end between chunks, after which h11 would wait for another one for ever."""


class HttpProtocol(H11Protocol):
    """HTTP/1.1 with a limit of the time that a head or a pause in a body takes."""

    limits: Connections | None = None
    """Receives the idle connections."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_is_of_head = False
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn narrows the type, too
        """Wait for a request."""
        limit_reads(transport)
        super().connection_made(transport)
        self._set_timer()

    def data_received(self, data: bytes) -> None:
        """Parse data and start the timeout of the next wait."""
        if self._refused:
            return
        if self.conn.their_state is h11.IDLE and not self.conn.trailing_data[0]:
            data = data.lstrip(b"\r\n")  # some clients send a line end after a body (RFC 9112, 2.2)
        super().data_received(data)
        if not self._refused and self._has_wrong_line():
            self._refuse(HTTPStatus.BAD_REQUEST, f"{_VALID}: a line of chunks without CR LF")
        if not self._refused:
            self._set_timer()

    def _has_wrong_line(self) -> bool:
        """Whether a line between chunks never ends; h11 buffers nothing else of a body."""
        waiting = self.cycle is not None and not self.cycle.response_complete
        if not waiting or self.conn.their_state is not h11.SEND_BODY:
            return False
        return _ALONE.search(self.conn.trailing_data[0]) is not None

    def send_400_response(self, msg: str) -> None:
        """Answer invalid HTTP with the reason; uvicorn calls this for errors of h11."""
        error = sys.exception()
        hint = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        # h11 suggests 501 for other transfer codings, but 400 is right: it is an error of the
        # client.
        status = hint if hint < 500 else 400
        self._refuse(HTTPStatus(status), f"{_VALID}: {_QUOTED.split(str(error or msg))[0]}")

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """End an incomplete request and its connection; answer with the reason if possible."""
        self._stop_waiting()
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True  # nothing of its body follows
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        self.transport.write(refusal(status, detail))
        self.transport.write_eof()
        self.loop.call_later(REFUSED_S, self.transport.close)

    def _should_upgrade(self) -> bool:
        # A server may ignore an upgrade (RFC 9110, 7.8); WebSockets begin with GET (RFC 6455, 4.1).
        return self.scope["method"] == "GET" and super()._should_upgrade()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Wait for the next request; uvicorn limits the time until its first byte."""
        super().on_response_complete()
        self._set_timer()

    def abort(self) -> None:
        """Close the connection at once."""
        self._stop_waiting()
        self.transport.abort()

    def _set_timer(self) -> None:
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._stop_waiting()  # closed, or meanwhile a WebSocket
        elif self.cycle is None or self.cycle.response_complete:
            if self.limits is not None and self.client is not None:
                self.limits.begin_idle(self, self.client[0])
            if self._timer is None or not self._timer_is_of_head:
                self._start_timer(HEAD_S, of_head=True)
        else:
            self._stop_waiting()
            if self.cycle.more_body and not self._is_live():
                self._start_timer(BODY_PAUSE_S, of_head=False)

    def _start_timer(self, seconds: float, of_head: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self._expire)
        self._timer_is_of_head = of_head

    def _stop_waiting(self) -> None:
        if self.limits is not None:
            self.limits.end_idle(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _is_live(self) -> bool:
        kind = next((value for name, value in self.headers if name == b"content-type"), b"")
        return kind.lower().startswith(_LIVE)

    def _expire(self) -> None:
        self._timer = None
        if not self._timer_is_of_head and self.flow.read_paused:
            self._start_timer(BODY_PAUSE_S, of_head=False)  # the client waits for the server
        elif not self._timer_is_of_head:
            detail = f"expected more of the body within {BODY_PAUSE_S:g} s, got nothing"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, detail)
        elif self.conn.their_state is h11.IDLE and self.conn.trailing_data[0]:
            detail = f"expected the head of a request within {HEAD_S:g} s, got a part"
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, detail)
        else:
            self.abort()


def http_protocol(connections: Connections) -> type[HttpProtocol]:
    """Return the protocol whose idle connections may be replaced by newer ones."""

    class Replaceable(HttpProtocol):
        limits = connections

    return Replaceable


def limit_reads(transport: asyncio.BaseTransport) -> None:
    """Make a transport read at most `READ_BYTES` at a time."""
    assert isinstance(getattr(transport, "max_size", None), int), "asyncio has renamed max_size"
    transport.max_size = READ_BYTES  # type: ignore[attr-defined]  # of selector transports; not in the type


def refusal(status: HTTPStatus, detail: str) -> bytes:
    """Return a response to a request that does not reach the application.

    Returns:
        Its bytes; the connection must be closed after them.
    """
    content = {
        "type": "about:blank",
        "title": status.phrase,
        "status": int(status),
        "detail": detail,
    }
    body = json.dumps(content).encode()
    head = (
        f"HTTP/1.1 {status:d} {status.phrase}\r\nContent-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body
