"""Pace packets, so that a large frame does not queue in the network.

A token bucket of time: `debt` is how long the packets that were sent take at the pacing rate.
"""

from __future__ import annotations

_FREE = 2.5
"""Pacing rate by estimate; libwebrtc's `kDefaultPaceMultiplier`."""
_CONGESTED = 1.25
"""The same while the estimate equals the capacity: a queue would delay later packets."""
_BURST_S = 0.04
"""Sent at once; libwebrtc's burst interval. At the first bitrate of 320x320 these are 23 kB, which
only key frames exceed."""
_CONGESTED_BURST_S = 0.005
"""The same while congested: a burst would only extend the queue."""
LONGEST_DEBT_S = 0.25
"""Retransmissions beyond it are dropped: the receiver asks again after a round trip."""
CONGESTED_DEBT_S = 0.05
"""The same after congestion: packets that a full queue has dropped must not fill it again."""


class Pacer:
    """Decides when the next packet may be sent."""

    def __init__(self, bits_per_s: int) -> None:
        self._rate = _FREE * bits_per_s
        self._burst_s = _BURST_S
        self._longest_debt_s = LONGEST_DEBT_S
        self._debt_s = 0.0
        self._at: float | None = None

    def set_rate(self, bits_per_s: int, *, congested: bool) -> None:
        """Follow the estimate.

        Args:
            bits_per_s: The estimate.
            congested: Whether there was congestion lately.
        """
        rate = (_CONGESTED if congested else _FREE) * bits_per_s
        self._debt_s *= self._rate / rate  # the same bytes take longer at a lower rate
        self._rate = rate
        self._burst_s = _CONGESTED_BURST_S if congested else _BURST_S
        self._longest_debt_s = CONGESTED_DEBT_S if congested else LONGEST_DEBT_S

    def wait_s(self, now: float) -> float:
        """Return the seconds until the next packet may be sent; 0 for now."""
        return max(0.0, self._debt(now) - self._burst_s)

    def may_retransmit(self, now: float) -> bool:
        """Whether there is room for a packet that is sent again."""
        return self._debt(now) < self._longest_debt_s

    def sent(self, size: int, now: float) -> None:
        """Count a packet of `size` bytes."""
        self._debt_s = self._debt(now) + size * 8 / self._rate
        self._at = now

    def _debt(self, now: float) -> float:
        if self._at is None:
            return 0.0
        return max(0.0, self._debt_s - (now - self._at))
