"""Probes start after congestion only, and measure the capacity of the network."""

from __future__ import annotations

import pytest

from server.transport.webrtc.congestion.probes import FEWEST_PACKETS, Probes
from server.transport.webrtc.congestion.sent_packets import SentPacket
from tests.server.transport.webrtc.congestion.reports import packet

ESTIMATE, GOAL = 400_000, 2_000_000


def begun() -> Probes:
    probes = Probes()
    probes.congested(0.0)
    assert probes.due(2.0, ESTIMATE, GOAL) == 2000
    assert probes.current == (1, 800_000)
    return probes


def probe(sent_bits_per_s: float, received_bits_per_s: float, lost: int = 0) -> list[SentPacket]:
    size = 500
    return [
        packet(
            number,
            2 + number * size * 8 / sent_bits_per_s,
            None if number < lost else 9 + number * size * 8 / received_bits_per_s,
            size,
            probe=1,
        )
        for number in range(FEWEST_PACKETS)
    ]


def test_there_is_no_probe_without_congestion() -> None:
    probes = Probes()
    assert [probes.due(at / 2, ESTIMATE, GOAL) for at in range(40)] == [None] * 40


def test_the_first_probe_waits_and_only_one_is_active() -> None:
    probes = Probes()
    probes.congested(0.0)
    assert probes.due(1.9, ESTIMATE, GOAL) is None
    assert probes.due(2.0, ESTIMATE, GOAL) is not None
    assert probes.due(2.1, ESTIMATE, GOAL) is None


def test_a_probe_that_arrives_at_its_rate_measures_that_rate() -> None:
    assert begun().reported(probe(800_000, 800_000), 2.2) == 800_000


def test_a_probe_above_the_capacity_measures_the_capacity() -> None:
    assert begun().reported(probe(800_000, 600_000), 2.2) == pytest.approx(570_000, rel=1e-3)


def test_a_probe_that_arrives_in_a_burst_measures_no_more_than_its_rate() -> None:
    assert begun().reported(probe(800_000, 90e6), 2.2) == 800_000


@pytest.mark.parametrize("packets", [probe(800_000, 300_000), probe(800_000, 800_000, lost=2)])
def test_a_probe_that_is_slow_or_lost_measures_nothing_and_the_next_one_waits(
    packets: list[SentPacket],
) -> None:
    probes = begun()
    assert probes.reported(packets, 2.2) is None
    assert probes.due(5.1, ESTIMATE, GOAL) is None
    assert probes.due(5.3, ESTIMATE, GOAL) is not None


def test_a_probe_without_a_report_times_out() -> None:
    probes = begun()
    assert probes.due(3.1, ESTIMATE, GOAL) is None
    assert probes.current is None
    assert probes.due(6.2, ESTIMATE, GOAL) is not None


def test_probes_follow_each_other_until_the_goal_is_reached() -> None:
    probes = begun()
    probes.reported(probe(800_000, 800_000), 2.2)
    assert probes.due(2.5, 800_000, GOAL) == 4000
    probes.reported([], 2.6)
    probes.congested(3.0)
    assert probes.due(9.0, GOAL, GOAL) is None
    assert probes.due(99.0, ESTIMATE, GOAL) is None, "not before the next congestion"
