"""Addresses of clients, also behind proxies.

A server sees the address of the last proxy only; that proxy appends the address it sees to
`X-Forwarded-For`. Everyone can send this header, so it counts only where it comes from a proxy of
`--trusted-proxies`: the last address in it that is not itself such a proxy is the client's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Sequence

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from server.network.addresses import without_mapping


class PlainAddresses:
    """ASGI middleware that replaces IPv4-mapped IPv6 addresses by IPv4 addresses.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection, with its client's address as IPv4 if it is one."""
        if scope.get("client"):
            host, port = scope["client"]
            scope["client"] = (without_mapping(host), port)
        await self._app(scope, receive, send)


def behind_proxies(app: ASGIApp, trusted: Sequence[str]) -> ASGIApp:
    """Wrap an application so that its connections have the address and scheme of the client.

    Args:
        app: The application.
        trusted: Addresses and networks of proxies whose `X-Forwarded-For` and
            `X-Forwarded-Proto` are believed; without any, neither header has an effect.
    """
    forwarded = ProxyHeadersMiddleware(app, list(trusted)) if trusted else app  # type: ignore[arg-type]  # uvicorn types its own ASGI callables
    return PlainAddresses(forwarded)  # type: ignore[arg-type]  # as above


def address_matcher(proxies: Sequence[str]) -> Callable[[str], bool]:
    """Return a function that tells whether an address is one of some proxies.

    Args:
        proxies: Their addresses and networks.
    """
    networks = [ipaddress.ip_network(proxy, strict=False) for proxy in proxies]

    def is_proxy(address: str) -> bool:
        try:
            ip = ipaddress.ip_address(without_mapping(address))
        except ValueError:
            return False
        return any(ip in network for network in networks)

    return is_proxy
