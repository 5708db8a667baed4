"""Throughput, queueing delay, capacity and loss of the newest packets."""

from __future__ import annotations

import pytest

from server.transport.webrtc.congestion.arrivals import (
    Loss,
    QueuedRun,
    QueueingDelay,
    Throughput,
)
from tests.server.transport.webrtc.congestion.reports import arriving, packet


def test_throughput_is_measured_over_the_last_quarter_of_a_second() -> None:
    throughput = Throughput()
    assert throughput.bits_per_s() is None
    for number in range(100):
        throughput.add(packet(number, 0.0, number / 100, size=1000))
    assert throughput.bits_per_s() == 800_000
    for number in range(30):
        throughput.add(packet(number, 0.0, 1 + number / 50, size=1000))
    assert throughput.bits_per_s() == pytest.approx(400_000, rel=0.05)


def test_packets_of_one_instant_have_no_throughput() -> None:
    throughput = Throughput()
    for number in range(3):
        throughput.add(packet(number, 0.0, 1.0))
    assert throughput.bits_per_s() is None


def test_the_queueing_delay_does_not_depend_on_the_receivers_clock() -> None:
    for offset_s in (-5e5, 0.0, 77.7):
        delay, seen = QueueingDelay(), []
        for sent in arriving([0, 1, 2, 3], [offset_s + d for d in (0.02, 0.05, 0.01, 0.04)]):
            delay.add(sent)
            seen.append(round(delay.seconds, 4))
        assert seen == [0.0, 0.03, 0.0, 0.03]


def test_the_shortest_travel_time_expires_after_10_s() -> None:
    delay = QueueingDelay()
    for sent in arriving([0, 5, 10, 10.5], [0.01, 0.06, 0.06, 0.06]):
        delay.add(sent)
    assert delay.seconds == pytest.approx(0.0)


def queued(sent_every_s: float, arrived_every_s: float, count: int) -> int | None:
    run = QueuedRun()
    for number in range(count):
        sent_at, arrived_at = number * sent_every_s, number * arrived_every_s
        run.add(packet(number, sent_at, arrived_at), arrived_at - sent_at)
    return run.bits_per_s()


def test_packets_of_a_growing_queue_measure_the_capacity_of_the_network() -> None:
    assert queued(0.002, 0.016, 8) == 500_000


def test_packets_that_arrive_at_their_sending_rate_do_not_measure_the_network() -> None:
    run = QueuedRun()
    for number in range(20):
        run.add(packet(number, number * 0.1, number * 0.1 + 0.06), 0.06)
    assert run.bits_per_s() is None


def test_packets_delayed_and_released_together_do_not_measure_the_network() -> None:
    run = QueuedRun()
    for number in range(8):
        run.add(packet(number, number * 0.01, 0.1 + number * 0.0001), 0.1 - number * 0.01)
    assert run.bits_per_s() is None


def test_loss_is_measured_over_the_last_second() -> None:
    loss = Loss()
    assert loss.fraction == 0.0
    for number in range(10):
        loss.add(packet(number, 0.5, None if number < 3 else 1.0))
    assert loss.fraction == pytest.approx(0.3)
    for number in range(10):
        loss.add(packet(number, 1.6, 2.0))
    assert loss.fraction == 0.0


def test_loss_before_the_last_decrease_does_not_count() -> None:
    loss = Loss()
    loss.counts_from = 1.0
    loss.add(packet(0, 0.9, None))
    loss.add(packet(1, 1.1, None))
    assert loss.fraction == pytest.approx(0.5)
