"""All recordings of a server: starting, ending, finding and deleting them."""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge

from server.errors import (
    BadMessageError,
    LimitError,
    RecordingNotFoundError,
    SettingsError,
    StorageError,
    StreamClosedError,
)
from server.protocol.states import MeshState
from server.recordings.file_format import (
    Header,
    encode_end,
    encode_header,
    encode_mesh,
    encode_voice,
    read_end,
    read_header,
)
from server.recordings.writer import TOO_LARGE, Line, RecordingWriter
from server.streams.streams import Stream
from server.streams.voice import VoicePacket

logger = logging.getLogger(__name__)

STOPPED, DELETED = "stopped", "deleted"
SERVER_STOPPED, STREAM_DELETED = "the server was stopped", "the stream was deleted"
TOO_LONG = "its maximum length"
_CAUSES = {
    STOPPED: "stopped",
    DELETED: "deleted",
    SERVER_STOPPED: "server_stopped",
    STREAM_DELETED: "stream_deleted",
    TOO_LONG: "length",
    TOO_LARGE: "size",
}
"""Reasons for the end of a recording and their values in the metric; all others are failures."""
_FAILED = "failed"
SUFFIX = ".ndjson"
MOST_AT_ONCE = 16
"""Maximum number of running recordings; each has a thread."""
_ID = re.compile(r"[0-9a-f]{16}")


@dataclass(frozen=True)
class RecordingLimits:
    """Limits of the recordings of a server."""

    size: int
    """Maximum size of one recording, bytes."""
    length_s: float
    number: int
    """Maximum number of stored recordings, running ones included."""


@dataclass(eq=False)
class Recording:
    """One recording, running or ended."""

    id: str
    path: Path
    header: Header
    frames: int | None = 0
    """Number of mesh frames; None if the file was truncated before they were counted."""
    length_s: float | None = 0.0
    """Time up to its end; None if the file was truncated."""
    ended: str | None = None
    """Reason of its end; None while it runs."""
    size: int = 0
    """Size of its complete lines, bytes."""


class _Running:
    """Records a stream until it is ended.

    Args:
        recording: The record to update.
        writer: Writes its file.
        stream: What to record.
        length_s: Maximum length.
        on_closed: Called once, when the file is complete.
    """

    def __init__(
        self,
        recording: Recording,
        writer: RecordingWriter,
        stream: Stream,
        length_s: float,
        on_closed: Callable[[], None],
    ) -> None:
        self.recording = recording
        self._on_closed = on_closed
        self._stream = stream
        self._began = time.monotonic()
        self._writer = writer
        self.refresh()
        self._closing: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(length_s, self.end, TOO_LONG)
        stream.on_published.append(self._record)
        stream.voice.listeners.append(self._record_voice)
        stream.on_deleted.append(self._on_deleted)

    def refresh(self) -> None:
        """Update the size in the record, as the writer's thread lags behind the frames."""
        self.recording.size = self._writer.size

    def _record(self, mesh: MeshState) -> None:
        at_ms = self._at_ms(mesh.received_at)
        if self._write(partial(encode_mesh, mesh, at_ms), at_ms):
            assert self.recording.frames is not None
            self.recording.frames += 1

    def _record_voice(self, packet: VoicePacket) -> None:
        at_ms = self._at_ms(packet.arrived_at)
        self._write(partial(encode_voice, packet, at_ms), at_ms)

    def _at_ms(self, received_at: float) -> float:
        # Frames are received slightly before they are published: one from before the start counts
        # from the start.
        return max(0.0, 1e3 * (received_at - self._began))

    def _write(self, line: Line, at_ms: float) -> bool:
        if not self._writer.write(line):
            self.end("the disk was too slow")
            return False
        self.recording.length_s = at_ms / 1e3
        return True

    def _on_deleted(self) -> None:
        self.end(STREAM_DELETED)

    def end(self, reason: str) -> asyncio.Task[None]:
        """Stop recording; the file is complete when the task is done."""
        if self._closing is None:
            self._timer.cancel()
            self._stream.on_published.remove(self._record)
            self._stream.voice.listeners.remove(self._record_voice)
            self._stream.on_deleted.remove(self._on_deleted)
            self.recording.ended = reason
            self._closing = asyncio.create_task(self._close(reason))
        return self._closing

    async def _close(self, reason: str) -> None:
        length_s = time.monotonic() - self._began
        assert self.recording.frames is not None
        last = encode_end(reason, 1e3 * length_s, self.recording.frames)
        await asyncio.to_thread(self._writer.close, last)
        self.refresh()
        self._on_closed()


