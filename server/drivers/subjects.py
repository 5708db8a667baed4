"""Subjects of a driver, and the streams that they drive."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from server.drivers.faces import DrivenFace, to_mesh
from server.errors import LimitError, StreamExistsError
from server.streams.streams import LIVE_HOLD_S, Stream, Streams

logger = logging.getLogger(__name__)

REORDER_MS = 1000.0
"""A packet captured up to this long before the newest one was reordered on its way; an older one
shows that the tracker's clock was reset."""
REPLACEABLE_S = 30.0
"""Silence after which an unwatched subject may be replaced by a new one, seconds."""
_LONGEST_ID = 64
_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9_.-]+")


class Outcome(StrEnum):
    """Result of a packet; values of the metric's label `result`."""

    ACCEPTED = "accepted"
    LATE = "late"
    """Overtaken by a newer one."""
    NO_FACE = "no_face"
    """The tracker sees no face, or the packet has no data of one."""
    MALFORMED = "malformed"
    LIMITED = "limited"
    """Above the rate of its sender."""
    REFUSED = "refused"
    """Its stream or subject belongs to another publisher, or there are too many."""


@dataclass(eq=False)
class _Subject:
    name: str
    stream: Stream
    sender: str
    published_at: float
    captured_at_ms: float | None = None
    seq: int = -1


class Subjects:
    """Creates a stream for each subject and publishes its faces to it.

    Args:
        streams: All streams.
        avatar_id: Avatar of the streams that are created.
        most: Maximum number of subjects.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        streams: Streams,
        avatar_id: str,
        most: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = streams
        self._avatar_id = avatar_id
        self._most = most
        self._clock = clock
        self._subjects: dict[str, _Subject] = {}
        """Subjects by the id of their stream."""

    def publish(self, face: DrivenFace) -> tuple[Outcome, str]:
        """Publish a face to the stream of its subject.

        Returns:
            The result, and the reason if it was refused.
        """
        stream_id = to_stream_id(face.subject)
        try:
            subject = self._subjects.get(stream_id) or self._add(stream_id, face)
        except (StreamExistsError, LimitError) as exc:
            return Outcome.REFUSED, str(exc)
        now = self._clock()
        if face.sender != subject.sender or face.subject != subject.name:
            if now - subject.published_at < LIVE_HOLD_S:
                return Outcome.REFUSED, f"stream {stream_id!r} is driven by another device"
            subject.sender, subject.name, subject.captured_at_ms = face.sender, face.subject, None
        if _is_late(face.captured_at_ms, subject.captured_at_ms):
            return Outcome.LATE, ""
        subject.captured_at_ms, subject.published_at = face.captured_at_ms, now
        return self._publish(subject, face, now)

    def _publish(self, subject: _Subject, face: DrivenFace, now: float) -> tuple[Outcome, str]:
        live = subject.stream.live
        # Others may publish to the stream as well, so numbers continue after theirs.
        subject.seq = max(subject.seq, live.seq if live is not None else -1) + 1
        mesh = to_mesh(face, subject.stream.avatar, subject.seq, now)
        accepted = subject.stream.publish(mesh)
        return (Outcome.ACCEPTED if accepted else Outcome.LATE), ""

    def _add(self, stream_id: str, face: DrivenFace) -> _Subject:
        if len(self._subjects) >= self._most:
            self._make_room()
        stream = self._streams.create(self._avatar_id, stream_id)
        stream.on_deleted.append(partial(self._forget, stream_id))
        subject = _Subject(face.subject, stream, face.sender, self._clock())
        self._subjects[stream_id] = subject
        logger.info("subject %r drives a new stream", face.subject, extra={"stream": stream_id})
        return subject

    def _forget(self, stream_id: str) -> None:
        del self._subjects[stream_id]

    def _make_room(self) -> None:
        """Delete the stream of the subject that has been silent for longest, if it has no viewers.

        Raises:
            LimitError: If there is none.
        """
        silent = [
            subject
            for subject in self._subjects.values()
            if self._clock() - subject.published_at > REPLACEABLE_S and not subject.stream.watchers
        ]
        if not silent:
            raise LimitError(f"at most {self._most} subjects, all are in use")
        self._streams.delete(min(silent, key=lambda subject: subject.published_at).stream.id)


def to_stream_id(subject: str) -> str:
    """Return the id of a subject's stream: characters that ids cannot contain become `-`."""
    plain = _NOT_IN_IDS.sub("-", subject).strip("-.")[:_LONGEST_ID]
    return plain or "subject"


def _is_late(captured_at_ms: float | None, newest_ms: float | None) -> bool:
    if captured_at_ms is None or newest_ms is None:
        return False
    # Equal times do not count as late, because some senders never advance their time code.
    return 0 < newest_ms - captured_at_ms < REORDER_MS
