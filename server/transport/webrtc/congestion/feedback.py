"""Parse transport-wide feedback: which packets have arrived, and when.

draft-holmer-rmcat-transport-wide-cc-extensions-01, section 3.1. A malformed report is refused as a
whole, because its later packets would be assigned wrong numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from struct import unpack_from

from server.errors import BadMessageError

MOST_PACKETS = 4096
"""Maximum number of packets in a report. A browser reports every 50 to 250 ms, in which a viewer
gets about a hundred; the field allows 65 535, and each costs time."""
_HEADER = 8  # bytes: first number, count, time of reference, number of the report
_REFERENCE_S = 0.064  # unit of the time of reference
_TICK_S = 0.00025  # unit of the deltas
# A chunk has 16 bits. Run: 0, two bits of a status, 13 of its length. Vector: 1, one bit for the
# size of a status, then 14 or 7 of them.
_RUN_LENGTH = 13
_ONE_BIT_SYMBOLS = 14
_TWO_BIT_SYMBOLS = 7
_LOST, _SMALL_DELTA, _LARGE_DELTA, _RESERVED = range(4)


@dataclass(frozen=True, slots=True)
class TransportFeedback:
    """One report of a receiver."""

    base: int
    """Transport-wide number of the first packet, 16 bits."""
    count: int
    """Number of the report, 8 bits."""
    reference_s: float
    """Time of the receiver's clock to which arrivals are relative; wraps around after
    `REFERENCE_WRAP_S`."""
    arrivals: tuple[float | None, ...]
    """Arrivals of the packets from `base` on, seconds since `reference_s`; None for a missing
    packet."""


REFERENCE_WRAP_S = (1 << 24) * _REFERENCE_S


def parse_feedback(fci: bytes) -> TransportFeedback:
    """Parse the control information of an RTCP packet of type 205, format 15.

    Args:
        fci: The data after the two SSRCs; padding of the packet may remain at the end.

    Raises:
        BadMessageError: If it is truncated or contradicts itself.
    """
    if len(fci) < _HEADER:
        raise BadMessageError(f"expected feedback of at least {_HEADER} bytes, got {len(fci)}")
    # The last 32 bits are the time of reference, 24 bits, and the number of the report, 8 bits.
    base, packets, reference = unpack_from("!HHI", fci)
    if not 0 < packets <= MOST_PACKETS:
        raise BadMessageError(f"expected feedback of 1 to {MOST_PACKETS} packets, got {packets}")
    symbols, offset = _read_symbols(fci, packets)
    arrivals = tuple(_read_arrivals(fci, offset, symbols))
    return TransportFeedback(base, reference & 0xFF, (reference >> 8) * _REFERENCE_S, arrivals)


def _read_symbols(fci: bytes, packets: int) -> tuple[list[int], int]:
    """Return the status of each packet, and where the deltas begin."""
    symbols: list[int] = []
    offset = _HEADER
    while len(symbols) < packets:
        if offset + 2 > len(fci):
            raise BadMessageError(
                f"expected the status of {packets} packets, got that of {len(symbols)}"
            )
        (chunk,) = unpack_from("!H", fci, offset)
        offset += 2
        symbols += _symbols_of(chunk, packets - len(symbols))
    return symbols, offset


def _symbols_of(chunk: int, most: int) -> list[int]:
    if not chunk >> 15:
        run = min(chunk & ((1 << _RUN_LENGTH) - 1), most)
        if not run:
            raise BadMessageError("expected a run of at least one packet, got an empty one")
        return [chunk >> _RUN_LENGTH & 0b11] * run
    if chunk >> 14 & 1:
        shifts = range(2 * (_TWO_BIT_SYMBOLS - 1), -1, -2)
        return [chunk >> shift & 0b11 for shift in shifts][:most]
    return [chunk >> shift & 1 for shift in range(_ONE_BIT_SYMBOLS - 1, -1, -1)][:most]


def _read_arrivals(fci: bytes, offset: int, symbols: list[int]) -> Iterator[float | None]:
    ticks = 0
    for symbol in symbols:
        if symbol == _LOST:
            yield None
            continue
        if symbol == _RESERVED:
            raise BadMessageError("expected a status of 0, 1 or 2, got the reserved 3")
        # A small delta is unsigned, a large one signed: packets may arrive in another order.
        size, form = (1, "!B") if symbol == _SMALL_DELTA else (2, "!h")
        if offset + size > len(fci):
            raise BadMessageError("expected a delta for each packet that arrived, got fewer")
        (delta,) = unpack_from(form, fci, offset)
        offset += size
        ticks += delta
        yield ticks * _TICK_S
