"""The voice of a stream: packets of its publisher, passed on to every viewer that listens.

Opus stays encoded from the publisher's microphone to the viewer's loudspeaker, so that the server
adds neither delay nor loss, and silence (DTX) and in-band error correction stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

CLOCK_RATE = 48_000
"""Of the timestamps of Opus, at every sampling rate (RFC 7587, section 4.1)."""


@dataclass(frozen=True, slots=True)
class VoicePacket:
    """One packet of Opus, as its publisher numbered it."""

    payload: bytes
    source: int
    """Changes with the publisher; numbers and timestamps continue only within a source."""
    sequence_number: int
    """16 bits."""
    timestamp: int
    """32 bits, in ticks of `CLOCK_RATE`."""
    marker: bool
    """Whether it is the first one after a gap of silence."""
    arrived_at: float
    """`time.monotonic()`, seconds."""
    captured_at_ms: float | None = None
    """When its sound began, milliseconds since 1970 on the publisher's clock, if it is told."""


class Voice:
    """Hands the packets of a stream's voice to its listeners; keeps none."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[VoicePacket], None]] = []
        """Called with every packet. Must be quick and must not raise."""

    def publish(self, packet: VoicePacket) -> None:
        """Pass a packet on."""
        for listener in tuple(self.listeners):
            listener(packet)
