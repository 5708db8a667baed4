"""Limits of clients: bursts, rates, open requests, `Retry-After` and bounded memory."""

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


def request(limits: Limits, client: str, times: int = 1) -> int:
    """Make `times` requests; return how many were allowed before the first refusal."""
    for allowed in range(times):
        try:
            with limits.request(client):
                pass
        except TooManyRequestsError:
            return allowed
    return times


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    clock = Clock()
    limits = Limits(10, 5, clock)
    assert request(limits, "a", 100) == 20
    clock.now_s += 0.5
    assert request(limits, "a", 100) == 5
    clock.now_s += 60
    assert request(limits, "a", 100) == 20


def test_a_limited_client_that_waits_for_retry_after_is_admitted() -> None:
    clock = Clock()
    limits = Limits(0.2, 5, clock)
    assert request(limits, "a", 2) == 1
    with pytest.raises(TooManyRequestsError, match=r"0\.2 requests a second") as refused:
        limits.request("a").__enter__()
    assert refused.value.retry_after_s == 5
    clock.now_s += 5
    assert request(limits, "a") == 1


def test_each_client_has_its_own_limit() -> None:
    limits = Limits(1, 5, Clock())
    assert request(limits, "a", 10) == 2
    assert request(limits, "b", 10) == 2


def test_the_number_of_open_requests_is_limited() -> None:
    limits = Limits(1000, 2, Clock())
    with ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(limits.request("a"))
        with pytest.raises(TooManyRequestsError, match="at most 2 requests and sockets"):
            limits.request("a").__enter__()
        assert request(limits, "b") == 1
    assert request(limits, "a") == 1


def test_a_failed_request_is_no_longer_counted_as_open() -> None:
    limits = Limits(1000, 1, Clock())
    with pytest.raises(ZeroDivisionError), limits.request("a"):
        _ = 1 / 0
    assert request(limits, "a") == 1


def test_the_number_of_remembered_clients_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "MOST_CLIENTS", 50)
    limits = Limits(1, 5, Clock())
    for number in range(1000):
        request(limits, f"client {number}")
        request(limits, "a regular")
    assert limits.clients == 50
    assert request(limits, "a regular") == 0, "a client that keeps sending requests was forgotten"


def test_clients_are_told_apart_by_address_and_token_and_an_ipv6_network_is_one_address() -> None:
    assert client_key("192.0.2.1", None) != client_key("192.0.2.2", None)
    assert client_key("192.0.2.1", "studio") != client_key("192.0.2.1", None)
    assert client_key("2001:db8::1", None) == client_key("2001:db8::ffff", None)
    assert client_key("2001:db8::1", None) != client_key("2001:db8:0:1::1", None)
    assert client_key("testclient", None)
