"""Errors as `application/problem+json` (RFC 9457); the one place with their status codes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.routing import Match
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocketState

from models.contract.shown_text import quoted, shown
from server import errors
from server.auth.redirect_tokens import request_of
from server.http.bodies import PROBLEM
from server.protocol.json_text import describe_errors

logger = logging.getLogger(__name__)

_Handler = Callable[[Request, Exception], Awaitable[Response]]

STATUS: Mapping[type[errors.TelewarpError], int] = {
    # The first match counts, so subclasses stand before their parents.
    errors.BadMessageError: 400,
    errors.IceRestartError: 422,
    errors.BadOfferError: 400,
    errors.MediaTypeError: 415,
    errors.TooLargeError: 413,
    errors.LimitError: 429,
    errors.UnauthorizedError: 401,
    errors.ForbiddenError: 403,
    errors.NotFoundError: 404,
    errors.StreamExistsError: 409,
    errors.AvatarExistsError: 409,
    errors.CallFullError: 409,
    errors.SeatResumedError: 409,
    errors.VoiceTakenError: 409,
    errors.StreamClosedError: 410,
    errors.SessionClosedError: 410,
    errors.PreconditionError: 412,
    errors.PoolBusyError: 503,
    errors.DrainingError: 503,
    errors.NotReadyError: 503,
    errors.StorageError: 507,
    errors.UnequippedError: 501,
    errors.RenderError: 500,
    errors.TelewarpError: 500,
}
RETRY_AFTER_S = {errors.PoolBusyError: 5, errors.DrainingError: 5, errors.NotReadyError: 2}
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT")
_CLOSED_FOR = 4000
"""A WebSocket's close code is this plus the status code, in the range left to applications."""
_LONGEST_REASON = 123
"""Bytes that a close frame holds."""


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str = Field(description="The status in words")
    status: int
    detail: str = Field(description="What was expected and what was received")
    reason: str | None = Field(default=None, description="Of a 503 to viewers: full or draining")
    line: int | None = Field(default=None, description="Of a live body: the broken line, from 1")
    accepted: int | None = Field(default=None, description="Of a live body: frames before it")
    dropped: int | None = Field(default=None, description="Of a live body: late frames before it")
    last_seq: int | None = Field(default=None, description="Of a live body: newest frame's `seq`")


def answer_errors(app: FastAPI) -> None:
    """Answer every error with a problem."""
    app.add_exception_handler(errors.TelewarpError, cast("_Handler", answer_telewarp_error))
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(ClientDisconnect, _answer_disconnected)
    app.add_exception_handler(Exception, _answer_unexpected)
    app.router.default = _not_found


async def answer_telewarp_error(connection: HTTPConnection, error: Exception) -> Response | None:
    """Answer an error of `server.errors`; an open WebSocket is closed with a close code."""
    assert isinstance(error, errors.TelewarpError)
    if isinstance(error, errors.BadTokenError | errors.ForbiddenError):
        _log_refusal(connection, error)
    kind = next(kind for kind in STATUS if isinstance(error, kind))
    if isinstance(connection, WebSocket) and _is_open(connection):
        reason = str(error).encode()[:_LONGEST_REASON].decode(errors="ignore")
        await connection.close(_CLOSED_FOR + STATUS[kind], reason)
        return None
    headers = _headers(error, RETRY_AFTER_S.get(kind))
    answer = problem(STATUS[kind], str(error), headers, _extra(error))
    if isinstance(connection, WebSocket):
        await connection.send_denial_response(answer)
        return None
    return answer


def _log_refusal(connection: HTTPConnection, error: errors.TelewarpError) -> None:
    """Log who was refused what, except requests without a token, to which browsers then add one."""
    client = connection.client.host if connection.client else "unknown"
    request = quoted(request_of(connection))
    logger.warning("refused %s of %s: %s", request, client, shown(error, 200))


def _extra(error: errors.TelewarpError) -> dict[str, object]:
    """Return the fields of a problem that programs read."""
    match error:
        case errors.BadLineError():
            return {
                "line": error.line,
                "accepted": error.accepted,
                "dropped": error.dropped,
                "last_seq": error.last_seq,
            }
        case errors.FullError():
            return {"reason": "full"}
        case errors.DrainingError():
            return {"reason": "draining"}
    return {}


def _is_open(socket: WebSocket) -> bool:
    return socket.application_state == WebSocketState.CONNECTED


def _headers(error: errors.TelewarpError, retry_after_s: int | None) -> dict[str, str]:
    """Return the headers of a problem."""
    if isinstance(error, errors.UnauthorizedError):  # RFC 6750, section 3
        why = ', error="invalid_token"' if isinstance(error, errors.BadTokenError) else ""
        return {"WWW-Authenticate": f'Bearer realm="telewarp"{why}'}
    if isinstance(error, errors.ContentEncodingError):  # RFC 9110, section 15.5.16
        return {"Accept-Encoding": "identity"}
    if isinstance(error, errors.TooManyRequestsError):
        retry_after_s = error.retry_after_s
    return {"Retry-After": str(retry_after_s)} if retry_after_s else {}


async def _answer_http(request: Request, error: Exception) -> Response:
    """Answer errors that the framework raises: unknown paths and methods."""
    assert isinstance(error, HTTPException)
    place = f"{request.method} {request.url.path}"
    headers = error.headers
    match error.status_code:
        case 404:
            detail = f"expected a path of this server (see /docs), got {place}"
        case 405:
            allowed = ", ".join(_methods_of(request))
            headers = {**(headers or {}), "Allow": allowed}
            detail = f"expected the method to be {allowed}, got {place}"
        case _:
            detail = error.detail
    return problem(error.status_code, detail, headers)


def _methods_of(request: Request) -> list[str]:
    """Return all methods of a path; the framework names those of one route only."""
    routes = request.app.router.routes
    return [
        method
        for method in _METHODS
        # HEAD is answered wherever GET is, see `RequestForms`.
        if any(
            r.matches({**request.scope, "method": "GET" if method == "HEAD" else method})[0]
            == Match.FULL
            for r in routes
        )
    ]


async def _answer_validation(request: Request, error: Exception) -> Response:
    """Answer invalid path and query parameters."""
    assert isinstance(error, RequestValidationError)
    return problem(400, describe_errors(error.errors()))


async def _answer_disconnected(request: Request, error: Exception) -> Response:
    """End a request whose client disconnected within the body, which is no error of the server."""
    return problem(400, "expected the whole body, got a part")


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse paths without a route; the framework gives no reason to a WebSocket."""
    if scope["type"] != "websocket":
        raise HTTPException(404)
    detail = f"expected a path of this server (see /docs), got a WebSocket at {scope['path']}"
    await WebSocket(scope, receive, send).send_denial_response(problem(404, detail))


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    """Answer an unexpected exception; its traceback is only in the log."""
    return problem(500, "an internal error, which has been logged")


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> JSONResponse:
    """Return an RFC 9457 response."""
    content = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **(extra or {}),
    }
    return JSONResponse(content, status, headers, media_type=PROBLEM)
