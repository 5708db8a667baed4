"""Middleware for forms of requests that HTTP requires and the framework lacks.

`HEAD` is answered wherever `GET` is, without the body (RFC 9110, 9.3.2). A target may be a whole
address, as clients of proxies write it (RFC 9112, 3.2.2). A `Range` of another unit than bytes, or
in no valid form, counts as none (RFC 9110, 14.2); one beyond the file is refused with the reason.
"""

from __future__ import annotations

import re
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.http.problems import problem

_ADDRESS = re.compile(r"(?i)(?:https?|wss?)://[^/]*")
_UNSATISFIABLE = 416
_RANGES = re.compile(rb"(?i)bytes *= *(?:(?:\d{1,18}-(?:\d{1,18})?|-\d{1,18})(?: *, *|$))+")


class RequestForms:
    """ASGI middleware around the whole application.

    Args:
        app: The application, which sees `GET`, a path, and ranges that it can read.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        without_body = scope.get("method") == "HEAD"

        refused = False

        async def send_without_body(message: Message) -> None:
            await send({**message, "body": b""} if "body" in message else message)

        async def send_readable(message: Message) -> None:
            nonlocal refused
            if message.get("status") == _UNSATISFIABLE:
                refused = True
                await _refuse_range(scope, message, receive, sent)
            elif not refused:
                await sent(message)

        sent = send_without_body if without_body else send
        await self._app({**scope, **_plain(scope)}, receive, send_readable)


async def _refuse_range(scope: Scope, message: Message, receive: Receive, send: Send) -> None:
    """Answer with the status of the framework, and the reason that it lacks."""
    size = Headers(raw=message["headers"]).get("content-range", "")
    wanted = Headers(scope=scope).get("range", "")[:60]
    detail = f"expected ranges within {size.rpartition('/')[2]} bytes, got {wanted}"
    await problem(_UNSATISFIABLE, detail, {"Content-Range": size})(scope, receive, send)


def _plain(scope: Scope) -> dict[str, Any]:
    """Return the changed values of a scope."""
    changed: dict[str, Any] = {}
    if scope.get("method") == "HEAD":
        changed["method"] = "GET"
    if (address := _ADDRESS.match(scope["path"])) is not None:
        changed["path"] = scope["path"][address.end() :] or "/"
        raw = _ADDRESS.match(scope.get("raw_path", b"").decode("latin-1"))
        if raw is not None:
            changed["raw_path"] = scope["raw_path"][raw.end() :] or b"/"
    ranges = [value for name, value in scope["headers"] if name == b"range"]
    if not all(_is_readable(value) for value in ranges) or len(ranges) > 1:
        changed["headers"] = [pair for pair in scope["headers"] if pair[0] != b"range"]
    return changed


def _is_readable(ranges: bytes) -> bool:
    """Whether each range has an end that is not before its start."""
    if _RANGES.fullmatch(ranges.strip()) is None:
        return False
    parts = (part.strip() for part in ranges.partition(b"=")[2].split(b","))
    ends = (part.split(b"-") for part in parts if part)  # a list may end with a comma
    return all(not first or not last or int(first) <= int(last) for first, last in ends)
