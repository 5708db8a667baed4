"""The voice in a recording: stored with its times, and sent again in a replay."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from server.errors import BadMessageError, LimitError
from server.pool.fake import fake_avatar
from server.protocol.states import neutral_mesh
from server.recordings.file_format import (
    Header,
    encode_header,
    encode_mesh,
    encode_voice,
    read_meshes,
    read_voice,
)
from server.recordings.recordings import RecordingLimits, Recordings
from server.recordings.replay import Replays
from server.streams.streams import Stream, Streams
from server.streams.voice import VoicePacket

AVATAR = fake_avatar()
LIMITS = RecordingLimits(size=1_000_000, length_s=60, number=3)
HEADER = Header(
    stream="me",
    avatar="default",
    expression_names=list(AVATAR.expression_names),
    started_at="2030-01-01T00:00:00+00:00",
)


def a_packet(number: int, source: int = 9) -> VoicePacket:
    payload = bytes([number]) * 40
    captured_at_ms = 1.79e12 + 20.125 * number
    arrived_at = time.monotonic()
    return VoicePacket(
        payload, source, number, 960 * number, number == 3, arrived_at, captured_at_ms
    )


@pytest.fixture
def streams() -> Streams:
    return Streams({"default": AVATAR})


@pytest.fixture
def stream(streams: Streams) -> Stream:
    return streams.create("default", "me")


@pytest.fixture
async def replays() -> AsyncIterator[Replays]:
    replays = Replays()
    yield replays
    await replays.close()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Write 100 ms of alternating mesh frames and packets; packet 2 is lost, the last one is of a
    newer publisher."""
    lines = [encode_header(HEADER)]
    for number in range(6):
        mesh = replace(neutral_mesh(AVATAR), seq=number)
        lines.append(encode_mesh(mesh, 20.0 * number))
        if number != 2:
            lines.append(encode_voice(a_packet(number, 9 if number < 5 else 10), 20.0 * number + 5))
    path = tmp_path / "recording.ndjson"
    path.write_bytes(b"".join(lines))
    return path


async def test_packets_are_recorded_with_their_times_beside_the_mesh_frames(
    tmp_path: Path, stream: Stream
) -> None:
    recordings = Recordings(tmp_path, LIMITS)
    recording = await recordings.start(stream)
    packets = [a_packet(number) for number in (1, 2, 3)]
    for packet in packets:
        stream.publish_voice(packet)
        stream.publish(
            replace(neutral_mesh(AVATAR), seq=packet.sequence_number, received_at=time.monotonic())
        )
    await recordings.stop(recording.id)
    stream.publish_voice(a_packet(4))
    kept = list(read_voice(recording.path))
    assert [replace(k.packet, arrived_at=0.0) for k in kept] == [
        replace(packet, arrived_at=0.0) for packet in packets
    ]
    interval_ms = [k.at_ms - kept[0].at_ms for k in kept]
    sent_interval_ms = [1e3 * (p.arrived_at - packets[0].arrived_at) for p in packets]
    assert interval_ms == pytest.approx(sent_interval_ms, abs=0.01)
    assert recording.frames == 3
    assert len(list(read_meshes(recording.path, AVATAR))) == 3
    assert stream.voice.listeners == []


async def test_a_replay_sends_packets_at_their_times_with_their_gaps(
    streams: Streams, replays: Replays, recording: Path
) -> None:
    again = streams.create("default", "again")
    heard: list[VoicePacket] = []
    again.voice.listeners.append(heard.append)
    started_at = time.monotonic()
    replays.start(recording, again)
    async with asyncio.timeout(5):
        while len(heard) < 5:
            await asyncio.sleep(0.01)
    assert [p.payload[0] for p in heard] == [0, 1, 3, 4, 5]
    assert [p.sequence_number for p in heard] == [0, 1, 3, 4, 5]
    assert [p.timestamp for p in heard] == [0, 960, 2880, 3840, 4800]
    assert [p.marker for p in heard] == [False, False, True, False, False]
    assert len({p.source for p in heard[:4]}) == 1
    assert heard[4].source != heard[0].source
    after_s = [p.arrived_at - started_at for p in heard]
    assert all(0 <= s - 0.02 * n - 0.005 < 1 for s, n in zip(after_s, (0, 1, 3, 4, 5), strict=True))


async def test_two_replays_have_different_sources(streams: Streams, recording: Path) -> None:
    again = streams.create("default", "again")
    heard: list[VoicePacket] = []
    again.voice.listeners.append(heard.append)
    for _ in range(2):
        replays = Replays()
        replays.start(recording, again)
        await asyncio.sleep(0.05)
        await replays.close()
        # As if the first had ended long ago: no publisher drives face or voice.
        again.live = None
        again.voice._newest = None
    assert len({p.source for p in heard}) == 2


async def test_a_replay_does_not_start_while_another_voice_is_sent(
    stream: Stream, replays: Replays, recording: Path
) -> None:
    stream.publish_voice(a_packet(1, source=77))
    with pytest.raises(LimitError, match="has a publisher"):
        replays.start(recording, stream)


async def test_a_publishers_voice_replaces_a_replayed_one(
    streams: Streams, replays: Replays, recording: Path
) -> None:
    again = streams.create("default", "again")
    heard: list[VoicePacket] = []
    again.voice.listeners.append(heard.append)
    replays.start(recording, again)
    while not heard:
        await asyncio.sleep(0.005)
    again.publish_voice(a_packet(1, source=77))
    before = len(heard)
    await asyncio.sleep(0.15)
    assert len(heard) == before
    assert again.live is not None
    assert again.live.seq == 5  # the mesh frames continue


def test_a_packet_that_is_not_base64_is_refused_with_the_reason(tmp_path: Path) -> None:
    path = tmp_path / "recording.ndjson"
    line = encode_voice(a_packet(1), 1.0)
    path.write_bytes(encode_header(HEADER) + line.replace(b'"opus":"', b'"opus":"%'))
    with pytest.raises(BadMessageError, match="opus: expected base64"):
        list(read_voice(path))


def test_a_voice_keeps_its_stream_from_expiring() -> None:
    now = [0.0]
    streams = Streams({"default": AVATAR}, idle_clock=lambda: now[0])
    stream = streams.create("default", "me")
    now[0] = 100.0
    assert stream.unused_s() == 100.0
    stream.publish_voice(a_packet(1))
    assert stream.unused_s() == 0.0
