"""Measurements by a transport of the network to its viewer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkFigures:
    """Network measurements after a report of the viewer."""

    estimate: int
    """Estimated bandwidth without queueing, bits per second."""
    loss: float
    """Fraction of lost packets in the last second, 0 to 1."""
    queue_s: float
    """Queueing delay of packets, seconds."""
    round_trip_s: float
    """Round-trip time of a packet and its report, without queueing, seconds."""
    reported: int
    """Number of packets in this report."""
    lost: int
    """Number of lost packets in this report."""

    def as_json(self) -> dict[str, float]:
        """Return the figures for statistics and events."""
        return {
            "estimate_kbps": round(self.estimate / 1000),
            "loss": round(self.loss, 4),
            "queue_ms": round(self.queue_s * 1e3, 1),
            "round_trip_ms": round(self.round_trip_s * 1e3, 1),
        }
