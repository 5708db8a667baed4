"""Transport feedback of a receiver, built byte by byte and packet by packet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from struct import pack

from server.transport.webrtc.congestion.sent_packets import SentPacket

TICK_S = 0.00025


def report(
    base: int,
    packets: int,
    chunks: Iterable[int],
    deltas: bytes = b"",
    *,
    reference: int = 1,
    count: int = 7,
) -> bytes:
    """Return the control information of a report.

    Args:
        base: Number of its first packet.
        packets: Number of packets that it claims to report.
        chunks: Status chunks of 16 bits.
        deltas: Bytes after the chunks.
        reference: Reference time in units of 64 ms, 24 bits.
        count: Number of the report.
    """
    head = pack("!HHI", base, packets, reference << 8 | count)
    return head + b"".join(pack("!H", chunk) for chunk in chunks) + deltas


def report_of(base: int, arrivals: Sequence[float | None]) -> bytes:
    """Return the report of a receiver on packets that have arrived or not.

    Args:
        base: Number of the first packet.
        arrivals: Arrivals of the packets from `base` on, seconds; None for a missing one.
    """
    known = [at for at in arrivals if at is not None]
    reference = int(known[0] / 0.064)
    ticks, deltas = round(reference * 0.064 / TICK_S), b""
    for at in known:
        delta = round(at / TICK_S) - ticks
        ticks += delta
        deltas += pack("!h", delta)
    symbols = [0 if at is None else 2 for at in arrivals]
    chunks = [two_bits(*symbols[i : i + 7]) for i in range(0, len(symbols), 7)]
    return report(base, len(arrivals), chunks, deltas, reference=reference & 0xFFFFFF)


def rtcp(fci: bytes, media_ssrc: int = 0) -> bytes:
    """Return the RTCP packet of a report, padded as browsers do."""
    padding = -len(fci) % 4
    fci += bytes(padding - 1) + bytes([padding]) if padding else b""
    first = 0b10_1_01111 if padding else 0b10_0_01111
    return pack("!BBHLL", first, 205, 2 + len(fci) // 4, 1, media_ssrc) + fci


def run(symbol: int, length: int) -> int:
    """Return a chunk for a run of packets of the same status."""
    return symbol << 13 | length


def two_bits(*symbols: int) -> int:
    """Return a chunk of seven packets."""
    chunk = 0b11
    for symbol in (*symbols, *(0,) * (7 - len(symbols))):
        chunk = chunk << 2 | symbol
    return chunk


def packet(
    number: int,
    sent_at: float,
    arrived_at: float | None,
    size: int = 1000,
    probe: int | None = None,
) -> SentPacket:
    """Return a packet that was reported."""
    return SentPacket(number, sent_at, size, probe, arrived_at)


def arriving(sent_at: Sequence[float], delays_s: Sequence[float]) -> list[SentPacket]:
    """Return packets with these send times and travel times, seconds."""
    return [
        packet(number, at, at + delay)
        for number, (at, delay) in enumerate(zip(sent_at, delays_s, strict=True))
    ]
