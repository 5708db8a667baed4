"""Throughput, queueing delay and loss from the arrivals of packets."""

from __future__ import annotations

from collections import deque

from server.transport.webrtc.congestion.sent_packets import SentPacket

_THROUGHPUT_S = 0.25
"""Window of the throughput. libwebrtc's is 150 ms; browsers report every 50 to 250 ms."""
_QUEUED_S = 0.02
"""Queueing delay from which on a packet counts as queued."""
_SHORTEST_RUN_S = 0.04
"""Minimum duration of a run. Jitter of threads is shorter: packets delayed by a thread arrive at
once when it continues."""
_FEWEST_QUEUED = 4  # packets of a run
_GROWING = 1.2
"""Packets that arrive as slowly as they were sent contain no information about the capacity of the
network."""
_FEWEST_PACKETS = 8
_LONGEST_THROUGHPUT_S = 1.0
"""Longest window of a sender of few packets, which spans a number of packets."""
_LOSS_S = 1.0
"""Window of the loss; that of RTCP receiver reports, by which libwebrtc measures it."""
_BASE_S = 10.0
"""Window in which some packet has met an empty queue. Longer ones let the clocks of both ends drift
by more than a millisecond (100 ppm)."""


class Throughput:
    """Received bits per second, which are fewer than those sent while a queue grows."""

    def __init__(self) -> None:
        self._arrived: deque[tuple[float, int]] = deque()
        self._bytes = 0

    def add(self, packet: SentPacket) -> None:
        """Count a packet that has arrived."""
        assert packet.arrived_at is not None
        self._arrived.append((packet.arrived_at, packet.size))
        self._bytes += packet.size
        while self._is_old():
            self._bytes -= self._arrived.popleft()[1]

    def bits_per_s(self) -> int | None:
        """Return the newest throughput; None before it can be measured."""
        if len(self._arrived) < 2:
            return None
        seconds = self._arrived[-1][0] - self._arrived[0][0]
        if seconds <= 0:
            return None
        # The first packet ends the time before the window.
        return round((self._bytes - self._arrived[0][1]) * 8 / seconds)

    def _is_old(self) -> bool:
        age_s = self._arrived[-1][0] - self._arrived[0][0]
        return age_s > _LONGEST_THROUGHPUT_S or (
            age_s > _THROUGHPUT_S and len(self._arrived) > _FEWEST_PACKETS
        )


class QueuedRun:
    """The newest packets that all had to queue: they arrive as fast as the network can carry them.

    Unlike the throughput it is exact as soon as there is a queue, and unlike the trend it needs no
    more than a few packets, so it finds a sudden drop.
    """

    def __init__(self) -> None:
        self._packets: deque[SentPacket] = deque()
        self._bytes = 0

    def add(self, packet: SentPacket, queue_s: float) -> None:
        """Count a packet that has arrived, by its queueing delay."""
        if queue_s < _QUEUED_S:
            self._packets.clear()
            self._bytes = 0
        # Including the last one that did not queue, whose arrival starts the measured time.
        self._packets.append(packet)
        self._bytes += packet.size
        while self._spans()[1] > _THROUGHPUT_S:
            self._bytes -= self._packets.popleft().size

    def bits_per_s(self) -> int | None:
        """Return the capacity of the network, bits per second; None without a growing queue."""
        if len(self._packets) < _FEWEST_QUEUED:
            return None
        sent_s, arrived_s = self._spans()
        if arrived_s < _SHORTEST_RUN_S or arrived_s < _GROWING * sent_s:
            return None
        return round((self._bytes - self._packets[0].size) * 8 / arrived_s)

    def _spans(self) -> tuple[float, float]:
        """Return the seconds in which the packets were sent, and in which they arrived."""
        first, last = self._packets[0], self._packets[-1]
        assert first.arrived_at is not None
        assert last.arrived_at is not None
        return last.sent_at - first.sent_at, last.arrived_at - first.arrived_at


class QueueingDelay:
    """Present travel time of packets minus the shortest one.

    The clocks of both ends differ by an unknown amount, which cancels out.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        """Queueing delay of the last packet."""
        self._lowest: deque[tuple[float, float]] = deque()
        """Moments and travel times, each of the latter larger than the one before: the first is
        the lowest of the window."""

    def add(self, packet: SentPacket) -> None:
        """Measure a packet that has arrived."""
        assert packet.arrived_at is not None
        travelled = packet.arrived_at - packet.sent_at
        # A packet that travelled longer than a later one is never the lowest of a window again.
        while self._lowest and self._lowest[-1][1] >= travelled:
            self._lowest.pop()
        self._lowest.append((packet.sent_at, travelled))
        while self._lowest[0][0] < packet.sent_at - _BASE_S:
            self._lowest.popleft()
        self.seconds = travelled - self._lowest[0][1]


class Loss:
    """The part of the packets of the last second that did not arrive."""

    def __init__(self) -> None:
        self.counts_from = float("-inf")
        """Packets sent before this time are left out, because they have been acted on."""
        self._packets: deque[tuple[float, bool]] = deque()
        self._lost = 0

    def add(self, packet: SentPacket) -> None:
        """Count a packet that was reported, missing or not."""
        lost = packet.arrived_at is None
        if packet.sent_at < self.counts_from:
            lost = False
        self._packets.append((packet.sent_at, lost))
        self._lost += lost
        while self._packets[0][0] < packet.sent_at - _LOSS_S:
            self._lost -= self._packets.popleft()[1]

    @property
    def fraction(self) -> float:
        """0 to 1."""
        return self._lost / len(self._packets) if self._packets else 0.0
