"""Capture times of a publisher's face and voice, on the server's clock.

Both carry capture times of the publisher's clock. The offset between that clock and the server's is
unknown, because no packet contains its travel time. The unknown part is the same for face and
voice, so their distance in time is preserved. The smallest delay observed is taken as no delay.
"""

from __future__ import annotations

from dataclasses import dataclass

BUCKET_S = 5.0
"""Length of a bucket, seconds. The least delay is that of the last one to two buckets, because
clocks drift apart by 50 us per second.
"""
SAME_CLOCK_S = 1.0
"""Capture times are of one clock if the least delays of face and voice differ by less."""
_LONGEST_DELAY_S = 2.0
"""A delay above this, or below the least one by as much, belongs to another clock."""
_SMOOTHING = 1 / 32  # one second of mesh frames, 0.6 s of voice packets of 20 ms


class Delays:
    """Arrival minus capture of one kind of packet: its delay plus the offset of the clocks."""

    def __init__(self) -> None:
        self.mean: float | None = None
        """Mean of about the last second, seconds."""
        self._minima: list[float] = []
        """Least delays of the present and the previous bucket, seconds."""
        self._bucket_ends = 0.0

    @property
    def minimum(self) -> float | None:
        """The least of the last buckets, seconds; None before the first one."""
        return min(self._minima, default=None)

    def note(self, captured_at: float, received_at: float) -> None:
        """Observe a packet; both times in seconds, each of its own clock."""
        delay = received_at - captured_at
        minimum = self.minimum
        if minimum is None or abs(delay - minimum) > _LONGEST_DELAY_S:
            self._minima, self.mean, self._bucket_ends = [delay], delay, received_at + BUCKET_S
            return
        if received_at >= self._bucket_ends:
            # Two buckets instead of a window of single delays: the same bound in constant memory.
            self._minima = [delay, self._minima[0]]
            self._bucket_ends = received_at + BUCKET_S
        self._minima[0] = min(self._minima[0], delay)
        assert self.mean is not None  # set with the first one
        self.mean += (delay - self.mean) * _SMOOTHING


@dataclass(frozen=True, slots=True)
class MeanDelays:
    """Mean delays from capture to arrival; the least delay of the faster one counts as 0."""

    face_ms: float
    voice_ms: float


class CaptureClock:
    """Capture times of one stream's publisher."""

    def __init__(self) -> None:
        self._face = Delays()
        self._voice = Delays()

    def note_face(self, captured_at_ms: float | None, received_at: float) -> None:
        """Observe a mesh frame. Times are as in `MeshState`."""
        if captured_at_ms is not None:
            self._face.note(captured_at_ms / 1e3, received_at)

    def note_voice(self, captured_at_ms: float | None, received_at: float) -> None:
        """Observe a packet of the voice. Times are as in `VoicePacket`."""
        if captured_at_ms is not None:
            self._voice.note(captured_at_ms / 1e3, received_at)

    @property
    def paths(self) -> MeanDelays | None:
        """Mean delays of face and voice; None unless both carry times of the same clock."""
        offset = self._offset
        if offset is None or self._face.mean is None or self._voice.mean is None:
            return None
        return MeanDelays((self._face.mean - offset) * 1e3, (self._voice.mean - offset) * 1e3)

    def captured_at(self, captured_at_ms: float | None, received_at: float) -> float:
        """Return when something was captured, `time.monotonic()` seconds.

        Applies to face and voice. If the offset is unknown, it is `received_at` for both of them,
        because the two are compared.
        """
        offset = self._offset
        if captured_at_ms is None or offset is None:
            return received_at
        captured_at = captured_at_ms / 1e3 + offset
        if not received_at - _LONGEST_DELAY_S < captured_at <= received_at + 1e-3:
            return received_at  # of another clock, such as that of a viewer who drives the face
        return captured_at

    @property
    def _offset(self) -> float | None:
        """Return the server's clock minus the publisher's, seconds."""
        face, voice = self._face.minimum, self._voice.minimum
        if face is None or voice is None or abs(face - voice) >= SAME_CLOCK_S:
            return None
        return min(face, voice)
