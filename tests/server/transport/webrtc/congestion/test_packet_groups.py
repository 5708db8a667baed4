"""Packets are grouped by send time, and deltas are between groups."""

from __future__ import annotations

import pytest

from server.transport.webrtc.congestion.packet_groups import GroupDelta, PacketGroups
from tests.server.transport.webrtc.congestion.reports import arriving


def deltas(sent_at: list[float], delays_s: list[float]) -> list[GroupDelta]:
    groups = PacketGroups()
    found = (groups.add(packet) for packet in arriving(sent_at, delays_s))
    return [delta for delta in found if delta is not None]


def test_packets_sent_within_5_ms_are_one_group() -> None:
    sent = [0.0, 0.002, 0.020, 0.022, 0.040]
    (delta,) = deltas(sent, [0.01, 0.02, 0.01, 0.02, 0.01])
    assert delta.sent_s == pytest.approx(0.020)
    assert delta.arrived_s == pytest.approx(0.020)
    assert delta.arrived_at == pytest.approx(0.042)


def test_a_growing_queue_shows_in_the_delta() -> None:
    found = deltas([0.0, 0.02, 0.04, 0.06], [0.01, 0.02, 0.04, 0.07])
    assert [round(d.arrived_s - d.sent_s, 3) for d in found] == [0.01, 0.02]


def test_packets_delayed_and_released_together_are_one_group() -> None:
    sent = [0.0, 0.02, 0.04, 0.06, 0.08, 0.10]
    arrived = [0.01, 0.065, 0.066, 0.067, 0.09, 0.11]
    found = deltas(sent, [at - begun for at, begun in zip(arrived, sent, strict=True)])
    assert [round(d.sent_s, 3) for d in found] == [0.06, 0.02]
    assert [round(d.arrived_s - d.sent_s, 3) for d in found] == [-0.003, 0.003]


def test_a_reordered_packet_is_left_out() -> None:
    sent = [0.0, 0.02, 0.001, 0.04, 0.06]
    found = deltas(sent, [0.01, 0.01, 0.5, 0.01, 0.01])
    assert [round(d.arrived_s, 3) for d in found] == [0.02, 0.02]
