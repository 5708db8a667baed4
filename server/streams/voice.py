"""The voice of a stream: packets of its publisher, forwarded to every listening viewer.

Opus stays encoded from the publisher's microphone to the viewer's loudspeaker, so that the server
adds neither delay nor loss, and silence (DTX) and in-band error correction stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

HOLD_S = 2.0
"""Time after its last packet for which a source keeps a stream's voice, seconds; pauses have a
packet every 0.4 s."""
CLOCK_RATE = 48_000
"""Clock rate of the timestamps of Opus, Hz, at every sampling rate (RFC 7587, section 4.1)."""


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
    """When its sound began, milliseconds since 1970 on the publisher's clock, if sent."""


class Voice:
    """Forwards the packets of a stream's voice to its listeners; stores none."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[VoicePacket], None]] = []
        """Called with every packet. Must be quick and must not raise."""
        self._newest: VoicePacket | None = None

    def is_published(self, source: int | None = None) -> bool:
        """Return whether a voice is present, other than `source` if one is given."""
        newest = self._newest
        if newest is None or newest.source == source:
            return False
        return time.monotonic() - newest.arrived_at < HOLD_S

    def publish(self, packet: VoicePacket) -> None:
        """Forward a packet to the listeners."""
        self._newest = packet
        for listener in tuple(self.listeners):
            listener(packet)
