"""Estimates the bandwidth from delay and loss.

The estimate rises while nothing queues, and falls at congestion, as in draft-ietf-rmcat-gcc-02,
sections 5.5 (delay) and 6 (loss).
"""

from __future__ import annotations

from dataclasses import dataclass

from server.encoding.rate import follow_start
from server.transport.webrtc.congestion.delay_trend import Usage

_DECREASE = 0.85
"""Beta of section 5.5: the estimate falls below the received rate, so that the queue drains."""
_RAISE_PER_S = 1.08
"""Eta of section 5.5."""
_MOST_ABOVE_ARRIVED, _ABOVE_ARRIVED_BITS = 1.5, 10_000
"""Section 5.5 and libwebrtc's `AimdRateControl`: more than this was not tested by what was sent."""
_LARGEST_STEP = 0.5
"""Ours: factor of a decrease without a growing queue that measures the bandwidth; the next decrease
follows soon."""
_STANDING_QUEUE_S = 0.015
"""Ours: least queueing delay of congestion, as a trend without a queue is jitter. Three times what
CoDel (RFC 8289) allows a router, since clocks and threads of both ends add milliseconds of their
own."""
_LARGE_QUEUE_S = 0.05
"""Ours: such a queueing delay of packets that arrive more slowly than the estimate is congestion. A
trend is not awaited: it needs some frames, each of which takes ten times as long after the
bandwidth has fallen to a tenth."""
_SHORTEST_RESPONSE_S = 0.2
"""Seconds between two decreases, in addition to the round trip: libwebrtc's longest."""
_HIGH_LOSS, _LOW_LOSS = 0.1, 0.02
_LOSS_SHARE = 0.5
"""Section 6: above 10 % lost the estimate falls by half of that share, above 2 % it stays."""
_LOSS_RESPONSE_S = 0.3
"""libwebrtc's `kBweDecreaseInterval`."""
# As in libwebrtc's `AimdRateControl`: without reports nothing shows that more would have arrived.
_LONGEST_RAISE_S = 1.0
_RECENT_S = 10.0  # during this time, pacer and `has_room` keep the queue short


@dataclass(frozen=True, slots=True)
class NetworkState:
    """The state of the network by one report."""

    usage: Usage
    queue_s: float
    """Queueing delay of the newest packets, seconds."""
    throughput: int | None
    """Received bits per second; None while unknown."""
    capacity: int | None
    """Received bits per second while the queue grows, which are all that the network can carry;
    None without such a queue."""
    loss: float
    """Part of the packets that were lost, 0 to 1."""
    round_trip_s: float


class BandwidthEstimate:
    """Estimate of the bits per second that the network can carry without queueing.

    Args:
        start: First estimate, bits per second. Until there is congestion it is not lowered, and
            raised above it only by what has arrived.
        lowest: Lower limit, bits per second.
        highest: Upper limit, bits per second.
    """

    def __init__(self, start: int, lowest: int, highest: int) -> None:
        self.bits_per_s = min(max(start, lowest), highest)
        self.goal = self.bits_per_s
        """Goal of probes: the highest estimate so far."""
        self._start, self._lowest, self._highest = start, lowest, highest
        self._updated_at: float | None = None
        self._decreased_at = float("-inf")
        self._lost_at = float("-inf")

    def is_congested(self, now: float) -> bool:
        """Whether there was congestion in the last seconds."""
        return now - max(self._decreased_at, self._lost_at) < _RECENT_S

    def expect(self, start: int) -> None:
        """Follow frames of another size.

        Args:
            start: First estimate of a connection with such frames, bits per second.
        """
        before, self._start = self._start, start
        untested = max(self._decreased_at, self._lost_at) == float("-inf")
        rate = follow_start(self.bits_per_s, before, start, untested=untested)
        # Probes for more than frames of this size need would be useless.
        self.goal = min(follow_start(self.goal, before, start, untested=True), self._highest)
        self._set(rate)

    def update(self, state: NetworkState, now: float) -> None:
        """Take the next report into account."""
        passed_s = 0.0 if self._updated_at is None else now - self._updated_at
        self._updated_at = now
        if self._is_overused(state):
            self._decrease(state, now)
        elif state.loss > _HIGH_LOSS:
            self._decrease_by_loss(state.loss, now)
        # The estimate does not rise while the queue drains: the state "hold" of section 5.5.
        elif state.usage is Usage.NORMAL and state.loss < _LOW_LOSS:
            self._increase(state, min(passed_s, _LONGEST_RAISE_S))

    def probed(self, bits_per_s: int) -> None:
        """Raise the estimate to what a probe has measured."""
        self._set(max(self.bits_per_s, bits_per_s))

    def silent(self, now: float) -> None:
        """Halve the estimate, because reports have stopped."""
        self._lower_to(self.bits_per_s // 2, now)
        self._decreased_at = now

    def _is_overused(self, state: NetworkState) -> bool:
        if state.usage is Usage.OVERUSED and state.queue_s > _STANDING_QUEUE_S:
            return True
        return (
            state.queue_s > _LARGE_QUEUE_S
            and state.capacity is not None
            and state.capacity < self.bits_per_s
        )

    def _decrease(self, state: NetworkState, now: float) -> None:
        response_s = max(_SHORTEST_RESPONSE_S, state.round_trip_s)
        if now - self._decreased_at < response_s:
            return
        arriving = state.capacity
        if arriving is None:
            # Little may have arrived because little was sent.
            arriving = max(state.throughput or 0, round(_LARGEST_STEP * self.bits_per_s))
        self._lower_to(round(_DECREASE * arriving), now)
        self._decreased_at = now

    def _decrease_by_loss(self, loss: float, now: float) -> None:
        if now - self._lost_at >= _LOSS_RESPONSE_S:
            self._lower_to(round(self.bits_per_s * (1 - _LOSS_SHARE * loss)), now)
            self._lost_at = now

    def _lower_to(self, bits_per_s: int, now: float) -> None:
        self._set(min(self.bits_per_s, bits_per_s))

    def _increase(self, state: NetworkState, passed_s: float) -> None:
        if state.throughput is None:
            return
        tested = round(_MOST_ABOVE_ARRIVED * state.throughput) + _ABOVE_ARRIVED_BITS
        raised = round(self.bits_per_s * _RAISE_PER_S**passed_s)
        self._set(max(self.bits_per_s, min(raised, tested)))

    def _set(self, bits_per_s: int) -> None:
        self.bits_per_s = min(max(bits_per_s, self._lowest), self._highest)
        self.goal = max(self.goal, self.bits_per_s)
