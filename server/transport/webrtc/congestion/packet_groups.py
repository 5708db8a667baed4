"""Group packets into bursts, between which the change of the delay is measured.

draft-ietf-rmcat-gcc-02, section 5.2; libwebrtc's `InterArrivalDelta`. The packets of a frame leave
at once and queue behind each other, which says nothing about congestion.
"""

from __future__ import annotations

from dataclasses import dataclass

from server.transport.webrtc.congestion.sent_packets import SentPacket

_GROUP_S = 0.005
"""Packets that were sent within it are one group (section 5.2)."""
_LONGEST_BURST_S = 0.1
"""libwebrtc's `kMaxBurstDuration`."""


@dataclass(frozen=True, slots=True)
class GroupDelta:
    """Differences between two consecutive groups, seconds."""

    sent_s: float
    """Time between the two when they were sent."""
    arrived_s: float
    """Time between the two when they arrived."""
    arrived_at: float
    """Arrival of the later one, on the receiver's clock."""


@dataclass(slots=True)
class _Group:
    first_sent_at: float
    last_sent_at: float
    first_arrived_at: float
    last_arrived_at: float


class PacketGroups:
    """Turns packets that have arrived into deltas between groups."""

    def __init__(self) -> None:
        self._previous: _Group | None = None
        self._current: _Group | None = None

    def add(self, packet: SentPacket) -> GroupDelta | None:
        """Add the next packet that has arrived.

        Returns:
            The delta between the last two groups, if the packet begins a new one.
        """
        assert packet.arrived_at is not None, "lost packets are in no group"
        current = self._current
        if current is None:
            self._begin(packet)
            return None
        if packet.sent_at < current.first_sent_at:
            return None  # reordered: it belongs to a group that has been measured
        if not self._is_next(current, packet):
            current.last_sent_at = max(current.last_sent_at, packet.sent_at)
            current.last_arrived_at = max(current.last_arrived_at, packet.arrived_at)
            return None
        delta = self._delta(current)
        self._previous = current
        self._begin(packet)
        return delta

    def _begin(self, packet: SentPacket) -> None:
        assert packet.arrived_at is not None
        self._current = _Group(packet.sent_at, packet.sent_at, packet.arrived_at, packet.arrived_at)

    def _is_next(self, current: _Group, packet: SentPacket) -> bool:
        if self._is_burst(current, packet):
            return False
        return packet.sent_at - current.first_sent_at > _GROUP_S

    @staticmethod
    def _is_burst(current: _Group, packet: SentPacket) -> bool:
        """Whether a packet was delayed together with the group and released with it."""
        assert packet.arrived_at is not None
        arrived_s = packet.arrived_at - current.last_arrived_at
        sent_s = packet.sent_at - current.last_sent_at
        return (
            arrived_s < sent_s
            and arrived_s <= _GROUP_S
            and packet.arrived_at - current.first_arrived_at < _LONGEST_BURST_S
        )

    def _delta(self, current: _Group) -> GroupDelta | None:
        previous = self._previous
        if previous is None:
            return None
        return GroupDelta(
            current.last_sent_at - previous.last_sent_at,
            current.last_arrived_at - previous.last_arrived_at,
            current.last_arrived_at,
        )
