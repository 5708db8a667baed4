"""Measurements by a transport of the network to its viewer."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class NetworkFigures:
    """Figures after a report of the viewer."""

    estimate: int
    """Bits per second that the network carries without queueing."""
    loss: float
    """Part of the last second's packets that did not arrive, 0 to 1."""
    queue_s: float
    """How long packets queue on the way, seconds."""
    round_trip_s: float
    """From sending a packet to the report on it, without queueing, seconds."""
    reported: int
    """Packets of this report."""
    lost: int
    """Those of them that did not arrive."""

    def as_json(self) -> dict[str, float]:
        """Return the figures for statistics and events."""
        return {
            "estimate_kbps": round(self.estimate / 1000),
            "loss": round(self.loss, 4),
            "queue_ms": round(self.queue_s * 1e3, 1),
            "round_trip_ms": round(self.round_trip_s * 1e3, 1),
        }
