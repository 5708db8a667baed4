"""Parsing of transport-wide feedback; malformed messages are refused as a whole."""

from __future__ import annotations

import random
import time
from struct import pack

import pytest

from server.errors import BadMessageError
from server.transport.webrtc.congestion.feedback import MOST_PACKETS, parse_feedback
from tests.server.transport.webrtc.congestion.reports import TICK_S, report, run, two_bits


def test_runs_and_vectors_of_one_and_two_bits_are_parsed() -> None:
    chunks = [run(1, 2), 0b10 << 14 | 0b10100000000000, two_bits(2, 0, 1)]
    fci = report(65_530, 2 + 14 + 3, chunks, bytes([4, 8, 12, 16]) + pack("!h", -8) + b"\x04")
    found = parse_feedback(fci)
    assert (found.base, found.count, found.reference_s) == (65_530, 7, 0.064)
    missing = (None,) * 11
    ticks = (4, 12, 24, None, 40, *missing, 32, None, 36)
    assert found.arrivals == tuple(None if t is None else t * TICK_S for t in ticks)


def test_symbols_beyond_the_last_packet_are_padding() -> None:
    found = parse_feedback(report(0, 1, [two_bits(1, 1, 1)], b"\x04"))
    assert found.arrivals == (0.001,)


def test_padding_after_the_deltas_is_ignored() -> None:
    assert parse_feedback(report(0, 1, [run(1, 1)], b"\x04\x00\x02")).arrivals == (0.001,)


def test_the_reference_time_is_in_units_of_64_ms() -> None:
    found = parse_feedback(report(0, 1, [run(0, 1)], reference=0xFFFFFF))
    assert found.reference_s == pytest.approx(0xFFFFFF * 0.064)


@pytest.mark.parametrize(
    ("fci", "message"),
    [
        (b"", "expected feedback of at least 8 bytes, got 0"),
        (report(0, 0, []), "expected feedback of 1 to 4096 packets, got 0"),
        (report(0, 65_535, [run(0, 8191)] * 8), "expected feedback of 1 to 4096 packets"),
        (report(0, 5, []), "expected the status of 5 packets, got that of 0"),
        (report(0, 20, [run(0, 8)]) + b"\x00", "expected the status of 20 packets, got that of 8"),
        (report(0, 5, [run(1, 0), run(1, 5)], bytes(5)), "expected a run of at least one packet"),
        (report(0, 1, [run(3, 1)], bytes(4)), "expected a status of 0, 1 or 2"),
        (report(0, 7, [two_bits(1, 3)], bytes(8)), "expected a status of 0, 1 or 2"),
        (report(0, 3, [run(1, 3)], bytes(2)), "expected a delta for each packet that arrived"),
        (report(0, 3, [run(2, 3)], bytes(5)), "expected a delta for each packet that arrived"),
    ],
)
def test_malformed_feedback_is_refused_with_the_reason(fci: bytes, message: str) -> None:
    with pytest.raises(BadMessageError, match=message):
        parse_feedback(fci)


@pytest.mark.alone
def test_any_bytes_are_parsed_or_refused_quickly() -> None:
    dice = random.Random(7)
    whole = report(100, 40, [run(1, 20), two_bits(1, 2, 0, 1), run(1, 13)], bytes(range(40)))
    began, refused = time.perf_counter(), 0
    for _ in range(5000):
        fci = bytearray(whole[: dice.randrange(len(whole) + 1)])
        for _ in range(dice.randrange(4)):
            if fci:
                fci[dice.randrange(len(fci))] = dice.randrange(256)
        try:
            assert len(parse_feedback(bytes(fci)).arrivals) <= MOST_PACKETS
        except BadMessageError:
            refused += 1
    assert 1000 < refused < 5000
    assert time.perf_counter() - began < 5