class Recordings:
    """The recordings in one directory, those of earlier runs included.

    Args:
        directory: Created if it does not exist.
        limits: Limits of size, length and number.

    Raises:
        SettingsError: If the directory cannot be used.
    """

    def __init__(self, directory: Path, limits: RecordingLimits) -> None:
        self._directory = directory
        self._limits = limits
        self._running: dict[str, _Running] = {}
        self._starting = 0
        self.registry = CollectorRegistry(auto_describe=False)
        """Contains the metrics of recordings only."""
        self._ended = Counter(
            "telewarp_recordings_ended",
            "Recordings that have ended, by cause",
            ["cause"],
            registry=self.registry,
        )
        for cause in (*_CAUSES.values(), _FAILED):
            self._ended.labels(cause)  # alerts on a rate need the value before the first end
        Gauge(
            "telewarp_recordings_running", "Recordings that are written", registry=self.registry
        ).set_function(lambda: len(self._running))
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = sorted(directory.glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime)
            self._all = {recording.id: recording for recording in _read_all(found)}
        except OSError as exc:
            raise SettingsError(f"--recordings {directory}: {exc.strerror or exc}") from exc

    def list(self) -> tuple[Recording, ...]:
        """Return all recordings, oldest first."""
        for running in self._running.values():
            running.refresh()
        return tuple(self._all.values())

    def get(self, recording_id: str) -> Recording:
        """Return a recording by id.

        Raises:
            RecordingNotFoundError: If there is none.
        """
        recording = self._all.get(recording_id)
        if recording is None:
            raise RecordingNotFoundError(f"no recording {recording_id!r}")
        if recording_id in self._running:
            self._running[recording_id].refresh()
        return recording

    async def start(self, stream: Stream) -> Recording:
        """Begin to record a stream.

        Raises:
            LimitError: If there are too many recordings. None is deleted to make room.
            StorageError: If the file cannot be created.
            StreamClosedError: If the stream was deleted meanwhile.
        """
        if len(self._all) + self._starting >= self._limits.number:
            raise LimitError(f"at most {self._limits.number} recordings: delete one first")
        if len(self._running) + self._starting >= MOST_AT_ONCE:
            raise LimitError(f"at most {MOST_AT_ONCE} recordings at a time: stop one first")
        self._starting += 1  # before any await, so that other calls count this one
        # A client that disconnects must not leave an open file.
        return await asyncio.shield(asyncio.create_task(self._start(stream)))

    async def _start(self, stream: Stream) -> Recording:
        recording_id = secrets.token_hex(8)
        path = self._directory / f"{recording_id}{SUFFIX}"
        recording = Recording(recording_id, path, _header(stream))
        loop = asyncio.get_running_loop()

        def fail(reason: str) -> None:
            loop.call_soon_threadsafe(self._fail, recording_id, reason)

        first, size = encode_header(recording.header), self._limits.size
        try:
            writer = await asyncio.to_thread(RecordingWriter, path, first, size, fail)
        except OSError as exc:
            raise StorageError(f"cannot write a recording: {exc.strerror}") from exc
        finally:
            self._starting -= 1
        note_end = partial(self._note_end, recording)
        running = _Running(recording, writer, stream, self._limits.length_s, note_end)
        self._all[recording_id], self._running[recording_id] = recording, running
        if stream.deleted:
            await self.delete(recording_id)
            raise StreamClosedError(f"stream {stream.id!r} was deleted meanwhile")
        return recording

    def _fail(self, recording_id: str, reason: str) -> None:
        running = self._running.get(recording_id)
        if running is not None:
            running.end(reason)

    def _note_end(self, recording: Recording) -> None:
        del self._running[recording.id]
        assert recording.ended is not None
        cause = _CAUSES.get(recording.ended, _FAILED)
        self._ended.labels(cause).inc()
        logger.log(
            logging.WARNING if cause == _FAILED else logging.INFO,
            "recording %s has ended: %s",
            recording.id,
            recording.ended,
            extra={"stream": recording.header.stream},
        )

    async def stop(self, recording_id: str, reason: str = STOPPED) -> Recording:
        """End a recording, and wait until its file is complete; an ended one stays as it is.

        Raises:
            RecordingNotFoundError: If there is none.
        """
        recording = self.get(recording_id)
        running = self._running.get(recording_id)
        if running is not None:
            # A client that disconnects must not cancel the closing.
            await asyncio.shield(running.end(reason))
        return recording

    async def delete(self, recording_id: str) -> None:
        """End a recording and delete its file, which contains all of its data.

        Raises:
            RecordingNotFoundError: If there is none.
            StorageError: If the file cannot be deleted.
        """
        recording = await self.stop(recording_id, DELETED)
        try:
            await asyncio.to_thread(recording.path.unlink, missing_ok=True)
        except OSError as exc:
            raise StorageError(f"cannot delete the recording: {exc.strerror}") from exc
        self._all.pop(recording_id, None)

    async def close(self) -> None:
        """End all recordings."""
        for recording_id in tuple(self._running):
            await self.stop(recording_id, SERVER_STOPPED)


def _header(stream: Stream) -> Header:
    return Header(
        stream=stream.id,
        avatar=stream.avatar.id,
        expression_names=list(stream.avatar.expression_names),
        started_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
    )


def _read_all(paths: Iterable[Path]) -> Iterable[Recording]:
    """Yield the recordings of earlier runs; other files are ignored."""
    for path in paths:
        if not _ID.fullmatch(path.stem):
            continue
        try:
            header = read_header(path)
        except BadMessageError as exc:
            logger.warning("%s is left out: %s", path, exc)
            continue
        end = read_end(path)
        yield Recording(
            path.stem,
            path,
            header,
            frames=end.frames if end else None,
            length_s=end.at_ms / 1e3 if end else None,
            ended=end.reason if end else "cut off",
            size=path.stat().st_size,
        )
