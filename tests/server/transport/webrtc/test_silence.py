"""After which silence a peer counts as disconnected."""

from __future__ import annotations

import asyncio

import pytest

from server.transport.webrtc.silence import CONSENT_S, Silence

TIMEOUT_S = 10.0


class Clock:
    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def silence(clock: Clock) -> Silence:
    return Silence(TIMEOUT_S, clock)


def test_a_peer_without_ice_checks_may_be_silent_for_the_timeout(
    silence: Silence, clock: Clock
) -> None:
    clock.now_s += TIMEOUT_S - 0.1
    assert not silence.too_long
    silence.keepalive.restart()
    clock.now_s += TIMEOUT_S - 0.1
    assert not silence.too_long
    clock.now_s += 0.1
    assert silence.too_long


def test_ice_checks_alone_keep_a_peer_until_two_are_lost(silence: Silence, clock: Clock) -> None:
    clock.now_s += TIMEOUT_S - 1
    silence.ice_check.restart()
    clock.now_s += CONSENT_S - 0.1
    assert not silence.too_long
    clock.now_s += 0.1
    assert silence.too_long


def test_ice_checks_of_a_peer_that_could_send_more_do_not_count(
    silence: Silence, clock: Clock
) -> None:
    silence.ice_checks_count = False
    clock.now_s += TIMEOUT_S
    silence.ice_check.restart()
    assert silence.too_long


def test_a_long_timeout_applies_to_ice_checks_too(clock: Clock) -> None:
    silence = Silence(2 * CONSENT_S, clock)
    silence.ice_check.restart()
    clock.now_s += 2 * CONSENT_S - 0.1
    assert not silence.too_long
    clock.now_s += 0.1
    assert silence.too_long


async def test_the_wait_ends_with_the_timeout(silence: Silence, clock: Clock) -> None:
    waiting = asyncio.create_task(silence.wait_until_too_long())
    await asyncio.sleep(0)
    assert not waiting.done()
    clock.now_s += TIMEOUT_S
    await asyncio.wait_for(waiting, 5)
