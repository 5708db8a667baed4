"""Middleware that makes `Location` correct behind proxies that serve the server below a path.

A proxy that serves the server at `https://example.org/face/` removes `/face` from the path, and may
not announce it. The path `/v1/sessions/ID` would then point outside of the server. A reference that
is relative to the request, `../../../v1/sessions/ID`, is correct below every path (RFC 3986,
section 5.2), but only for clients that resolve it. Pages do, and so do HTTP libraries; scripts
often append the `Location` to the address of the server, which works with a path. They usually
reach the server without a proxy, so a direct client gets the path.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from starlette.datastructures import URL, Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SENT_BY_PROXIES = ("forwarded", "via", "x-real-ip")
_SENT_BY_PAGES = "origin"


def location_of(request: HTTPConnection, path: str) -> str:
    """Return the `Location` for a path of this server, which may be mounted below another path."""
    return f"{request.scope.get('root_path', '')}{path}"


class Locations:
    """ASGI middleware that makes the `Location` of responses relative where needed.

    Args:
        app: The application, which writes paths. Addresses of other servers stay as they are.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]  # mounted routes change it

        async def send_with_location(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                location = headers.get("location")
                if location is not None:
                    headers["location"] = _for_client(location, path, scope)
            await send(message)

        await self._app(scope, receive, send_with_location)


def _for_client(location: str, path: str, scope: Scope) -> str:
    """Return a `Location` as the client of a request needs it."""
    if location.startswith("/"):
        return _relative(location, path) if _may_be_below_a_path(scope) else location
    parts = urlsplit(location)
    if parts.netloc == URL(scope=scope).netloc and _differ_in_slash(unquote(parts.path), path):
        # The framework's own redirect, which contains scheme and host behind the proxy.
        return _relative(parts._replace(scheme="", netloc="").geturl(), path)
    return location


def _relative(target: str, path: str) -> str:
    """Return the reference that leads from one path to another, by way of the root."""
    upwards = "../" * (path.count("/") - 1)
    return (upwards or "./") + target.lstrip("/")


def _differ_in_slash(one: str, other: str) -> bool:
    return one != other and one.rstrip("/") == other.rstrip("/")


def _may_be_below_a_path(scope: Scope) -> bool:
    """Whether a proxy may have passed the request on, or a page that resolves references sent it.

    Proxies that name themselves in no header speak HTTP/1.0 (nginx without other settings), or pass
    the `Host` of their own address on, whose port is another one.
    """
    headers = Headers(scope=scope)
    if scope.get("http_version") == "1.0" or _SENT_BY_PAGES in headers:
        return True
    if any(name in _SENT_BY_PROXIES or name.startswith("x-forwarded-") for name in headers):
        return True
    return _names_another_port(headers.get("host", ""), scope)


def _names_another_port(host: str, scope: Scope) -> bool:
    """Whether a `Host` header has another port than the one that the server listens on."""
    _, port = scope.get("server") or ("", None)
    try:
        named = urlsplit(f"//{host}").port
    except ValueError:
        return True
    return port is not None and (named or 80) != port
