"""When the sound of each packet of a voice was captured."""

from __future__ import annotations

from aiortc.rtp import RtpPacket

from server.streams.voice import CLOCK_RATE
from server.transport.webrtc.aiortc_internals.capture_time import capture_time_ms
from server.transport.webrtc.media_clock import wrapped


class CaptureTimes:
    """Capture times of all packets of a voice, of which only some contain it."""

    def __init__(self) -> None:
        self._known: tuple[int, int, float] | None = None

    def of(self, packet: RtpPacket) -> float | None:
        """Return when a packet's sound began to be captured.

        Returns:
            Milliseconds since 1970 on the publisher's clock; None if its source has sent none.
        """
        if (sent_ms := capture_time_ms(packet)) is not None:
            self._known = packet.ssrc, packet.timestamp, sent_ms
        if self._known is None or self._known[0] != packet.ssrc:
            return None
        _, timestamp, captured_ms = self._known
        ticks = wrapped(packet.timestamp - timestamp, 32)
        return captured_ms + ticks / CLOCK_RATE * 1e3
