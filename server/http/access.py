"""Middleware of every request: authentication, limits per client and security headers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from server.access_settings import AccessSettings
from server.auth.addresses import behind_proxies
from server.auth.authentication import (
    SUBPROTOCOL,
    Authenticator,
    build_authenticator,
    grant_of,
    remember,
)
from server.auth.grants import Grant
from server.auth.headers import EXPOSED, SecurityHeaders
from server.auth.limits import Limits, client_key
from server.errors import BadTokenError, TelewarpError, TooManyRequestsError
from server.http.avatar_jobs import AVATAR_HEADER
from server.http.problems import answer_telewarp_error
from server.http.whep import TICKET_HEADER
from server.network.addresses import client_address
from server.network.origins import is_among

_EXPIRED = "the token has expired; ask for a new one"
Answer = Callable[[HTTPConnection, Exception], Awaitable[Response | None]]
"""Builds the response to an error; sends it itself on a WebSocket."""


class AccessMiddleware:
    """ASGI middleware around the whole application.

    Args:
        app: The application.
        authenticator: Returns the grant of a connection; routes check its scopes.
        limits: Limits of each client; None for none.
        security_headers: Security headers of responses.
        answer: Builds the response to clients that exceed a limit.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        limits: Limits | None,
        security_headers: SecurityHeaders,
        answer: Answer,
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._limits = limits
        self._security_headers = security_headers
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "http":
            await self._serve(Request(scope, receive), receive, self._with_headers(scope, send))
        elif scope["type"] == "websocket":
            named = _with_subprotocol(scope, self._with_headers(scope, send))
            await self._serve(WebSocket(scope, receive, named), receive, named)
        else:
            await self._app(scope, receive, send)

    async def _serve(self, connection: HTTPConnection, receive: Receive, send: Send) -> None:
        address = client_address(connection.client.host if connection.client else "")
        holder = self._identify(connection, address)
        try:
            with (
                self._limits.request(client_key(address, holder)) if self._limits else nullcontext()
            ):
                await self._run_until_expiry(connection, receive, send)
        except TooManyRequestsError as exc:
            answer = await self._answer(connection, exc)
            if answer is not None:
                await answer(connection.scope, receive, send)

    async def _run_until_expiry(
        self, connection: HTTPConnection, receive: Receive, send: Send
    ) -> None:
        """Run the application, and end sockets and live bodies when their token expires."""
        begun = False

        async def note_and_send(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            async with asyncio.timeout(_time_left(connection)) as limit:
                await self._app(connection.scope, receive, note_and_send)
        except TimeoutError:
            if not limit.expired():
                raise
            if begun and isinstance(connection, WebSocket):
                await send({"type": "websocket.close", "code": 4401, "reason": _EXPIRED})
            elif not begun:
                answer = await self._answer(connection, BadTokenError(_EXPIRED))
                if answer is not None:
                    await answer(connection.scope, receive, send)

    def _identify(self, connection: HTTPConnection, address: str) -> str | None:
        found: Grant | TelewarpError
        try:
            found = replace(self._authenticator.identify(connection), address=address)
        except TelewarpError as exc:
            found = exc  # raised later by the route's rule, if it has one
        remember(connection, found)
        return found.holder if isinstance(found, Grant) else None

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                self._security_headers.add_to(MutableHeaders(scope=message), scope)
            await send(message)

        return send_with_headers


def _time_left(connection: HTTPConnection) -> float | None:
    """Return the seconds until the token of a connection expires, None for never."""
    try:
        expires_at = grant_of(connection).expires_at
    except TelewarpError:
        return None  # refused; the route reports it
    return None if expires_at is None else expires_at - time.time()


def _with_subprotocol(scope: Scope, send: Send) -> Send:
    """Accept the subprotocol `telewarp`, without which browsers close the socket."""
    if SUBPROTOCOL not in scope.get("subprotocols", ()):
        return send

    async def send_with_subprotocol(message: Message) -> None:
        if message["type"] == "websocket.accept" and not message.get("subprotocol"):
            message = {**message, "subprotocol": SUBPROTOCOL}
        await send(message)

    return send_with_subprotocol


class _Cors(CORSMiddleware):
    """CORS for all equivalent forms of origins, such as `https://A.example:443`."""

    def is_allowed_origin(self, origin: str) -> bool:
        """Whether pages of an origin may read responses."""
        return self.allow_all_origins or is_among(origin, self.allow_origins)


def methods_of(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """Return the methods of all routes."""
    return frozenset(method for route in routes for method in getattr(route, "methods", None) or ())


def install_access(
    app: FastAPI,
    settings: AccessSettings,
    methods: Collection[str],
    *,
    public_url: str | None = None,
    host_sources: Sequence[str] = (),
) -> None:
    """Install authentication, limits, security headers and CORS.

    Args:
        app: The application to protect.
        settings: Options of the access.
        methods: Methods of the routes, which pages of the allowed origins may use.
        public_url: URL of this host, for which a router signs redirect tokens; None if there is no
            router.
        host_sources: Other hosts that the page may connect to, as sources of a
            Content-Security-Policy.

    Raises:
        SettingsError: As `build_authenticator`.
    """
    authenticator, origins = build_authenticator(settings, public_url), settings.origins
    app.state.redirect_tokens = authenticator.redirect_tokens
    limits = Limits(settings.max_requests_per_s, settings.max_connections)
    app.add_middleware(
        AccessMiddleware,
        authenticator=authenticator,
        limits=limits if authenticator.reachable_by_others else None,
        security_headers=SecurityHeaders(origins, host_sources),
        answer=answer_telewarp_error,
    )
    if origins:
        # Outside the former, so that a page can read refusals too.
        app.add_middleware(
            _Cors,
            allow_origins=origins,
            allow_methods=sorted(methods),
            allow_headers=[
                "Authorization",
                "Content-Type",
                "If-Match",
                "If-None-Match",
                TICKET_HEADER,
                AVATAR_HEADER,
            ],
            expose_headers=EXPOSED,
        )
    app.add_middleware(behind_proxies, trusted=settings.proxies)  # last, so outermost
