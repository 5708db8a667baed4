"""ICE servers: addresses, credentials, and the link headers for viewers."""

from __future__ import annotations

import pytest

from server.errors import SettingsError
from server.network.ice_servers import (
    LIFETIME_S,
    IceServer,
    IceServers,
    link_values,
    parse_urls,
    turn_credentials,
)

STUN = "stun:stun.example.org"
TURN = "turn:turn.example.org:3478?transport=udp"


def test_addresses_keep_their_order() -> None:
    assert parse_urls(f" {STUN}, {TURN} ,turns:[2001:db8::1]:5349,") == (
        STUN,
        TURN,
        "turns:[2001:db8::1]:5349",
    )
    assert parse_urls("") == ()


@pytest.mark.parametrize(
    "text",
    ["turn.example.org", "http://a", "stun:a?transport=udp", 'turn:a"; x', "turn:a>", "stun:"],
)
def test_an_invalid_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no stun: or turn: address"):
        parse_urls(text)


def test_credentials_are_those_that_coturn_computes() -> None:
    # Result of: echo -n 1700000000:ann | openssl dgst -sha1 -hmac north -binary | base64
    assert turn_credentials("north", "ann", 1_700_000_000) == (
        "1700000000:ann",
        "jeamH6dA5l2I9g3jmieza7CzEDo=",
    )


def test_credentials_from_a_secret_expire_in_an_hour() -> None:
    stun, turn = IceServers((STUN, TURN), secret="north").with_credentials_for("ann", now_s=1_000.5)
    assert stun == IceServer(STUN)
    assert turn.username == f"{1000 + LIFETIME_S}:ann"
    assert (turn.username, turn.credential) == turn_credentials("north", "ann", 1000 + LIFETIME_S)


def test_a_fixed_account_is_passed_to_viewers() -> None:
    (turn,) = IceServers((TURN,), username="ann", password="pw").with_credentials_for("bob")
    assert turn == IceServer(TURN, "ann", "pw")


@pytest.mark.parametrize("account", [{}, {"username": "ann"}, {"password": "pw"}])
def test_a_turn_server_without_an_account_is_refused(account: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="needs --turn-secret, or"):
        IceServers((STUN, TURN), **account)


def test_ice_servers_become_link_headers() -> None:
    assert link_values([IceServer(STUN), IceServer(TURN, 'a"b', "c\\d=")]) == [
        f'<{STUN}>; rel="ice-server"',
        f'<{TURN}>; rel="ice-server"; username="a\\"b"; credential="c\\\\d="; '
        'credential-type="password"',
    ]
