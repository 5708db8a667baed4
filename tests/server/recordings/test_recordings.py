"""Recordings of a stream: contents, limits and failures, none of which delays the stream."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from server.errors import (
    LimitError,
    RecordingNotFoundError,
    SettingsError,
    StorageError,
    StreamClosedError,
)
from server.pool.fake import fake_avatar
from server.protocol.states import MeshState, neutral_mesh
from server.recordings import writer
from server.recordings.file_format import read_end, read_meshes
from server.recordings.recordings import Recording, RecordingLimits, Recordings
from server.streams.streams import Stream, Streams

AVATAR = fake_avatar()
LIMITS = RecordingLimits(size=1_000_000, length_s=60, number=3)


@pytest.fixture
def streams() -> Streams:
    return Streams({"default": AVATAR})


@pytest.fixture
def stream(streams: Streams) -> Stream:
    return streams.create("default", "me")


def frame(seq: int) -> MeshState:
    return replace(neutral_mesh(AVATAR), seq=seq, received_at=time.monotonic())


def publish(stream: Stream, count: int, first: int = 0) -> None:
    for seq in range(first, first + count):
        assert stream.publish(frame(seq))


def seqs(recording: Recording) -> list[int]:
    return [found.mesh.seq for found in read_meshes(recording.path, AVATAR)]


async def ended(recording: Recording) -> None:
    async with asyncio.timeout(5):
        while recording.ended is None or read_end(recording.path) is None:
            await asyncio.sleep(0.01)


async def test_only_accepted_frames_are_recorded(tmp_path: Path, stream: Stream) -> None:
    recordings = Recordings(tmp_path / "new" / "folder", LIMITS)
    publish(stream, 2)
    recording = await recordings.start(stream)
    publish(stream, 3, first=10)
    stream.publish(frame(5))  # late
    stream.live = None
    stream.publish_idle(frame(99))
    await recordings.stop(recording.id)
    publish(stream, 2, first=20)
    assert seqs(recording) == [10, 11, 12]
    assert (recording.frames, recording.ended) == (3, "stopped")
    assert recording.size == recording.path.stat().st_size
    assert stream.on_published == []
    assert stream.on_deleted == []
    assert stat.S_IMODE(recording.path.stat().st_mode) == 0o600


async def test_a_stream_deleted_during_the_start_is_not_recorded(
    tmp_path: Path, streams: Streams, stream: Stream
) -> None:
    recordings = Recordings(tmp_path, LIMITS)
    starting = asyncio.create_task(recordings.start(stream))
    await asyncio.sleep(0)
    streams.delete("me")
    with pytest.raises(StreamClosedError):
        await starting
    assert list(tmp_path.iterdir()) == []
    assert recordings.list() == ()


async def test_recordings_that_start_together_keep_the_limit_on_their_number(
    tmp_path: Path, stream: Stream
) -> None:
    recordings = Recordings(tmp_path, LIMITS)
    started = await asyncio.gather(
        *(recordings.start(stream) for _ in range(9)), return_exceptions=True
    )
    assert sum(isinstance(each, LimitError) for each in started) == 6
    await recordings.close()


async def test_two_recordings_of_a_stream_do_not_disturb_each_other(
    tmp_path: Path, stream: Stream
) -> None:
    recordings = Recordings(tmp_path, LIMITS)
    first = await recordings.start(stream)
    publish(stream, 2)
    second = await recordings.start(stream)
    publish(stream, 2, first=2)
    await recordings.delete(first.id)
    publish(stream, 1, first=4)
    await recordings.close()
    assert not first.path.exists()
    assert seqs(second) == [2, 3, 4]
    assert second.ended == "the server was stopped"


async def test_the_number_is_limited_and_no_recording_is_deleted_for_a_new_one(
    tmp_path: Path, stream: Stream
) -> None:
    recordings = Recordings(tmp_path, LIMITS)
    kept = [await recordings.start(stream) for _ in range(3)]
    with pytest.raises(LimitError, match="at most 3 recordings: delete one first"):
        await recordings.start(stream)
    assert all(recording.path.exists() for recording in kept)
    await recordings.delete(kept[0].id)
    await recordings.start(stream)
    await recordings.close()


async def test_a_recording_ends_at_its_maximum_size(tmp_path: Path, stream: Stream) -> None:
    recordings = Recordings(tmp_path, replace(LIMITS, size=5000))
    recording = await recordings.start(stream)
    publish(stream, 50)
    await ended(recording)
    assert recording.ended == "its maximum size"
    found = seqs(recording)
    assert 1 <= len(found) < 50
    assert found == list(range(len(found)))
    assert recording.path.stat().st_size < 5000 + 300
    publish(stream, 1, first=50)  # the stream continues


async def test_a_recording_ends_at_its_maximum_length_also_without_frames(
    tmp_path: Path, stream: Stream
) -> None:
    recordings = Recordings(tmp_path, replace(LIMITS, length_s=0.05))
    recording = await recordings.start(stream)
    await ended(recording)
    assert recording.ended == "its maximum length"


async def test_a_recording_ends_with_its_stream(
    tmp_path: Path, streams: Streams, stream: Stream
) -> None:
    recordings = Recordings(tmp_path, LIMITS)
    recording = await recordings.start(stream)
    publish(stream, 2)
    streams.delete("me")
    await ended(recording)
    assert recording.ended == "the stream was deleted"
    assert seqs(recording) == [0, 1]


@pytest.fixture
def small_files() -> Iterator[int]:
    """Limit files of this process to 6000 bytes, as if the disk were full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (6000, before[1]))
    yield 6000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_full_disk_ends_the_recording_and_not_the_stream(
    tmp_path: Path, stream: Stream, small_files: int, caplog: pytest.LogCaptureFixture
) -> None:
    recordings = Recordings(tmp_path, LIMITS)
    recording = await recordings.start(stream)
    publish(stream, 50)
    async with asyncio.timeout(5):
        while recording.ended is None:
            await asyncio.sleep(0.01)
    await recordings.stop(recording.id)
    assert recording.ended == "File too large"
    text = recording.path.read_bytes()
    assert text.endswith(b"\n"), "a partly written line is removed"
    assert len(text) <= small_files
    found = seqs(recording)
    assert found == list(range(len(found)))
    assert len(found) >= 1
    publish(stream, 1, first=50)
    counted = generate_latest(recordings.registry).decode()
    assert 'telewarp_recordings_ended_total{cause="failed"} 1.0' in counted
    assert "File too large" in caplog.text


