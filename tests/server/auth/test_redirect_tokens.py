"""Redirect tokens: one host, one use, a few seconds, at most the grant of the original."""

from __future__ import annotations

import time

import pytest

from server.auth.grants import Grant, Scope
from server.auth.redirect_tokens import REDIRECT_TOKEN_S, RedirectTokens, sign_redirect_token
from server.auth.tokens import Tokens
from server.errors import BadTokenError

HOST, OTHER = "https://gpu7.example", "https://gpu8.example"
PLAY = "POST /v1/streams/me/whep"
WATCH = (Scope.VIEW, Scope.DRIVE)
TOKENS = Tokens({}, ("a key of thirty-two bytes or more",))
VIEWER = Grant("studio", frozenset({Scope.VIEW, Scope.PUBLISH}))


@pytest.fixture
def redirect_tokens() -> RedirectTokens:
    return RedirectTokens(TOKENS, HOST)


def test_a_redirect_token_grants_only_what_was_requested_and_granted(
    redirect_tokens: RedirectTokens,
) -> None:
    grant = redirect_tokens.redeem(
        sign_redirect_token(TOKENS, VIEWER, HOST, PLAY, WATCH, ["me"]), PLAY
    )
    assert grant == Grant(
        "studio", frozenset({Scope.VIEW}), frozenset({"me"}), None, by_redirect_token=True
    )
    everywhere = redirect_tokens.redeem(
        sign_redirect_token(TOKENS, VIEWER, HOST, PLAY, [Scope.PUBLISH], None), PLAY
    )
    assert everywhere.streams is None
    limited = Grant("x", frozenset({Scope.ADMIN}), frozenset({"a", "b"}))
    grant = redirect_tokens.redeem(
        sign_redirect_token(TOKENS, limited, HOST, PLAY, WATCH, None), PLAY
    )
    assert (grant.scopes, grant.streams) == (frozenset(WATCH), frozenset({"a", "b"}))


def test_a_redirect_token_can_be_used_once(redirect_tokens: RedirectTokens) -> None:
    given = sign_redirect_token(TOKENS, VIEWER, HOST, PLAY, WATCH, ["me"])
    redirect_tokens.redeem(given, PLAY)
    with pytest.raises(BadTokenError, match="has been used"):
        redirect_tokens.redeem(given, PLAY)


def test_a_redirect_token_is_valid_for_one_host_and_is_no_access_token(
    redirect_tokens: RedirectTokens,
) -> None:
    given = sign_redirect_token(TOKENS, VIEWER, OTHER, PLAY, WATCH, ["me"])
    with pytest.raises(BadTokenError):
        redirect_tokens.redeem(given, PLAY)
    with pytest.raises(BadTokenError):
        TOKENS.find(sign_redirect_token(TOKENS, VIEWER, HOST, PLAY, WATCH, ["me"]))
    with pytest.raises(BadTokenError):
        redirect_tokens.redeem(TOKENS.sign(WATCH, ["me"], 1), PLAY)
    with pytest.raises(BadTokenError):
        redirect_tokens.redeem("x" * 10_000, PLAY)


def test_a_redirect_token_expires_after_seconds(
    redirect_tokens: RedirectTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = sign_redirect_token(TOKENS, VIEWER, HOST, PLAY, WATCH, ["me"])
    early = time.time() - REDIRECT_TOKEN_S - 2
    monkeypatch.setattr(time, "time", lambda: early)
    late = sign_redirect_token(TOKENS, VIEWER, HOST, PLAY, WATCH, ["me"])
    monkeypatch.undo()
    assert redirect_tokens.redeem(given, PLAY)
    with pytest.raises(BadTokenError, match="expired"):
        redirect_tokens.redeem(late, PLAY)


def test_used_redirect_tokens_are_forgotten_once_expired(
    redirect_tokens: RedirectTokens, monkeypatch: pytest.MonkeyPatch
) -> None:
    redirect_tokens.redeem(sign_redirect_token(TOKENS, VIEWER, HOST, PLAY, WATCH, ["me"]), PLAY)
    later = time.time() + REDIRECT_TOKEN_S + 1
    monkeypatch.setattr(time, "time", lambda: later)
    redirect_tokens.redeem(sign_redirect_token(TOKENS, VIEWER, HOST, PLAY, WATCH, ["me"]), PLAY)
    assert len(redirect_tokens._used) == 1


def test_the_hosts_token_keeps_the_holder_and_the_expiry(
    redirect_tokens: RedirectTokens,
) -> None:
    soon = time.time() + 60
    viewer = Grant("studio", frozenset({Scope.VIEW}), None, soon)
    arrived = redirect_tokens.redeem(
        sign_redirect_token(TOKENS, viewer, HOST, PLAY, WATCH, ["me"]), PLAY
    )
    assert arrived.expires_at == pytest.approx(soon)
    found = TOKENS.find(redirect_tokens.token_for(arrived))
    assert found.holder == "studio"
    assert found.may_access(arrived)
    assert (found.scopes, found.streams) == (frozenset({Scope.VIEW}), frozenset({"me"}))
    assert found.expires_at == pytest.approx(soon)
    lasting = redirect_tokens.redeem(
        sign_redirect_token(TOKENS, VIEWER, HOST, PLAY, WATCH, ["me"]), PLAY
    )
    ends_at = TOKENS.find(redirect_tokens.token_for(lasting)).expires_at
    assert ends_at == pytest.approx(time.time() + 12 * 3600, abs=10)
