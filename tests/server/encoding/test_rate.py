"""The bitrate falls with congestion only, and recovers."""

from __future__ import annotations

from server.encoding.rate import RateControl


def send(rate: RateControl, bits_per_s: int, until_s: float) -> None:
    for step in range(10):
        rate.note_sent(bits_per_s // 80, until_s - 1 + (step + 1) / 10)


def test_an_estimate_below_the_sent_bitrate_is_congestion() -> None:
    rate = RateControl(2_000_000, 400_000, 4_000_000)
    send(rate, 2_000_000, until_s=1)
    assert rate.note_estimate(900_000, 1) == 900_000


def test_an_estimate_above_the_sent_bitrate_is_no_congestion_even_below_the_target() -> None:
    rate = RateControl(2_000_000, 400_000, 4_000_000)
    send(rate, 200_000, until_s=1)
    assert rate.note_estimate(300_000, 1) == 2_300_000


def test_the_target_recovers_step_by_step() -> None:
    rate = RateControl(2_000_000, 400_000, 4_000_000)
    send(rate, 2_000_000, until_s=1)
    rate.note_estimate(1_000_000, 1)
    targets = [rate.note_estimate(1_100_000, 3 + i) for i in range(3)]
    assert targets == [1_150_000, 1_322_500, 1_520_875]


def test_the_target_stays_between_the_limits() -> None:
    rate = RateControl(9_000_000, 400_000, 4_000_000)
    assert rate.target == 4_000_000
    assert rate.note_estimate(50_000_000, 0) == 4_000_000
    send(rate, 4_000_000, until_s=1)
    assert rate.note_estimate(10_000, 1) == 400_000


def test_bytes_sent_long_ago_do_not_count() -> None:
    rate = RateControl(2_000_000, 400_000, 4_000_000)
    send(rate, 4_000_000, until_s=1)
    assert rate.note_estimate(500_000, 2.5) > 2_000_000


def test_the_target_follows_frames_of_another_size() -> None:
    rate = RateControl(2_000_000, 400_000, 8_000_000)
    assert rate.expect(4_000_000) == 4_000_000
    assert rate.expect(9_000_000) == 8_000_000
    assert rate.expect(1_500_000) == 1_500_000


def test_a_target_that_was_raised_shrinks_in_proportion() -> None:
    rate = RateControl(2_000_000, 400_000, 8_000_000)
    rate.note_estimate(6_000_000, 0)
    assert rate.expect(1_000_000) == 3_000_000


def test_after_congestion_larger_frames_do_not_raise_the_target() -> None:
    rate = RateControl(2_000_000, 400_000, 8_000_000)
    send(rate, 2_000_000, until_s=1)
    rate.note_estimate(900_000, 1)
    assert rate.expect(4_000_000) == 900_000
    assert rate.expect(1_000_000) == 900_000
    assert rate.expect(600_000) == 600_000
