"""Replays of recordings: the same mesh frames and voice, at their times of receipt."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from server.errors import BadMessageError, LimitError
from server.recordings.file_format import RecordedMesh, RecordedVoice, read_all
from server.streams.streams import Stream
from server.streams.voice import VoicePacket

logger = logging.getLogger(__name__)

Recorded = RecordedMesh | RecordedVoice

MOST_REPLAYS = 16
"""Maximum number of running replays. Each reads its file line by line, one frame ahead."""


class Replays:
    """The replays of a server, at most one per stream."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self, path: Path, stream: Stream) -> None:
        """Begin to replay a recording onto a stream, which ends when the stream is deleted.

        Raises:
            BadMessageError: If the recording is of a head of another kind, or broken.
            LimitError: If the stream has a publisher or a replay, or there are too many replays.
        """
        if stream.is_live or stream.voice.is_published() or stream.id in self._tasks:
            raise LimitError(f"stream {stream.id!r} has a publisher: end it first")
        if len(self._tasks) >= MOST_REPLAYS:
            raise LimitError(f"at most {MOST_REPLAYS} replays at a time")
        lines = read_all(path, stream.avatar)
        first = next(lines, None)
        if first is None:
            raise BadMessageError("expected a recording with mesh frames, got one without")
        task = asyncio.create_task(_replay(first, lines, stream))
        self._tasks[stream.id] = task

        def cancel() -> None:
            task.cancel()

        def forget(_: asyncio.Task[None]) -> None:
            del self._tasks[stream.id]
            stream.on_deleted.remove(cancel)

        stream.on_deleted.append(cancel)
        task.add_done_callback(forget)

    async def close(self) -> None:
        """End all replays."""
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _replay(first: Recorded, lines: Iterator[Recorded], stream: Stream) -> None:
    began = time.monotonic() - first.at_ms / 1e3
    live = stream.live
    seq = live.seq + 1 if live is not None else 0
    voice = _ReplayedVoice(stream)
    line: Recorded | None = first
    try:
        while line is not None:
            await asyncio.sleep(max(0.0, began + line.at_ms / 1e3 - time.monotonic()))
            if isinstance(line, RecordedVoice):
                voice.publish(line.packet)
            else:
                stream.publish(replace(line.mesh, seq=seq, received_at=time.monotonic()))
                seq += 1
            # Reading a line takes some 0.1 ms off the event loop, less than switching to it.
            line = await asyncio.to_thread(next, lines, None)
    except (BadMessageError, OSError) as exc:
        logger.warning("a replay has ended: %s", exc, extra={"stream": stream.id})


class _ReplayedVoice:
    """Publishes recorded packets as those of a separate source."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._offset = secrets.randbits(32)
        self._source: int | None = None

    def publish(self, packet: VoicePacket) -> None:
        """Forward a packet unless another source speaks; two voices would interleave."""
        if self._stream.voice.is_published(self._source):
            return
        # Two replays of one recording must not look like one source whose timestamps go back.
        self._source = (packet.source + self._offset) & 0xFFFFFFFF
        self._stream.publish_voice(
            replace(packet, source=self._source, arrived_at=time.monotonic())
        )
