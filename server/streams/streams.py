"""Published faces: each stream keeps the newest frame it was sent and tells who watches.

Knows no messages, no HTTP and no renderer. Used from the event loop only; other threads may read
`Stream.newest`, which is replaced as a whole.
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
from server.errors import (
    AvatarNotFoundError,
    BadMessageError,
    LimitError,
    StreamExistsError,
    StreamNotFoundError,
)
from server.protocol.states import MeshState

Floats = NDArray[np.float32]

LIVE_HOLD_S = 2.0
"""So long after its last frame a sender keeps the face; then idle animation may resume, and a
sender that starts to count from 0 again is taken for a new one."""
_STREAM_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}")


@dataclass
class StreamCounters:
    """What has come in since the stream was made."""

    accepted: int = 0
    dropped: int = 0
    """Frames that came late or twice."""
    idle: int = 0
    """Frames of the idle animation."""

    def add(self, other: StreamCounters) -> None:
        """Count what another one has counted too."""
        self.accepted += other.accepted
        self.dropped += other.dropped
        self.idle += other.idle


@dataclass(eq=False)
class Stream:
    """One published face, watched by any number of sessions."""

    id: str
    avatar: AvatarInfo
    clock: Callable[[], float] = time.monotonic
    newest: MeshState | None = None
    """The frame to show now, whoever sent it."""
    live: MeshState | None = None
    """The newest frame a publisher sent."""
    counters: StreamCounters = field(default_factory=StreamCounters)
    watchers: list[Callable[[], None]] = field(default_factory=list)
    """Called after `newest` was replaced. Must be quick and must not raise."""
    on_deleted: list[Callable[[], None]] = field(default_factory=list)
    """Called once, when the stream is deleted."""
    deleted: bool = False
    permanent: bool = False
    """Whether it stays though nobody uses it."""
    _used_at: float = field(init=False)

    def __post_init__(self) -> None:
        self._used_at = self.clock()

    def unused_s(self) -> float:
        """How long ago it was last published to, or seen to be watched by this call."""
        if self.watchers:
            self._used_at = self.clock()
        return self.clock() - self._used_at

    @property
    def is_live(self) -> bool:
        """Whether a publisher holds the face: sent a frame within the last `LIVE_HOLD_S`."""
        return self.live is not None and self.clock() - self.live.received_at < LIVE_HOLD_S

    def publish(self, mesh: MeshState) -> bool:
        """Take a publisher's frame, unless it comes late or twice.

        Returns:
            Whether it was taken; one that was not is counted as dropped.
        """
        if self.live is not None and mesh.seq <= self.live.seq and self.is_live:
            self.counters.dropped += 1
            return False
        self.live = mesh
        self._used_at = self.clock()
        self.counters.accepted += 1
        self._show(mesh)
        return True

    def publish_idle(self, mesh: MeshState) -> bool:
        """Take a frame of the idle animation, unless a publisher holds the face."""
        if self.is_live:
            return False
        self.counters.idle += 1
        self._show(mesh)
        return True

    def _show(self, mesh: MeshState) -> None:
        self.newest = mesh
        for watcher in tuple(self.watchers):
            watcher()


class Streams:
    """All streams, by id.

    Args:
        avatars: The avatars streams may be made of.
        max_streams: More are refused.
    """

    def __init__(self, avatars: Mapping[str, AvatarInfo], max_streams: int = 256) -> None:
        self.avatars = avatars
        self._max_streams = max_streams
        self._streams: dict[str, Stream] = {}
        self._deleted = StreamCounters()

    def totals(self) -> StreamCounters:
        """What has come in to all streams, deleted ones too."""
        totals = StreamCounters()
        for counters in (self._deleted, *(s.counters for s in self._streams.values())):
            totals.add(counters)
        return totals

    def create(self, avatar_id: str, stream_id: str | None = None) -> Stream:
        """Make a stream, with a made-up id where none is given.

        Raises:
            BadMessageError: If the id has other characters or is longer than allowed.
            AvatarNotFoundError: If there is no such avatar.
            StreamExistsError: If the id is taken.
            LimitError: If there are too many streams.
        """
        if stream_id is not None and not _STREAM_ID.fullmatch(stream_id):
            raise BadMessageError(
                "stream id must be 1 to 64 letters, digits, '-', '_' or '.' and not begin with "
                f"'.', got {stream_id[:80]!r}"
            )
        avatar = self.avatars.get(avatar_id)
        if avatar is None:
            known = ", ".join(sorted(self.avatars)) or "none"
            raise AvatarNotFoundError(f"no avatar {avatar_id!r}; there are: {known}")
        if stream_id in self._streams:
            raise StreamExistsError(f"stream {stream_id!r} exists already")
        if len(self._streams) >= self._max_streams:
            raise LimitError(f"at most {self._max_streams} streams, all are in use")
        stream = Stream(stream_id or secrets.token_urlsafe(9), avatar)
        self._streams[stream.id] = stream
        return stream

    def get(self, stream_id: str) -> Stream:
        """Find a stream.

        Raises:
            StreamNotFoundError: If there is none of this id.
        """
        stream = self._streams.get(stream_id)
        if stream is None:
            raise StreamNotFoundError(f"no stream {stream_id!r}")
        return stream

    def list(self) -> tuple[Stream, ...]:
        """All streams, oldest first."""
        return tuple(self._streams.values())

    def unused(self, seconds: float) -> tuple[Stream, ...]:
        """Those that may go since nobody has published to or watched them for so long.

        To be asked now and then: that a stream is watched is noticed only here.
        """
        ages_s = [(stream, stream.unused_s()) for stream in self._streams.values()]
        return tuple(s for s, age_s in ages_s if age_s > seconds and not s.permanent)

    def delete(self, stream_id: str) -> None:
        """End a stream; its sessions end with it.

        Raises:
            StreamNotFoundError: If there is none of this id.
        """
        stream = self.get(stream_id)
        del self._streams[stream_id]
        self._deleted.add(stream.counters)
        stream.deleted = True
        for callback in tuple(stream.on_deleted):
            callback()
