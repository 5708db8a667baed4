"""Published streams: each keeps its newest mesh frame and notifies its watchers.

Independent of messages, HTTP and the renderer. Used from the event loop only, except for
`Stream.newest`, which other threads may read because it is replaced as a whole.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.contract.avatar_info import AvatarInfo
from models.contract.shown_text import quoted
from server.errors import (
    AvatarNotFoundError,
    BadMessageError,
    LimitError,
    StreamExistsError,
    StreamNotFoundError,
)
from server.protocol.states import MeshState
from server.streams.capture_clock import CaptureClock
from server.streams.voice import Voice, VoicePacket

Floats = NDArray[np.float32]

LIVE_HOLD_S = 2.0
"""How long a publisher controls the stream after its last mesh frame. Then the idle animation
resumes, and a sequence that restarts at 0 is accepted as that of a new publisher."""
_STREAM_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")
_OF_CALL = ":"
"""Separates a call's name from the rest of its streams' ids. No other id contains it."""


@dataclass
class StreamCounters:
    """Counts of mesh frames received since the stream was created."""

    accepted: int = 0
    dropped: int = 0
    """Late and repeated frames."""
    idle: int = 0
    """Frames of the idle animation."""

    def add(self, other: StreamCounters) -> None:
        """Add the numbers of another stream."""
        self.accepted += other.accepted
        self.dropped += other.dropped
        self.idle += other.idle


@dataclass(eq=False)
class Stream:
    """One published animation, watched by any number of sessions."""

    id: str
    avatar: AvatarInfo
    clock: Callable[[], float] = time.monotonic
    idle_clock: Callable[[], float] | None = None
    """Measures how long it is unused; by default `clock`."""
    newest: MeshState | None = None
    """The mesh frame to show, from a publisher or the idle animation."""
    live: MeshState | None = None
    """The newest mesh frame from a publisher."""
    counters: StreamCounters = field(default_factory=StreamCounters)
    watchers: list[Callable[[], None]] = field(default_factory=list)
    """Called after `newest` was replaced. Callbacks must be quick and must not raise."""
    on_published: list[Callable[[MeshState], None]] = field(default_factory=list)
    """Called with every mesh frame accepted from a publisher. Must be quick and must not raise."""
    on_deleted: list[Callable[[], None]] = field(default_factory=list)
    """Called once, when the stream is deleted."""
    voice: Voice = field(default_factory=Voice)
    capture_clock: CaptureClock = field(default_factory=CaptureClock)
    """Capture times of its publisher."""
    deleted: bool = False
    deleted_because: str | None = None
    """Reason of its deletion, if the caller gave one."""
    permanent: bool = False
    """Whether it never expires."""
    _idle_clock: Callable[[], float] = field(init=False)
    _used_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._idle_clock = self.idle_clock or self.clock
        self._used_at = self._idle_clock()

    @property
    def is_of_call(self) -> bool:
        """Whether it belongs to a call; only participants get its id."""
        return _OF_CALL in self.id

    def unused_s(self) -> float:
        """Return the time since the last mesh frame from a publisher, or since it was watched.

        Only calls of this method record that the stream is watched.
        """
        now = self._idle_clock()
        if self.watchers:
            self._used_at = now
        return now - self._used_at

    @property
    def is_live(self) -> bool:
        """Whether a publisher has sent a mesh frame within the last `LIVE_HOLD_S`."""
        return self.live is not None and self.clock() - self.live.received_at < LIVE_HOLD_S

    def publish(self, mesh: MeshState) -> bool:
        """Show a mesh frame of a publisher, unless it is late or repeated.

        Returns:
            Whether it was accepted; otherwise it is counted as dropped.
        """
        # Only while it is live: after a pause, a restarted publisher counts from 0 again.
        if self.live is not None and mesh.seq <= self.live.seq and self.is_live:
            self.counters.dropped += 1
            return False
        # Before the callbacks, which must read the state with this frame.
        self.live = mesh
        self.capture_clock.note_face(mesh.captured_at_ms, mesh.received_at)
        self._used_at = self._idle_clock()
        self.counters.accepted += 1
        for callback in tuple(self.on_published):
            callback(mesh)
        self._show(mesh)
        return True

    def publish_voice(self, packet: VoicePacket) -> None:
        """Forward a packet of the publisher's voice to listeners."""
        self.capture_clock.note_voice(packet.captured_at_ms, packet.arrived_at)
        self._used_at = self._idle_clock()
        self.voice.publish(packet)

    def publish_idle(self, mesh: MeshState) -> bool:
        """Show a mesh frame of the idle animation, unless a publisher controls the stream.

        Returns:
            Whether it was accepted.
        """
        if self.is_live:
            return False
        self.counters.idle += 1
        self._show(mesh)
        return True

    def _show(self, mesh: MeshState) -> None:
        self.newest = mesh
        # A copy, because a watcher may leave while it is called.
        for watcher in tuple(self.watchers):
            watcher()


