"""Store sent packets until the receiver reports them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from server.transport.webrtc.congestion.feedback import REFERENCE_WRAP_S, TransportFeedback

MOST_PACKETS = 4096
"""Maximum number of stored packets: some seconds of video at the highest bitrate. Older ones count
as lost. Less than half of the 16-bit numbers, so that a number identifies one packet."""
_NUMBERS = 1 << 16


@dataclass(slots=True)
class SentPacket:
    """A sent packet and the report on it."""

    number: int
    """Transport-wide, without wrap-around."""
    sent_at: float
    """Seconds."""
    size: int
    """Bytes on the wire."""
    probe: int | None = None
    """The probe that it belongs to."""
    arrived_at: float | None = None
    """Seconds of the receiver's clock; None if it is reported missing."""


class SentPackets:
    """Numbers packets and looks them up when they are reported."""

    def __init__(self) -> None:
        self.bytes_in_flight = 0
        """Packets that no report contains yet."""
        self._next = 0
        self._reported = 0
        """All packets below this number have been reported or discarded."""
        self._packets: deque[SentPacket] = deque(maxlen=MOST_PACKETS)
        self._reference: float | None = None

    def add(self, now: float, size: int, probe: int | None = None) -> int:
        """Store a packet that is being sent.

        Returns:
            Its transport-wide number, 16 bits.
        """
        number = self._next
        self._next += 1
        if len(self._packets) == MOST_PACKETS and self._packets[0].number >= self._reported:
            self._pass(self._packets[0])
        self._packets.append(SentPacket(number, now, size, probe))
        self.bytes_in_flight += size
        return number % _NUMBERS

    def report(self, feedback: TransportFeedback) -> list[SentPacket]:
        """Return the packets that are reported for the first time, in the order of sending.

        Numbers that were never sent, or are discarded, are ignored.
        """
        reference = self._unwrap_reference(feedback.reference_s)
        first = self._unwrap(feedback.base)
        named = []
        for number, arrival in enumerate(feedback.arrivals, first):
            packet = self._find(number)
            if packet is None:
                continue
            if arrival is not None:
                packet.arrived_at = reference + arrival
            named.append(packet)
            self._pass_up_to(packet)
        return named

    def oldest_in_flight(self) -> SentPacket | None:
        """Return the packet that has waited longest for its report."""
        return self._find(self._reported)

    def _find(self, number: int) -> SentPacket | None:
        """Return a packet that is not reported yet."""
        if not self._packets or not self._reported <= number < self._next:
            return None
        return self._packets[number - self._packets[0].number]

    def _pass_up_to(self, packet: SentPacket) -> None:
        """Take all packets up to this one as reported: reports skip no packet, but may be lost."""
        for skipped in self._between(self._reported, packet.number):
            self._pass(skipped)

    def _between(self, first: int, last: int) -> Iterator[SentPacket]:
        for number in range(first, last + 1):
            if (found := self._find(number)) is not None:
                yield found

    def _pass(self, packet: SentPacket) -> None:
        self.bytes_in_flight -= packet.size
        self._reported = packet.number + 1

    def _unwrap(self, number: int) -> int:
        """Return the number of the packet that was sent last among those with these 16 bits."""
        behind = (self._next - 1 - number) % _NUMBERS
        return self._next - 1 - behind

    def _unwrap_reference(self, reference: float) -> float:
        """Return a time of the receiver's clock without its wrap-around, every 12 days."""
        if self._reference is not None:
            half = REFERENCE_WRAP_S / 2
            moved = (reference - self._reference + half) % REFERENCE_WRAP_S - half
            reference = self._reference + moved
        self._reference = reference
        return reference
