"""Probes for bandwidth after congestion, by short bursts above the estimate.

Video that needs less than the estimate does not show what the network could carry, and additive
increase takes half a minute. As libwebrtc's `ProbeController` and `ProbeBitrateEstimator`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from server.transport.webrtc.congestion.sent_packets import SentPacket

_FACTOR = 2.0
"""Factor of the estimate; libwebrtc's for probes that follow each other."""
_DURATION_S = 0.02
FEWEST_PACKETS = 5
"""libwebrtc: 15 ms and 5 packets."""
_FEWEST_ARRIVED = 0.8
"""Least part of a probe's packets that must arrive for a measurement: `kMinReceivedProbesRatio`."""
_UNSATURATED = 0.9
"""Arriving at less than this part of the sent rate, the probe has reached the limit of the network:
`kMinRatioForUnsaturatedLink`."""
_UTILISED = 0.95
"""Part of such a measured limit that is used: `kTargetUtilizationFraction`."""
_FIRST_S, _LONGEST_S = 2.0, 5.0
"""Seconds between a decrease and the first probe, and between probes that fail. The packets of each
may queue for some 40 ms."""
_AFTER_SUCCESS_S = 0.2
_RESULT_S = 1.0
"""A probe without result by then has failed."""


@dataclass(slots=True)
class _Probe:
    number: int
    bits_per_s: int
    began_at: float
    packets: list[SentPacket]


class Probes:
    """Decides when to probe, and reads the results."""

    def __init__(self) -> None:
        self._next_at: float | None = None
        self._interval_s = _FIRST_S
        self._probe: _Probe | None = None
        self._count = 0

    def congested(self, now: float) -> None:
        """Note a decrease of the estimate: the next probe waits."""
        self._probe = None
        self._next_at = now + self._interval_s

    def resume(self, now: float) -> None:
        """Probe soon, because the goal has risen; not earlier than planned after congestion."""
        if self._next_at is None:
            self._next_at = now

    def due(self, now: float, estimate: int, goal: int) -> int | None:
        """Return the bytes of a probe that should begin now; None for no probe.

        Args:
            now: Seconds.
            estimate: Bits per second.
            goal: Upper limit of the bits per second that are probed for.
        """
        self._give_up(now)
        if self._next_at is None or now < self._next_at or self._probe is not None:
            return None
        if estimate >= goal:
            self._next_at, self._interval_s = None, _FIRST_S
            return None
        # Enough for the goal: a probe that reaches the limit of the network measures `_UTILISED` of
        # it.
        bits_per_s = round(min(_FACTOR * estimate, goal / _UTILISED))
        self._count += 1
        self._probe = _Probe(self._count, bits_per_s, now, [])
        return round(bits_per_s * _DURATION_S / 8)

    @property
    def current(self) -> tuple[int, int] | None:
        """Number and bits per second of the probe that is under way."""
        return None if self._probe is None else (self._probe.number, self._probe.bits_per_s)

    def reported(self, packets: Iterable[SentPacket], now: float) -> int | None:
        """Read a report.

        Returns:
            The bits per second that a probe has measured, once all of it is reported.
        """
        probe = self._probe
        if probe is None:
            return None
        probe.packets += (packet for packet in packets if packet.probe == probe.number)
        if len(probe.packets) < FEWEST_PACKETS:
            return None
        self._probe = None
        measured = _measure(probe)
        self._plan(now, succeeded=measured is not None)
        return measured

    def _give_up(self, now: float) -> None:
        if self._probe is not None and now - self._probe.began_at > _RESULT_S:
            self._probe = None
            self._plan(now, succeeded=False)

    def _plan(self, now: float, *, succeeded: bool) -> None:
        if succeeded:
            self._interval_s = _FIRST_S
            self._next_at = now + _AFTER_SUCCESS_S
        else:
            self._interval_s = min(self._interval_s * 1.5, _LONGEST_S)
            self._next_at = now + self._interval_s


def _measure(probe: _Probe) -> int | None:
    """Return the bits per second that a probe has measured; None if that is less than before."""
    arrived = [p for p in probe.packets if p.arrived_at is not None]
    if len(arrived) < _FEWEST_ARRIVED * len(probe.packets):
        return None
    sent = _rate([p.sent_at for p in arrived], [p.size for p in arrived])
    received = _rate([p.arrived_at or 0.0 for p in arrived], [p.size for p in arrived])
    measured = min(sent, received, probe.bits_per_s)
    if received < _UNSATURATED * min(sent, probe.bits_per_s):
        measured = _UTILISED * received
    return round(measured) if measured > probe.bits_per_s / _FACTOR else None


def _rate(moments: list[float], sizes: list[int]) -> float:
    """Return bits per second from the first packet to the last, which ends the time."""
    seconds = max(moments) - min(moments)
    # Without the first packet, whose own time lies before the span.
    return (sum(sizes) - sizes[0]) * 8 / seconds if seconds > 0 else math.inf
