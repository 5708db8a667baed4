"""Congestion control of one connection: what was sent and reported, and what may be sent."""

from __future__ import annotations

from collections import deque

from server.sessions.network_figures import NetworkFigures
from server.transport.webrtc.congestion.arrivals import Loss, QueuedRun, QueueingDelay, Throughput
from server.transport.webrtc.congestion.bandwidth import BandwidthEstimate, NetworkState
from server.transport.webrtc.congestion.delay_trend import DelayTrend
from server.transport.webrtc.congestion.feedback import TransportFeedback
from server.transport.webrtc.congestion.pacer import Pacer
from server.transport.webrtc.congestion.packet_groups import PacketGroups
from server.transport.webrtc.congestion.probes import Probes
from server.transport.webrtc.congestion.sent_packets import SentPacket, SentPackets

_NEWEST = 4
"""Number of packets whose least delay measures the queue, as a late thread delays single
packets."""
_OVERHEAD_S = 1.0
"""Seconds over which the bitrate of everything but frames is measured."""
_MOST_OVERHEAD = 0.5
"""Maximum, as a share of the estimate: a second with many retransmissions leaves at least half for
frames."""
_QUEUE_S, _FREE_QUEUE_S = 0.03, 0.15
"""Queueing delay above which no frame begins: after congestion, and before any, when a large frame
looks like a queue until it is reported."""
_FIRST_INTERVAL_S = 0.1
"""Assumed seconds between reports until two have arrived: browsers send one every 50 to 250 ms."""
_SILENCE_S = 0.5
"""Seconds without reports, while packets are sent, after which the estimate falls: two of
libwebrtc's longest intervals between reports."""
_LONGEST_AWAKE_S = 0.1
"""Counted at most of the time between two packets: the rest of it was a pause of this server."""
_SMOOTHING = 0.2
"""Weight of the newest value in the means of the round trip and of the interval of reports."""


