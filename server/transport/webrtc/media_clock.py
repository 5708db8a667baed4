"""When the content of a track was captured, by RTP timestamp: lips and voice are aligned by it."""

from __future__ import annotations

from collections.abc import Callable

from server.pool.frame import Frame
from server.protocol.states import MeshState

VIDEO_CLOCK_RATE = 90_000  # RTP ticks per second (RFC 6184, section 5.1; RFC 7741 for VP8)
_SMOOTHING = 1 / 16
"""Share of a new observation: jitter of the network is averaged over a third of a second."""
_LONGEST_ERROR_S = 0.2
"""Above it the timestamps have jumped, as those of a new source do."""
_OLDEST_MESH_S = 0.5
"""A mesh frame that is first shown at a greater age was not live then."""


class MediaClock:
    """The line through pairs of RTP timestamp and moment.

    Args:
        rate: Ticks per second.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._anchor: tuple[int, float] | None = None

    @property
    def anchor(self) -> tuple[int, float] | None:
        """A pair on the line, near the last observation; None before the first one."""
        return self._anchor

    def note(self, timestamp: int, at: float) -> None:
        """Observe that what has this RTP timestamp was captured at `at`, seconds."""
        if self._anchor is not None:
            expected = self._anchor[1] + wrapped(timestamp - self._anchor[0], 32) / self._rate
            # Smoothed only near the line: a jump is a fact about the source and must not be
            # averaged away.
            if abs(at - expected) < _LONGEST_ERROR_S:
                at = expected + (at - expected) * _SMOOTHING
        self._anchor = timestamp, at

    def timestamp_at(self, at: float) -> int | None:
        """Return the RTP timestamp of a moment; None before the first observation."""
        if self._anchor is None:
            return None
        timestamp, anchored_at = self._anchor
        return (timestamp + round((at - anchored_at) * self._rate)) & 0xFFFFFFFF  # 32 bits of RTP


class FrameClock(MediaClock):
    """A `MediaClock` of rendered frames: of the mesh frames that they show.

    Args:
        captured_at: Returns when a mesh frame was captured, `time.monotonic()` seconds.
    """

    def __init__(self, captured_at: Callable[[MeshState], float]) -> None:
        super().__init__(VIDEO_CLOCK_RATE)
        self._captured_at = captured_at
        self._shown: MeshState | None = None

    def note_frame(self, timestamp: int, frame: Frame) -> None:
        """Observe a frame that was sent.

        It stands for the moment at which its mesh frame was captured, if it is the first to show
        it; until there was such a frame, for the moment at which it was rendered.
        """
        mesh, rendered_at = frame.inputs.mesh, frame.rendered_at
        assert rendered_at is not None, "a frame is sent after it was rendered"
        # A frame that repeats a mesh frame, or shows an old one, says nothing about its capture
        # time.
        is_live = (
            mesh is not None
            and mesh is not self._shown
            and rendered_at - mesh.received_at < _OLDEST_MESH_S
        )
        self._shown = mesh
        if is_live and mesh is not None:
            self.note(timestamp, self._captured_at(mesh))
        elif self.anchor is None:
            self.note(timestamp, rendered_at)


def wrapped(difference: int, bits: int) -> int:
    """Return the difference of two counters that wrap around: the shorter way between them."""
    half = 1 << (bits - 1)
    return (difference + half) % (1 << bits) - half
