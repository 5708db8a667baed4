"""Sent packets are looked up by 16-bit numbers; their number is bounded."""

from __future__ import annotations

from server.transport.webrtc.congestion.feedback import REFERENCE_WRAP_S, TransportFeedback
from server.transport.webrtc.congestion.sent_packets import MOST_PACKETS, SentPackets


def feedback(
    base: int, *arrivals: float | None, reference_s: float = 0.0, count: int = 0
) -> TransportFeedback:
    return TransportFeedback(base, count, reference_s, arrivals)


def test_a_report_gives_packets_in_order_with_their_arrivals() -> None:
    sent = SentPackets()
    assert [sent.add(at / 10, 100 + at) for at in range(3)] == [0, 1, 2]
    named = sent.report(feedback(0, 0.5, None, 0.7, reference_s=64.0))
    assert [(p.number, p.sent_at, p.size, p.arrived_at) for p in named] == [
        (0, 0.0, 100, 64.5),
        (1, 0.1, 101, None),
        (2, 0.2, 102, 64.7),
    ]
    assert sent.bytes_in_flight == 0


def test_a_packet_is_reported_once() -> None:
    sent = SentPackets()
    for _ in range(2):
        sent.add(0.0, 100)
    assert len(sent.report(feedback(0, 0.1))) == 1
    assert [p.number for p in sent.report(feedback(0, 0.1, 0.2))] == [1]
    assert sent.report(feedback(0, 0.1, 0.2)) == []
    assert sent.bytes_in_flight == 0


def test_packets_of_a_lost_report_are_no_longer_in_flight() -> None:
    sent = SentPackets()
    for _ in range(5):
        sent.add(0.0, 100)
    assert [p.number for p in sent.report(feedback(3, 0.1))] == [3]
    assert sent.bytes_in_flight == 100


def test_numbers_that_were_never_sent_are_ignored() -> None:
    sent = SentPackets()
    assert sent.report(feedback(5, 0.1)) == []
    sent.add(0.0, 100)
    assert sent.report(feedback(1, 0.1, 0.1)) == []
    assert sent.report(feedback(40_000, 0.1, 0.1)) == []
    assert sent.bytes_in_flight == 100


def test_numbers_wrap_around() -> None:
    sent = SentPackets()
    for number in range(65_536 + 4):
        assert sent.add(number / 1000, 100) == number % 65_536
    named = sent.report(feedback(65_534, *(0.1,) * 6))
    assert [p.number for p in named] == list(range(65_534, 65_540))
    assert sent.bytes_in_flight == 0


def test_the_oldest_packets_are_discarded() -> None:
    sent = SentPackets()
    for _ in range(MOST_PACKETS + 10):
        sent.add(0.0, 100)
    assert sent.bytes_in_flight == MOST_PACKETS * 100
    assert sent.report(feedback(9, 0.1)) == []
    assert len(sent.report(feedback(9, 0.1, 0.1))) == 1
    oldest = sent.oldest_in_flight()
    assert oldest is not None
    assert oldest.number == 11


def test_the_receivers_clock_wraps_around() -> None:
    sent = SentPackets()
    for _ in range(2):
        sent.add(0.0, 100)
    (before,) = sent.report(feedback(0, 0.25, reference_s=REFERENCE_WRAP_S - 0.064))
    (after,) = sent.report(feedback(1, 0.25, reference_s=0.064))
    assert before.arrived_at is not None
    assert after.arrived_at is not None
    assert abs(after.arrived_at - before.arrived_at - 0.128) < 1e-6
