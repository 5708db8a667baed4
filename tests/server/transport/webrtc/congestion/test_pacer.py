"""The pacer sends small frames at once and large ones at the pacing rate."""

from __future__ import annotations

import pytest

from server.transport.webrtc.congestion.pacer import CONGESTED_DEBT_S, LONGEST_DEBT_S, Pacer


def test_a_frame_of_the_usual_size_is_sent_at_once() -> None:
    pacer = Pacer(2_000_000)
    for frame in range(60):
        for _ in range(3):
            assert pacer.wait_s(frame / 60) == 0
            pacer.sent(1300, frame / 60)


def test_a_large_frame_is_spread_at_two_and_a_half_times_the_estimate() -> None:
    pacer, now = Pacer(2_000_000), 0.0
    for _ in range(50):
        now += pacer.wait_s(now)
        pacer.sent(1250, now)
    assert now == pytest.approx(50 * 1250 * 8 / 5e6 - 0.04, abs=0.003)


def test_after_congestion_packets_are_spread_at_little_more_than_the_estimate() -> None:
    pacer, now = Pacer(2_000_000), 0.0
    pacer.set_rate(400_000, congested=True)
    for _ in range(10):
        now += pacer.wait_s(now)
        pacer.sent(1250, now)
    assert now == pytest.approx(9 * 0.02 - 0.005, abs=0.001)


def test_a_lower_rate_extends_the_debt_of_packets_already_sent() -> None:
    pacer = Pacer(2_000_000)
    pacer.sent(62_500, 0.0)  # 0.1 s
    assert pacer.wait_s(0.0) == pytest.approx(0.06)
    pacer.set_rate(1_000_000, congested=False)
    assert pacer.wait_s(0.0) == pytest.approx(0.16)


def test_retransmissions_are_allowed_until_the_debt_is_long() -> None:
    pacer = Pacer(1_000_000)
    pacer.sent(round(LONGEST_DEBT_S * 2.5e6 / 8) - 100, 0.0)
    assert pacer.may_retransmit(0.0)
    pacer.sent(1000, 0.0)
    assert not pacer.may_retransmit(0.0)
    assert pacer.may_retransmit(0.1)


def test_after_congestion_retransmissions_keep_to_the_pacing_rate() -> None:
    pacer, sent = Pacer(2_000_000), 0
    pacer.set_rate(400_000, congested=True)
    for millisecond in range(1000):
        if pacer.may_retransmit(millisecond / 1000):
            pacer.sent(1250, millisecond / 1000)
            sent += 1
    assert sent * 1250 * 8 == pytest.approx(500_000 * (1 + CONGESTED_DEBT_S), rel=0.05)