def check_id(given: str, what: str) -> None:
    """Check the form of a stream's id or a call's name.

    Raises:
        BadMessageError: If it is too long or contains characters that are not allowed.
    """
    if not _STREAM_ID.fullmatch(given):
        raise BadMessageError(
            f"{what} must be 1 to 64 letters, digits, '-', '_' or '.' and not begin with '.', "
            f"got {quoted(given)}"
        )


class Streams:
    """All streams, by id.

    Args:
        avatars: The avatars that a stream may have, by id.
        max_streams: Maximum number of streams.
        idle_clock: Measures how long streams are unused, seconds.
    """

    def __init__(
        self,
        avatars: Mapping[str, AvatarInfo],
        max_streams: int = 256,
        idle_clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.avatars = avatars
        self._idle_clock = idle_clock
        self._max_streams = max_streams
        self._streams: dict[str, Stream] = {}
        self._reasons: dict[str, str] = {}
        """Reasons of deletions, the newest last, of at most `max_streams` streams."""
        self._deleted = StreamCounters()

    def totals(self) -> StreamCounters:
        """Return the numbers of all streams, deleted ones included."""
        totals = StreamCounters()
        for counters in (self._deleted, *(s.counters for s in self._streams.values())):
            totals.add(counters)
        return totals

    def create(self, avatar_id: str, stream_id: str | None = None) -> Stream:
        """Create a stream, with a random id if none is given.

        Raises:
            BadMessageError: If the id is too long or contains characters that are not allowed.
            AvatarNotFoundError: If there is no such avatar.
            StreamExistsError: If the id is taken.
            LimitError: If there are too many streams.
        """
        if stream_id is not None:
            check_id(stream_id, "stream id")
        return self._add(avatar_id, stream_id or secrets.token_urlsafe(9))

    def create_of_call(self, avatar_id: str, call: str) -> Stream:
        """Create a stream of a call, with an id that cannot be guessed; it never expires.

        Raises:
            AvatarNotFoundError: If there is no such avatar.
            LimitError: If there are too many streams.
        """
        stream = self._add(avatar_id, f"{call}{_OF_CALL}{secrets.token_urlsafe(9)}")
        stream.permanent = True
        return stream

    def _add(self, avatar_id: str, stream_id: str) -> Stream:
        avatar = self.avatars.get(avatar_id)
        if avatar is None:
            known = ", ".join(sorted(self.avatars)) or "none"
            raise AvatarNotFoundError(f"no avatar {avatar_id!r}; there are: {known}")
        if stream_id in self._streams:
            raise StreamExistsError(f"stream {stream_id!r} exists already")
        if len(self._streams) >= self._max_streams:
            raise LimitError(f"at most {self._max_streams} streams, all are in use")
        stream = Stream(stream_id, avatar, idle_clock=self._idle_clock)
        self._streams[stream.id] = stream
        self._reasons.pop(stream.id, None)
        return stream

    def get(self, stream_id: str) -> Stream:
        """Return a stream by id.

        Raises:
            StreamNotFoundError: If there is no such stream.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            reason = self._reasons.get(stream_id)
            because = f": {reason}" if reason else ""
            raise StreamNotFoundError(f"no stream {stream_id!r}{because}")
        return stream

    def list(self) -> tuple[Stream, ...]:
        """Return all streams, oldest first."""
        return tuple(self._streams.values())

    def unused(self, seconds: float) -> tuple[Stream, ...]:
        """Return the streams without publisher and viewer for `seconds`.

        Must be called regularly, because only these calls record that a stream is watched.
        """
        ages_s = [(stream, stream.unused_s()) for stream in self._streams.values()]
        return tuple(s for s, age_s in ages_s if age_s > seconds and not s.permanent)

    def delete(self, stream_id: str, reason: str | None = None) -> None:
        """Delete a stream and end its sessions.

        Args:
            stream_id: Its id.
            reason: Reason, for its viewers and for later requests of the stream.

        Raises:
            StreamNotFoundError: If there is no such stream.
        """
        stream = self.get(stream_id)
        # First, so that its sessions, which end below, do not find it again.
        del self._streams[stream_id]
        self._deleted.add(stream.counters)
        if reason is not None:
            self._reasons[stream_id] = reason
            while len(self._reasons) > self._max_streams:
                del self._reasons[next(iter(self._reasons))]
        stream.deleted, stream.deleted_because = True, reason
        for callback in tuple(stream.on_deleted):
            callback()
