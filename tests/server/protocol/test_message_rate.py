"""The token bucket of messages: accepted and dropped messages, and detection of floods."""

from __future__ import annotations

import pytest

from server.protocol.message_rate import (
    BAD_CHARACTERS,
    FLOOD_FACTOR,
    FLOOD_S,
    MessageRate,
    TokenBucket,
)


class Clock:
    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


def send(rate: MessageRate, clock: Clock, per_s: float, seconds: float) -> int:
    """Send at a steady rate; return the number of accepted messages."""
    passed = 0
    for _ in range(round(per_s * seconds)):
        clock.now_s += 1 / per_s
        passed += rate.take()
    return passed


def test_a_burst_is_accepted_and_then_the_rate() -> None:
    clock = Clock()
    rate = MessageRate(100, 20, clock)
    assert sum(rate.take() for _ in range(50)) == 20
    assert rate.dropped == 30
    clock.now_s += 0.1
    assert sum(rate.take() for _ in range(50)) == 10
    clock.now_s += 60
    assert sum(rate.take() for _ in range(50)) == 20


def test_a_sender_at_its_rate_loses_nothing() -> None:
    clock = Clock()
    rate = MessageRate(120, 20, clock)
    assert send(rate, clock, 120, 30) == 120 * 30
    assert (rate.dropped, rate.flooding) == (0, False)


def test_a_sender_above_its_rate_gets_its_rate_and_the_rest_is_counted_as_dropped() -> None:
    clock = Clock()
    rate = MessageRate(100, 10, clock)
    passed = send(rate, clock, 300, 20)
    assert passed == pytest.approx(100 * 20 + 10, abs=2)
    assert rate.dropped == 300 * 20 - passed
    assert not rate.flooding


def test_the_wait_is_the_time_until_the_next_message_passes() -> None:
    clock = Clock()
    rate = MessageRate(10, 1, clock)
    assert rate.wait_s() == 0
    assert rate.take()
    assert rate.wait_s() == pytest.approx(0.1)
    clock.now_s += rate.wait_s() + 1e-9
    assert rate.take()


def test_a_sender_far_above_its_rate_for_long_is_a_flood() -> None:
    clock = Clock()
    rate = MessageRate(10, 10, clock)
    send(rate, clock, 10 * FLOOD_FACTOR * 1.5, FLOOD_S * 0.9)
    assert not rate.flooding, "not yet for long enough"
    send(rate, clock, 10 * FLOOD_FACTOR * 1.5, FLOOD_S * 0.2)
    assert rate.flooding


def test_messages_delayed_by_a_stall_are_no_flood() -> None:
    clock = Clock()
    rate = MessageRate(10, 10, clock)
    for _ in range(500):
        rate.take()
    send(rate, clock, 10, 2 * FLOOD_S)
    assert not rate.flooding


@pytest.mark.parametrize("cost", [2, 50])
def test_an_invalid_message_costs_more_the_longer_it_is(cost: int) -> None:
    clock = Clock()
    rate = MessageRate(100, 100, clock)
    bad = 0
    for _ in range(1000):
        clock.now_s += 0.01
        if rate.take():
            bad += 1
            rate.charge_bad((cost - 1) * BAD_CHARACTERS)
    assert bad == pytest.approx(10 * 100 / cost + 100 / cost, abs=2)


def test_short_invalid_messages_leave_room_for_a_valid_one() -> None:
    rate = MessageRate(100, 100, Clock())
    for _ in range(50):
        assert rate.take()
        rate.charge_bad(2)
    assert rate.take()


def test_a_bucket_refills_at_its_rate_up_to_the_burst_and_after_a_charge() -> None:
    bucket = TokenBucket(per_s=2.0, burst=3.0, counted_at=10.0)
    assert [bucket.take(10.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.wait_s(10.0) == 0.5
    assert bucket.take(10.5)
    assert [bucket.take(60.0) for _ in range(4)] == [True, True, True, False]
    bucket.left -= 4.0
    assert bucket.wait_s(60.0) == 2.5
    assert not bucket.take(62.0)
    assert bucket.take(62.5)
