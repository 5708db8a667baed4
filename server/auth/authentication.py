"""Authenticate connections by their token, or by their origin where no tokens are set.

A token is sent as `Authorization: Bearer TOKEN`, or, by a browser's WebSocket, which cannot set
headers, as the subprotocol `telewarp.token.TOKEN` offered beside `telewarp`. It is not accepted in
an address, because addresses are stored in logs and histories; only a redirect token is, which is
valid once (`redirect_tokens.py`).

Without tokens the server serves its own machine only. Two checks then stop requests that other
sites cause: the `Host` header must be a loopback name (requests by DNS rebinding, or through a
proxy that publishes the server, have another one), and `Origin` must be the server's own.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from models.contract.shown_text import quoted
from server.access_settings import AccessSettings
from server.auth.grants import ANYONE, Grant
from server.auth.redirect_tokens import PARAMETER, RedirectTokens, request_of
from server.auth.tokens import Tokens, read_tokens
from server.errors import ForbiddenError, SettingsError, TelewarpError, UnauthorizedError
from server.network.addresses import is_loopback
from server.network.origins import is_among, is_page_of

logger = logging.getLogger(__name__)

SUBPROTOCOL = "telewarp"
_TOKEN_SUBPROTOCOL = "telewarp.token."
_STATE = "telewarp.access"
_INSECURE = """
****************************************************************************************
  --insecure: ANYONE who reaches %s may watch, publish, drive and delete,
  without a token. Set --tokens FILE instead, unless a firewall or proxy restricts access.
****************************************************************************************"""


class Authenticator:
    """Returns the grant of each connection.

    Args:
        tokens: The valid tokens; None if none are required.
        only_loopback: Without tokens: refuse requests whose `Host` is not a loopback name.
        origins: Other origins that may use the server, as `https://host:port`; `*` for all.
        redirect_tokens: Accepts the redirect tokens of a router; None without a router.
    """

    def __init__(
        self,
        tokens: Tokens | None,
        only_loopback: bool,
        origins: Iterable[str],
        redirect_tokens: RedirectTokens | None = None,
    ) -> None:
        self.redirect_tokens = redirect_tokens
        self._tokens = tokens
        self._only_loopback = only_loopback
        self._origins = frozenset(origins)

    @property
    def reachable_by_others(self) -> bool:
        """Whether other machines may use the server."""
        return self._tokens is not None or not self._only_loopback

    def identify(self, connection: HTTPConnection) -> Grant:
        """Return what a connection may do.

        Raises:
            UnauthorizedError: If it has no valid token.
            ForbiddenError: If its host or origin is refused.
        """
        if self._tokens is not None:
            return self._find(connection, self._tokens)
        if self._only_loopback:
            _check_host(connection)
        self._check_origin(connection)
        return ANYONE

    def _find(self, connection: HTTPConnection, tokens: Tokens) -> Grant:
        token = token_of(connection)
        if token is not None:
            return tokens.find(token)
        given = connection.query_params.get(PARAMETER)
        if self.redirect_tokens is not None and given is not None:
            return self.redirect_tokens.redeem(given, request_of(connection))
        raise UnauthorizedError("expected a token (Authorization: Bearer ...), got none")

    def _check_origin(self, connection: HTTPConnection) -> None:
        origin = connection.headers.get("origin")
        if "*" in self._origins:
            return
        if origin is None:
            _check_embedding(connection)
            return
        host = connection.headers.get("host", "")
        if not is_among(origin, self._origins) and not is_page_of(origin, host):
            raise ForbiddenError(
                f"expected a page of this server, got one of {quoted(origin)}; "
                "see --allowed-origins"
            )


def _check_embedding(connection: HTTPConnection) -> None:
    """Refuse a request of a page of another origin without `Origin` header, as for an image.

    Such a page could show the face, or measure its size. Opening an address is allowed.

    Raises:
        ForbiddenError: If it is such a request.
    """
    site = connection.headers.get("sec-fetch-site", "none")
    if site in ("none", "same-origin"):
        return
    if connection.headers.get("sec-fetch-mode") != "navigate":
        raise ForbiddenError(f"expected a page of this server, got one of another ({site})")


def build_authenticator(settings: AccessSettings, public_url: str | None = None) -> Authenticator:
    """Build the authenticator that the settings describe.

    Args:
        settings: Options of the access.
        public_url: URL of this host, for which a router signs redirect tokens; None if there is no
            router.

    Raises:
        SettingsError: If other machines could reach the server and no tokens are set, or the file
            of tokens cannot be used.
    """
    origins = settings.origins
    if settings.tokens is not None:
        tokens = read_tokens(settings.tokens)
        redirect_tokens = None
        if public_url is not None and tokens.can_sign:
            redirect_tokens = RedirectTokens(tokens, public_url)
        return Authenticator(tokens, False, origins, redirect_tokens)
    if settings.insecure:
        logger.warning(_INSECURE, f"{settings.host}:{settings.port}")
        return Authenticator(None, False, origins)
    if is_loopback(settings.host):
        return Authenticator(None, True, origins)
    raise SettingsError(
        f"others can reach {settings.host}, so expected --tokens FILE (make one with "
        "scripts/make_token.py), or --insecure to allow everyone"
    )


def token_of(connection: HTTPConnection) -> str | None:
    """Return the token of a connection; None if it has none."""
    scheme, _, credentials = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and credentials.strip():
        return credentials.strip()
    if connection.scope["type"] == "websocket":
        for offered in connection.scope.get("subprotocols", ()):
            if offered.startswith(_TOKEN_SUBPROTOCOL):
                return str(offered.removeprefix(_TOKEN_SUBPROTOCOL))
    return None


def remember(connection: HTTPConnection, found: Grant | TelewarpError) -> None:
    """Store the result of `Authenticator.identify` in the connection."""
    connection.scope[_STATE] = found


def grant_of(connection: HTTPConnection) -> Grant:
    """Return what a connection may do.

    Raises:
        TelewarpError: The error that `Authenticator.identify` raised.
    """
    found: Grant | TelewarpError = connection.scope[_STATE]
    if isinstance(found, TelewarpError):
        raise found
    return found


def _check_host(connection: HTTPConnection) -> None:
    named = connection.headers.get("host", "")
    try:
        host = urlsplit(f"//{named}").hostname or ""
    except ValueError:
        host = ""
    if not is_loopback(host):
        raise ForbiddenError(
            f"expected a call from this machine, to localhost, got one to {quoted(named)}; "
            "to serve others, also through a proxy, set --tokens"
        )
