"""Forwards the voice of a stream to one viewer, renumbered for its connection."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable

from server.streams.voice import CLOCK_RATE, Voice, VoicePacket
from server.transport.webrtc.aiortc_internals.voice_sender import OutgoingPacket
from server.transport.webrtc.media_clock import MediaClock, wrapped

MOST_WAITING = 25
"""Maximum number of queued packets per viewer, half a second; older ones are dropped."""
_LATEST = 256
_LARGEST_GAP = 3000
"""Sequence numbers by which a packet may be behind or ahead of the newest one; beyond that its
source has restarted (RFC 3550, appendix A.1). SRTP cannot send numbers that are further back."""


class Renumbering:
    """Maps a stream's voice packets, from one publisher after another, to one continuous source.

    Gaps of sequence numbers and timestamps stay, because the receiver fills the first by error
    correction and the second by silence.
    """

    def __init__(self) -> None:
        self._newest: VoicePacket | None = None
        # The lower half, so that a packet lost at the start cannot make SRTP miscount wrap-arounds.
        self._sequence_offset = random.randrange(1 << 15)
        self._timestamp_offset = random.randrange(1 << 32)

    def next(self, packet: VoicePacket) -> OutgoingPacket:
        """Return a packet as the viewer gets it."""
        restarts = self._restarts(packet)
        if restarts:
            self._continue_with(packet)
        if restarts or self._is_newest(packet):
            self._newest = packet
        return OutgoingPacket(
            packet.payload,
            (packet.sequence_number + self._sequence_offset) & 0xFFFF,
            (packet.timestamp + self._timestamp_offset) & 0xFFFFFFFF,
            packet.marker or restarts,
        )

    def _restarts(self, packet: VoicePacket) -> bool:
        newest = self._newest
        if newest is None or newest.source != packet.source:
            return True
        return not -_LATEST <= _ahead(packet, newest) <= _LARGEST_GAP

    def _is_newest(self, packet: VoicePacket) -> bool:
        return self._newest is None or _ahead(packet, self._newest) > 0

    def _continue_with(self, packet: VoicePacket) -> None:
        """Number a packet after the newest one, by the time that has passed between them."""
        if (newest := self._newest) is None:
            self._sequence_offset -= packet.sequence_number
            self._timestamp_offset -= packet.timestamp
            return
        # By the times of arrival, since the timestamps of two sources have nothing in common; at
        # least one tick, because a timestamp must not repeat.
        passed = max(1, round((packet.arrived_at - newest.arrived_at) * CLOCK_RATE))
        self._sequence_offset += newest.sequence_number + 1 - packet.sequence_number
        self._timestamp_offset += newest.timestamp + passed - packet.timestamp


class VoiceForwarder:
    """Receives the voice of a stream and queues the newest packets until they are sent.

    Args:
        voice: Voice of the stream that the viewer watches.
        captured_at: Returns when a packet was captured, `time.monotonic()` seconds.
        on_sent: Called with each packet's RTP timestamp and capture time, as the viewer gets it.
    """

    def __init__(
        self,
        voice: Voice,
        captured_at: Callable[[VoicePacket], float],
        on_sent: Callable[[int, float], None],
    ) -> None:
        self.clock = MediaClock(CLOCK_RATE)
        """Clock of the packets that the viewer gets."""
        self._captured_at = captured_at
        self._on_sent = on_sent
        self._voice = voice
        self._renumbering = Renumbering()
        # A full deque drops its oldest packet: the voice skips instead of falling behind the face.
        self._waiting: deque[VoicePacket] = deque(maxlen=MOST_WAITING)
        self._arrived = asyncio.Event()
        voice.listeners.append(self._take)

    async def next_packet(self) -> OutgoingPacket:
        """Wait for the next packet."""
        while not self._waiting:
            self._arrived.clear()
            await self._arrived.wait()
        packet = self._waiting.popleft()
        outgoing = self._renumbering.next(packet)
        self.clock.note(outgoing.timestamp, self._captured_at(packet))
        assert self.clock.anchor is not None  # it was just stored
        self._on_sent(*self.clock.anchor)
        return outgoing

    def close(self) -> None:
        """Stop listening."""
        if self._take in self._voice.listeners:
            self._voice.listeners.remove(self._take)

    def _take(self, packet: VoicePacket) -> None:
        self._waiting.append(packet)
        self._arrived.set()


def _ahead(packet: VoicePacket, other: VoicePacket) -> int:
    """Return the difference of two 16-bit sequence numbers, with wrap-around."""
    return wrapped(packet.sequence_number - other.sequence_number, 16)