class CongestionControl:
    """Decides how much a connection may send, and when.

    Args:
        start: First estimate, bits per second.
        lowest: Lower limit of the estimate, bits per second.
        highest: Upper limit of the estimate, bits per second.
    """

    def __init__(self, start: int, lowest: int, highest: int) -> None:
        self._sent = SentPackets()
        self._groups, self._trend = PacketGroups(), DelayTrend()
        self._throughput, self._delay, self._loss = Throughput(), QueueingDelay(), Loss()
        self._queued = QueuedRun()
        self._delays: deque[float] = deque(maxlen=_NEWEST)
        self._estimate = BandwidthEstimate(start, lowest, highest)
        self._lowest = lowest
        self._probes = Probes()
        self._pacer = Pacer(self._estimate.bits_per_s)
        self._overhead = _Overhead()
        self._queue_s = self._round_trip_s = 0.0
        self._interval_s = _FIRST_INTERVAL_S
        self._named: list[SentPacket] = []
        """Packets of the last report."""
        self._reported_at: float | None = None
        self._silent_s = 0.0
        self._sent_at: float | None = None

    @property
    def figures(self) -> NetworkFigures:
        """The newest figures of the network."""
        return NetworkFigures(
            estimate=self._estimate.bits_per_s,
            loss=self._loss.fraction,
            queue_s=self._queue_s,
            round_trip_s=self._round_trip_s,
            reported=len(self._named),
            lost=sum(packet.arrived_at is None for packet in self._named),
        )

    def encoder_target(self, now: float) -> int:
        """Return the bits per second for frames: the estimate less the rate of everything else."""
        estimate = self._estimate.bits_per_s
        other = min(self._overhead.bits_per_s(now), round(_MOST_OVERHEAD * estimate))
        return max(estimate - other, self._lowest)

    def expect(self, start: int, now: float) -> None:
        """Follow frames of another size.

        Without congestion so far, larger frames begin as a connection with such frames does. After
        congestion, probes find out whether the network carries as much.

        Args:
            start: First estimate of a connection with such frames, bits per second.
            now: Seconds.
        """
        self._estimate.expect(start)
        if self._estimate.bits_per_s < self._estimate.goal:
            self._probes.resume(now)
        self._follow(now)

    def sent(self, now: float, size: int, of_frame: int = 0, probe: int | None = None) -> int:
        """Count a packet that is being sent.

        Args:
            now: Seconds.
            size: Bytes on the wire.
            of_frame: How many of these bytes are encoded video.
            probe: The probe that it belongs to.

        Returns:
            Its transport-wide number, 16 bits.
        """
        self._pacer.sent(size, now)
        if probe is None:
            self._overhead.add(now, size - of_frame)
        self._note_silence(now)
        return self._sent.add(now, size, probe)

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next packet of a frame may be sent."""
        return self._pacer.wait_s(now)

    def may_retransmit(self, now: float) -> bool:
        """Whether a packet may be sent again."""
        return self._pacer.may_retransmit(now)

    def has_room(self, now: float) -> bool:
        """Whether a frame may begin: otherwise it would queue behind those before it."""
        oldest = self._sent.oldest_in_flight()
        if oldest is None or self._reported_at is None or now - self._reported_at > _SILENCE_S:
            return True
        # Packets count as in flight for a round trip and until the next report.
        queue_s = _QUEUE_S if self._estimate.is_congested(now) else _FREE_QUEUE_S
        seconds = self._round_trip_s + self._interval_s + queue_s
        return self._sent.bytes_in_flight * 8 <= seconds * self._estimate.bits_per_s

    def reported(self, feedback: TransportFeedback, now: float) -> None:
        """Take a report into account."""
        named = self._named = self._sent.report(feedback)
        if not named:
            return
        self._note_report(named, now)
        for packet in named:
            self._loss.add(packet)
            if packet.arrived_at is not None:
                self._add_arrival(packet)
        self._update(named, now)

    def begin_probe(self, now: float) -> tuple[int, int, int] | None:
        """Return number, bits per second and bytes of a probe that is due now, or None."""
        estimate = self._estimate
        size = self._probes.due(now, estimate.bits_per_s, estimate.goal)
        if size is None or self._probes.current is None:
            return None
        return (*self._probes.current, size)

    def _update(self, named: list[SentPacket], now: float) -> None:
        before = self._estimate.bits_per_s
        state = NetworkState(
            self._trend.usage,
            self._queue_s,
            self._throughput.bits_per_s(),
            self._queued.bits_per_s(),
            self._loss.fraction,
            self._round_trip_s,
        )
        self._estimate.update(state, now)
        if self._estimate.bits_per_s < before:
            # First, so that a probe whose packets caused the decrease is not read below.
            self._probes.congested(now)
            self._loss.counts_from = now
        measured = self._probes.reported(named, now)
        if measured is not None:
            self._estimate.probed(measured)
        self._follow(now)

    def _follow(self, now: float) -> None:
        estimate = self._estimate
        self._pacer.set_rate(estimate.bits_per_s, congested=estimate.is_congested(now))

    def _add_arrival(self, packet: SentPacket) -> None:
        self._throughput.add(packet)
        self._delay.add(packet)
        self._queued.add(packet, self._delay.seconds)
        self._delays.append(self._delay.seconds)
        self._queue_s = min(self._delays)
        delta = self._groups.add(packet)
        if delta is not None:
            self._trend.add(delta)

    def _note_report(self, named: list[SentPacket], now: float) -> None:
        """Measure the shortest time until a report, and the time between reports."""
        round_trip_s = now - named[-1].sent_at
        if self._reported_at is None:
            self._round_trip_s = round_trip_s
        else:
            between = min(now - self._reported_at, _SILENCE_S)
            self._interval_s += _SMOOTHING * (between - self._interval_s)
            # Without the queueing delay, which would otherwise enlarge the limit of packets in
            # flight.
            unqueued = max(0.0, round_trip_s - self._queue_s)
            self._round_trip_s += _SMOOTHING * (unqueued - self._round_trip_s)
        self._reported_at, self._silent_s = now, 0.0

    def _note_silence(self, now: float) -> None:
        """Lower the estimate when reports stop; time at which nothing is sent does not count.

        So reports that arrived while the process was suspended do not count as missing.
        """
        if self._sent_at is not None and self._sent.bytes_in_flight:
            self._silent_s += min(now - self._sent_at, _LONGEST_AWAKE_S)
        self._sent_at = now
        if self._silent_s > _SILENCE_S and self._reported_at is not None:
            self._silent_s = 0.0
            self._estimate.silent(now)
            self._probes.congested(now)
            self._follow(now)


class _Overhead:
    """Bits per second that are no frames: headers, voice, retransmissions."""

    def __init__(self) -> None:
        self._sizes: deque[tuple[float, int]] = deque()
        self._bytes = 0

    def add(self, now: float, size: int) -> None:
        self._sizes.append((now, size))
        self._bytes += size
        self._forget(now)

    def bits_per_s(self, now: float) -> int:
        self._forget(now)
        return round(self._bytes * 8 / _OVERHEAD_S)

    def _forget(self, now: float) -> None:
        while self._sizes and self._sizes[0][0] < now - _OVERHEAD_S:
            self._bytes -= self._sizes.popleft()[1]
