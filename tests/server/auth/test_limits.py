"""Limits of clients: what is let through, when they may come again, and how much is remembered."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from server.auth import limits as limits_module
from server.auth.limits import Limits, client_key
from server.errors import TooManyRequestsError


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def ask(limits: Limits, client: str, times: int = 1) -> int:
    """Asks so many times; returns how many were let through before the first refusal."""
    for done in range(times):
        try:
            with limits.request(client):
                pass
        except TooManyRequestsError:
            return done
    return times


def test_a_burst_is_let_through_and_then_the_rate() -> None:
    clock = Clock()
    limits = Limits(10, 5, clock)
    assert ask(limits, "a", 100) == 20
    clock.now_s += 0.5
    assert ask(limits, "a", 100) == 5
    clock.now_s += 60
    assert ask(limits, "a", 100) == 20


def test_a_limited_client_that_waits_for_retry_after_is_admitted() -> None:
    clock = Clock()
    limits = Limits(0.2, 5, clock)
    assert ask(limits, "a", 2) == 1
    with pytest.raises(TooManyRequestsError, match=r"0\.2 requests a second") as refused:
        limits.request("a").__enter__()
    assert refused.value.retry_after_s == 5
    clock.now_s += 5
    assert ask(limits, "a") == 1


def test_clients_do_not_share_their_limits() -> None:
    limits = Limits(1, 5, Clock())
    assert ask(limits, "a", 10) == 2
    assert ask(limits, "b", 10) == 2


def test_only_so_much_may_be_open_at_a_time() -> None:
    limits = Limits(1000, 2, Clock())
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(limits.request("a"))
        with pytest.raises(TooManyRequestsError, match="at most 2 requests and sockets"):
            limits.request("a").__enter__()
        assert ask(limits, "b") == 1
    assert ask(limits, "a") == 1


def test_what_fails_is_no_longer_open() -> None:
    limits = Limits(1000, 1, Clock())
    with pytest.raises(ZeroDivisionError), limits.request("a"):
        _ = 1 / 0
    assert ask(limits, "a") == 1


def test_a_flood_of_clients_takes_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "MOST_CLIENTS", 50)
    limits = Limits(1, 5, Clock())
    for number in range(1000):
        ask(limits, f"client {number}")
        ask(limits, "a regular")
    assert limits.clients == 50
    assert ask(limits, "a regular") == 0, "whoever keeps on asking is not forgotten"


def test_a_client_is_an_address_with_a_token_and_an_ipv6_network_is_one() -> None:
    assert client_key("192.0.2.1", None) != client_key("192.0.2.2", None)
    assert client_key("192.0.2.1", "studio") != client_key("192.0.2.1", None)
    assert client_key("2001:db8::1", None) == client_key("2001:db8::ffff", None)
    assert client_key("2001:db8::1", None) != client_key("2001:db8:0:1::1", None)
    assert client_key("testclient", None)
