"""The bandwidth estimate falls with congestion, and rises only up to tested rates."""

from __future__ import annotations

import pytest

from server.transport.webrtc.congestion.bandwidth import BandwidthEstimate, NetworkState
from server.transport.webrtc.congestion.delay_trend import Usage


def state(
    usage: Usage = Usage.NORMAL,
    *,
    queue_s: float = 0.0,
    throughput: int | None = 1_000_000,
    capacity: int | None = None,
    loss: float = 0.0,
) -> NetworkState:
    return NetworkState(usage, queue_s, throughput, capacity, loss, 0.05)


def estimate(start: int = 2_000_000) -> BandwidthEstimate:
    return BandwidthEstimate(start, 100_000, 8_000_000)


def test_overuse_lowers_the_estimate_below_the_throughput() -> None:
    found = estimate()
    found.update(state(Usage.OVERUSED, queue_s=0.03, throughput=1_500_000), 1.0)
    assert found.bits_per_s == 1_275_000
    assert found.is_congested(1.0)
    assert found.goal == 2_000_000


def test_a_low_sending_rate_does_not_lower_the_estimate_far() -> None:
    found = estimate()
    found.update(state(Usage.OVERUSED, queue_s=0.03, throughput=100_000), 1.0)
    assert found.bits_per_s == 850_000


def test_a_growing_queue_lowers_the_estimate_at_once_to_the_capacity() -> None:
    found = estimate()
    found.update(state(queue_s=0.08, capacity=500_000), 1.0)
    assert found.bits_per_s == 425_000


def test_a_trend_without_a_queue_does_not_change_the_estimate() -> None:
    found = estimate()
    found.update(state(Usage.OVERUSED, queue_s=0.005), 1.0)
    assert found.bits_per_s == 2_000_000
    assert not found.is_congested(1.0)


def test_the_next_decrease_waits_for_the_effect_of_the_previous_one() -> None:
    found = estimate()
    for at in (1.0, 1.1, 1.15):
        found.update(state(Usage.OVERUSED, queue_s=0.1, throughput=1_000_000), at)
    assert found.bits_per_s == 850_000
    found.update(state(Usage.OVERUSED, queue_s=0.1, throughput=700_000), 1.25)
    assert found.bits_per_s == 595_000


def test_the_estimate_rises_by_8_percent_a_second_while_it_is_fully_used() -> None:
    found = estimate()
    for second in range(5):
        found.update(state(throughput=2_800_000), float(second))
    assert found.bits_per_s == pytest.approx(2_000_000 * 1.08**4, rel=1e-3)


def test_the_estimate_does_not_rise_beyond_tested_rates_nor_fall_to_them() -> None:
    found = estimate()
    for second in range(5):
        found.update(state(throughput=300_000), float(second))
    assert found.bits_per_s == 2_000_000


def test_the_estimate_is_held_while_a_queue_drains() -> None:
    found = estimate()
    for second in range(5):
        found.update(state(Usage.UNDERUSED, throughput=3_000_000), float(second))
    assert found.bits_per_s == 2_000_000


@pytest.mark.parametrize(
    ("loss", "expected"), [(0.01, 2_160_000), (0.05, 2_000_000), (0.2, 1_800_000)]
)
def test_loss_above_10_percent_lowers_the_estimate_and_above_2_percent_holds_it(
    loss: float, expected: int
) -> None:
    found = estimate()
    found.update(state(throughput=3_000_000), 0.0)
    found.update(state(throughput=3_000_000, loss=loss), 1.0)
    assert found.bits_per_s == expected


def test_the_estimate_stays_between_the_limits() -> None:
    found = estimate(9_000_000)
    assert found.bits_per_s == 8_000_000
    for second in range(20):
        found.silent(float(second))
    assert found.bits_per_s == 100_000
    found.probed(50_000_000)
    assert found.bits_per_s == 8_000_000


def test_a_probe_may_raise_the_estimate_and_never_lowers_it() -> None:
    found = estimate()
    found.probed(1_000_000)
    assert found.bits_per_s == 2_000_000
    found.probed(3_000_000)
    assert found.bits_per_s == 3_000_000