async def test_a_disk_that_is_too_slow_ends_the_recording(
    tmp_path: Path, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_WAITING", 4)
    recordings = Recordings(tmp_path, LIMITS)
    recording = await recordings.start(stream)
    publish(stream, 300)  # without yielding to the event loop, so faster than the disk
    assert recording.ended == "the disk was too slow"
    await recordings.close()


async def test_the_size_includes_lines_that_were_written_after_the_last_frame(
    tmp_path: Path, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    recordings = Recordings(tmp_path, LIMITS)
    recording = await recordings.start(stream)
    disk, append = threading.Event(), writer.RecordingWriter._append

    def append_late(self: writer.RecordingWriter, line: bytes) -> None:
        disk.wait(10)
        append(self, line)

    monkeypatch.setattr(writer.RecordingWriter, "_append", append_late)
    first = recording.size
    publish(stream, 5)
    assert recordings.get(recording.id).size == first
    disk.set()
    async with asyncio.timeout(5):
        while len(seqs(recording)) < 5 or recordings.get(recording.id).size == first:
            await asyncio.sleep(0.01)
        while recordings.list()[0].size < recording.path.stat().st_size:
            await asyncio.sleep(0.01)
    await recordings.close()


async def test_an_unusable_directory_is_reported_at_the_start(
    tmp_path: Path, stream: Stream
) -> None:
    with pytest.raises(SettingsError, match=r"--recordings .*: Not a directory"):
        Recordings(Path("/dev/null/x"), LIMITS)
    folder = tmp_path / "gone"
    recordings = Recordings(folder, LIMITS)
    folder.rmdir()
    with pytest.raises(StorageError, match="cannot write a recording: No such file"):
        await recordings.start(stream)
    assert stream.on_published == []
    assert recordings.list() == ()


async def test_recordings_of_earlier_runs_are_listed(tmp_path: Path, stream: Stream) -> None:
    before = Recordings(tmp_path, LIMITS)
    recording = await before.start(stream)
    publish(stream, 3)
    await before.stop(recording.id)
    (tmp_path / "notes.ndjson").write_text("mine\n")
    (tmp_path / ("0" * 16 + ".ndjson")).write_text("broken\n")
    after = Recordings(tmp_path, LIMITS)
    (found,) = after.list()
    assert (found.id, found.frames, found.ended) == (recording.id, 3, "stopped")
    await after.delete(found.id)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "0" * 16 + ".ndjson",
        "notes.ndjson",
    ]
    with pytest.raises(RecordingNotFoundError):
        after.get(found.id)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.server.recordings.test_recordings import *
async def main():
    stream = Streams({"default": AVATAR}).create("default", "me")
    recordings = Recordings(Path(sys.argv[1]), LIMITS)
    recording = await recordings.start(stream)
    for seq in range(40):
        stream.publish(frame(seq))
        await asyncio.sleep(0.002)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


async def test_recorded_frames_survive_a_crash(tmp_path: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "."},
        check=False,
        timeout=60,
    )
    assert killed.returncode == -signal.SIGKILL
    (found,) = Recordings(tmp_path, LIMITS).list()
    assert (found.ended, found.frames) == ("cut off", None)
    kept = seqs(found)
    assert len(kept) >= 35
    assert kept == list(range(len(kept)))
