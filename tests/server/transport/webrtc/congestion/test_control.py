"""Congestion control over a bottleneck in simulated time: changes of capacity, queues and gaps."""

from __future__ import annotations

import pytest

from server.transport.webrtc.congestion.control import CongestionControl
from tests.server.transport.webrtc.congestion.simulated_call import Call

START, LOWEST, HIGHEST = 1_900_000, 100_000, 8_000_000
DROP_AT, RISE_AT = 10.0, 20.0
HIGH, LOW = 5e6, 0.5e6


def control() -> CongestionControl:
    return CongestionControl(START, LOWEST, HIGHEST)


def drop(at: float) -> float:
    return LOW if DROP_AT <= at < RISE_AT else HIGH


def test_a_network_without_a_bottleneck_gets_the_bitrate_of_the_frames_and_no_probes() -> None:
    call = Call(control(), lambda _: 50e6, needed=800_000)
    call.run(10)
    assert call.probe_bytes == 0
    assert call.control.figures.estimate == pytest.approx(START, rel=0.02)
    assert call.longest_gap(1, 10) < 0.02
    assert max(age for _, age in call.shown) < 0.03


@pytest.mark.parametrize("jitter_s", [0.004, 0.015])
def test_jitter_does_not_lower_the_estimate(jitter_s: float) -> None:
    call = Call(control(), lambda _: 50e6, needed=800_000, jitter_s=jitter_s)
    call.run(10)
    assert min(estimate for _, estimate in call.targets) > 0.8 * START


@pytest.mark.parametrize("travel_s", [0.005, 0.05])
@pytest.mark.parametrize("queue_s", [10.0, 0.2])
def test_a_drop_to_a_tenth_is_followed_within_a_second_without_a_freeze(
    travel_s: float, queue_s: float
) -> None:
    call = Call(control(), drop, travel_s=travel_s, queue_s=queue_s)
    call.run(DROP_AT + 1)
    assert call.control.figures.estimate <= LOW
    call.run(RISE_AT)
    # The report of the drop and the next frame each take one travel time.
    assert call.longest_gap(DROP_AT, RISE_AT) < 0.45 + 4 * travel_s
    assert call.rate(DROP_AT + 3, RISE_AT) > 0.7 * LOW


@pytest.mark.parametrize("needed", [1_000_000, 3_000_000])
def test_the_rate_recovers_within_10_s(needed: float) -> None:
    call = Call(control(), drop, needed=needed)
    call.run(RISE_AT + 12)
    before = call.rate(DROP_AT - 2, DROP_AT)
    assert call.rate(RISE_AT + 10, RISE_AT + 12) > 0.9 * before


def test_the_queue_at_a_bottleneck_stays_short() -> None:
    call = Call(control(), lambda _: 1e6)
    call.run(30)
    assert call.queue_percentile(5, 30, 0.95) < 0.05
    assert call.rate(5, 30) > 0.8e6


def test_a_network_that_stays_slow_is_rarely_probed() -> None:
    call = Call(control(), lambda _: LOW)
    call.run(60)
    assert call.probe_bytes * 8 / 60 < 0.05 * LOW
    assert call.queue_percentile(10, 60, 0.95) < 0.08


def test_a_few_lost_packets_do_not_lower_the_estimate() -> None:
    call = Call(control(), lambda _: 50e6, needed=800_000, loss=0.05)
    call.run(10)
    assert call.control.figures.estimate > 0.8 * START
    assert call.control.figures.loss == pytest.approx(0.05, abs=0.05)


def test_the_encoder_gets_the_rate_without_headers() -> None:
    call = Call(control(), lambda _: 50e6, needed=800_000)
    call.run(5)
    estimate = call.control.figures.estimate
    headers = 60 * 2 * 78 * 8
    assert call.control.encoder_target(call.now) == pytest.approx(estimate - headers, rel=0.03)


def test_the_figures_contain_the_queue_and_the_round_trip_time() -> None:
    call = Call(control(), lambda _: 50e6, needed=800_000, travel_s=0.03)
    call.run(5)
    assert call.control.figures.queue_s < 0.002
    assert 0.06 < call.control.figures.round_trip_s < 0.1


def test_without_reports_the_estimate_falls_and_frames_continue() -> None:
    call = Call(control(), lambda _: 50e6, needed=800_000)
    call.run(5)
    call.reporting = False
    call.run(10)
    assert call.control.figures.estimate < 0.3 * START
    assert call.rate(9, 10) > 50_000


def test_a_frozen_process_does_not_count_reports_as_missing() -> None:
    call = Call(control(), lambda _: 50e6, needed=800_000)
    call.run(5)
    frozen, now = call.control, 5.0
    for _ in range(10):
        frozen.sent(now, 1000, 900)
    before = frozen.figures.estimate
    frozen.sent(now + 12.0, 1000, 900)
    assert frozen.figures.estimate == before


def test_a_viewer_that_never_reports_gets_its_frames_at_the_first_rate() -> None:
    call = Call(control(), lambda _: 50e6, needed=800_000)
    call.reporting = False
    call.run(5)
    assert call.control.figures.estimate == START
    assert call.longest_gap(0, 5) < 0.02


def test_larger_frames_begin_at_their_own_rate_on_a_free_network() -> None:
    call = Call(control(), lambda _: 50e6)
    call.needed = 800_000
    call.run(5)
    call.control.expect(4_500_000, call.now)
    assert call.control.figures.estimate == 4_500_000
    call.needed = 4_000_000
    call.run(8)
    assert call.rate(6, 8) > 0.9 * 4_000_000
    assert call.longest_gap(5, 8) < 0.04
    raised = call.control.figures.estimate / 4_500_000
    call.control.expect(START, call.now)
    assert call.control.figures.estimate == pytest.approx(raised * START, rel=0.001)
    assert call.probe_bytes == 0


def test_after_congestion_a_probe_brings_larger_frames_their_rate() -> None:
    call = Call(control(), drop, needed=1_500_000)
    call.run(RISE_AT + 12)
    before = call.control.figures.estimate
    call.control.expect(4_000_000, call.now)
    assert call.control.figures.estimate == before, "raised without a test of the network"
    assert before < 2_800_000
    call.needed = 3_000_000
    call.run(RISE_AT + 14)
    assert call.control.figures.estimate > 3_400_000
    assert call.longest_gap(RISE_AT + 12, RISE_AT + 14) < 0.05


def test_larger_frames_do_not_overload_a_network_that_is_known_to_be_slow() -> None:
    call = Call(control(), lambda _: 1e6)
    call.run(30)
    call.control.expect(4_500_000, call.now)
    call.run(60)
    assert call.queue_percentile(30, 60, 0.95) < 0.08
    assert call.longest_gap(30, 60) < 0.25
