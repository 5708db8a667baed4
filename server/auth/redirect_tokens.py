"""Passes: how a router sends a client on to another host without telling anyone its token.

A browser drops `Authorization` where a redirect leads to another origin, and a WebSocket has none.
So the redirect's address itself holds a pass, `?pass=...`: signed with the key that router and
hosts share, good for one host, one request and some seconds, and for no more than what was asked
for. Addresses end up in logs; by then the pass has been used. With the answer the host gives its
client a token, for the session's own address and for pictures, that ends no later than the one the
client came with.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from server.auth.grants import Grant, Scope
from server.auth.tokens import LONGEST_TOKEN, Tokens
from server.errors import BadTokenError

PARAMETER = "pass"
"""Of the address that a client is sent to."""
REDIRECT_TOKEN_S = 30.0
"""Long enough for a slow network and clocks that differ by some seconds."""
_LONGEST_STAY_S = 12 * 3600.0
_AUDIENCE = "telewarp pass to {}"


def sign_redirect_token(
    tokens: Tokens, grant: Grant, host: str, scopes: Iterable[Scope], streams: Iterable[str] | None
) -> str:
    """Make a pass to a host.

    Args:
        tokens: Signs it.
        grant: Of whoever is sent there.
        host: Its public address.
        scopes: Of these, it holds those that are granted.
        streams: The only streams it is good for; None for those that are granted.
    """
    given = [scope for scope in scopes if grant.allows(scope)]
    claims: dict[str, float | str] = {"exp": time.time() + REDIRECT_TOKEN_S, "sub": grant.holder}
    if grant.expires_at is not None:
        claims["until"] = grant.expires_at
    return tokens.sign_claims(
        given, grant.streams if streams is None else streams, _AUDIENCE.format(host), **claims
    )


class RedirectTokens:
    """Takes the passes to one host, each once.

    Args:
        tokens: Has the router's signing key.
        host: This host's public address.
    """

    def __init__(self, tokens: Tokens, host: str) -> None:
        self._tokens = tokens
        self._audience = _AUDIENCE.format(host)
        self._used: dict[str, float] = {}
        """By id, until when they would have been good, oldest first."""

    def take(self, given: str) -> Grant:
        """What a pass allows; it is good for nothing afterwards.

        Raises:
            BadTokenError: If it is forged, too old, another host's, or has been used.
        """
        if len(given) > LONGEST_TOKEN:
            raise BadTokenError(f"expected a pass of at most {LONGEST_TOKEN} characters")
        claims = self._tokens.read_signed(given, self._audience)
        self._forget_old()
        if claims.jti in self._used:
            raise BadTokenError("the pass has been used; ask the router for another")
        self._used[claims.jti] = claims.exp
        grant = claims.grant
        return Grant(
            grant.holder, grant.scopes, grant.streams, claims.until, by_redirect_token=True
        )

    def token_for(self, grant: Grant) -> str:
        """A token for whoever came by a pass, to show at this host from now on."""
        longest = time.time() + _LONGEST_STAY_S
        expires_at = longest if grant.expires_at is None else min(grant.expires_at, longest)
        return self._tokens.sign_claims(
            grant.scopes, grant.streams, exp=expires_at, sub=grant.holder
        )

    def _forget_old(self) -> None:
        now = time.time()
        while self._used and (oldest := next(iter(self._used))) and self._used[oldest] < now:
            del self._used[oldest]
