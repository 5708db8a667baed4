"""Middleware that reads the rest of a request's body before it answers.

Many clients, such as Python's `urllib`, send a whole body before they read the answer. If the
server answers and closes the connection while bytes are unread, the kernel resets the connection
and the client never sees why it was refused.
"""

from __future__ import annotations

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BYTES = 64 * 1024 * 1024
"""Larger than every body that the defaults allow; senders of more may lose the answer."""
LONGEST_S = 10.0
"""Timeout for bodies of announced length, seconds."""
LONGEST_LIVE_S = 0.5
"""Timeout for bodies of unknown length, seconds; they may be live and never end, and their senders
read meanwhile."""


class UnreadBodies:
    """ASGI middleware around the whole application; the outermost one.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body = _Body(Headers(scope=scope), receive)

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                await body.discard()
            await send(message)

        await self._app(scope, body.receive, send_after_body)


class _Body:
    """The unread part of the body of one request."""

    def __init__(self, headers: Headers, receive: Receive) -> None:
        self._receive = receive
        announced = headers.get("content-length", "")
        self._length = int(announced) if announced.isdigit() else None
        self._waiting = headers.get("expect", "").lower() == "100-continue"
        """Whether the client waits for `100 Continue` before it sends the body."""
        self._ended = not self._length and "transfer-encoding" not in headers

    async def receive(self) -> Message:
        message = await self._receive()
        self._waiting = False
        self._ended |= message["type"] != "http.request" or not message.get("more_body", False)
        return message

    async def discard(self) -> None:
        """Read the rest within the limits, unless the client waits for the answer to send it."""
        if self._ended or self._waiting or (self._length or 0) > MOST_BYTES:
            return
        discarded = 0
        try:
            async with asyncio.timeout(LONGEST_LIVE_S if self._length is None else LONGEST_S):
                while not self._ended and discarded <= MOST_BYTES:
                    discarded += len((await self.receive()).get("body", b""))
        except TimeoutError:
            return
