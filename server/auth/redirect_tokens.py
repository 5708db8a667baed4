"""Redirect tokens: a router redirects a client to a host without revealing the client's token.

A browser drops `Authorization` when a redirect leads to another origin, and a WebSocket cannot send
it. So the address of the redirect contains a redirect token, `?pass=...`: signed with the key that
router and hosts share, valid for one host, 30 seconds and one request of one method to one path,
and only for the requested scopes. Addresses are stored in logs, but by then the redirect token has
been used. With its response the host sends the client a token for the session, which expires no
later than the client's original one.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from starlette.requests import HTTPConnection

from models.contract.shown_text import quoted
from server.auth.grants import Grant, Scope
from server.auth.tokens import LONGEST_TOKEN, Tokens
from server.errors import BadTokenError

PARAMETER = "pass"
"""Query parameter of the redirect's address."""
REDIRECT_TOKEN_S = 30.0
"""Lifetime, seconds: enough for a slow network and clocks that differ by some seconds."""
_LONGEST_STAY_S = 12 * 3600.0  # of a client whose own token never expires
_AUDIENCE = "telewarp pass to {}"


def path_of(connection: HTTPConnection) -> str:
    """Return the path of a request, without the part that a proxy has taken off."""
    path: str = connection.scope["path"]
    return path.removeprefix(connection.scope.get("root_path", ""))


def request_of(connection: HTTPConnection) -> str:
    """Return the method and path of a request, as `GET /v1/streams/me`; of a socket `WS ...`.

    Router and host get the same for a request that was redirected: neither the query nor a path
    that a proxy has taken off is in it, and `HEAD` counts as `GET` (`request_forms.py`).
    """
    return f"{connection.scope.get('method', 'WS')} {path_of(connection)}"


def sign_redirect_token(
    tokens: Tokens,
    grant: Grant,
    host: str,
    request: str,
    scopes: Iterable[Scope],
    streams: Iterable[str] | None,
) -> str:
    """Sign a redirect token for a host.

    Args:
        tokens: Signs it.
        grant: Grant of the client.
        host: Its public address.
        request: The only request it is valid for, of `request_of`.
        scopes: Requested scopes; the token holds those that are granted.
        streams: The only streams it is valid for; None for those that are granted.
    """
    given = [scope for scope in scopes if grant.allows(scope)]
    claims: dict[str, float | str] = {
        "exp": time.time() + REDIRECT_TOKEN_S,
        "sub": grant.holder,
        "request": request,
    }
    if grant.expires_at is not None:
        claims["until"] = grant.expires_at
    return tokens.sign_claims(
        given, grant.streams if streams is None else streams, _AUDIENCE.format(host), **claims
    )


class RedirectTokens:
    """Accepts the redirect tokens of one host, each once.

    Args:
        tokens: Contains the router's signing key.
        host: This host's public address.
    """

    def __init__(self, tokens: Tokens, host: str) -> None:
        self._tokens = tokens
        self._audience = _AUDIENCE.format(host)
        self._used: dict[str, float] = {}
        """Expiry of used tokens by id, oldest first."""

    def redeem(self, given: str, request: str) -> Grant:
        """Return what a redirect token allows, and mark it as used.

        Args:
            given: The redirect token.
            request: What it is used for, of `request_of`.

        Raises:
            BadTokenError: If it is forged, too old, of another host or request, or has been used.
        """
        if len(given) > LONGEST_TOKEN:
            raise BadTokenError(f"expected a redirect token of at most {LONGEST_TOKEN} characters")
        claims = self._tokens.read_signed(given, self._audience)
        if claims.request != request:  # not marked as used, because the right request may follow
            raise BadTokenError(
                f"expected a redirect token for {quoted(request)}, got one for another request"
            )
        self._forget_old()
        if claims.jti in self._used:
            raise BadTokenError("the redirect token has been used; ask the router for another")
        self._used[claims.jti] = claims.exp
        grant = claims.grant
        return Grant(
            grant.holder, grant.scopes, grant.streams, claims.until, by_redirect_token=True
        )

    def token_for(self, grant: Grant) -> str:
        """Sign a token for this host, for a client that used a redirect token."""
        longest = time.time() + _LONGEST_STAY_S
        expires_at = longest if grant.expires_at is None else min(grant.expires_at, longest)
        return self._tokens.sign_claims(
            grant.scopes, grant.streams, exp=expires_at, sub=grant.holder
        )

    def _forget_old(self) -> None:
        now = time.time()
        while self._used and (oldest := next(iter(self._used))) and self._used[oldest] < now:
            del self._used[oldest]  # from now on it is refused because of its age
