"""The voice of a recording: aligned with its mesh frames, and muxed into the rendered video."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from av.audio.codeccontext import AudioCodecContext

from models.contract.arkit import ARKIT_NAMES
from models.contract.avatar_info import AvatarInfo
from scripts.recorded_voice import voice_samples
from server.pool.fake import fake_avatar
from server.protocol.states import neutral_mesh
from server.recordings.file_format import Header, encode_header, encode_mesh, encode_voice
from server.streams.voice import CLOCK_RATE, VoicePacket
from tests.scripts.conftest import Run

AVATAR = replace(fake_avatar(), expression_names=tuple(ARKIT_NAMES))
EPOCH_MS = 1.79e12
PACKET = CLOCK_RATE // 50
TONE_HZ = 400.0
BEGAN_MS = 1000.0
"""Time of receipt of the first mesh frame."""


def tone(seconds: float) -> list[bytes]:
    """Encode a tone as Opus packets of 20 ms."""
    encoder = AudioCodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = CLOCK_RATE, "mono", "s16"
    phase = 2 * np.pi * TONE_HZ * np.arange(round(seconds * CLOCK_RATE)) / CLOCK_RATE
    wave = (np.sin(phase) * 12_000).astype(np.int16)
    packets = []
    for begin in range(0, len(wave), PACKET):
        part = wave[None, begin : begin + PACKET]
        frame = av.AudioFrame.from_ndarray(part, format="s16", layout="mono")
        frame.sample_rate, frame.pts = CLOCK_RATE, begin
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    return packets


def write(
    path: Path,
    avatar: AvatarInfo = AVATAR,
    face_ms: float = 80.0,
    voice_ms: float = 30.0,
    captured: bool = True,
) -> Path:
    """Write mesh frames for 1 s, and a tone of 0.2 s captured 0.4 s after the first frame.

    Args:
        path: The file.
        avatar: The avatar of the stream.
        face_ms: Delay from the capture of a mesh frame to its receipt.
        voice_ms: The same delay for the voice.
        captured: Whether the publisher sent capture times.
    """
    names = list(avatar.expression_names)
    header = Header(stream="me", avatar="default", expression_names=names, started_at="2030-01-01")
    lines = [(0.0, encode_header(header))]
    for seq in range(31):
        at_ms = BEGAN_MS + seq * 33.3
        captured_ms = EPOCH_MS + at_ms - face_ms if captured else None
        mesh = replace(neutral_mesh(avatar), seq=seq, captured_at_ms=captured_ms)
        lines.append((at_ms, encode_mesh(mesh, at_ms)))
    for index, payload in enumerate(tone(0.2)):
        captured_ms = EPOCH_MS + BEGAN_MS - face_ms + 400 + index * 20
        at_ms = captured_ms - EPOCH_MS + voice_ms + (index % 3) * 4  # jitter
        timestamp = (2**32 - 2000 + index * PACKET) % 2**32  # wraps around
        sent_ms = captured_ms if captured else None
        packet = VoicePacket(payload, 5, index, timestamp, index == 0, 0.0, sent_ms)
        lines.append((at_ms, encode_voice(packet, at_ms)))
    path.write_bytes(b"".join(line for _, line in sorted(lines)))
    return path


def tone_span_s(samples: np.ndarray) -> tuple[float, float]:
    """Return the times at which the tone begins and ends, seconds."""
    found = np.flatnonzero(np.abs(samples).max(axis=0) > 0.1)
    return float(found[0]) / CLOCK_RATE, float(found[-1]) / CLOCK_RATE


@pytest.mark.parametrize("face_ms", [30.0, 80.0, 200.0])
def test_the_voice_is_aligned_with_mesh_frames_by_capture_time(
    tmp_path: Path, face_ms: float
) -> None:
    samples = voice_samples(write(tmp_path / "take.ndjson", face_ms=face_ms), 0, 1)
    assert samples is not None
    assert samples.shape == (2, CLOCK_RATE)
    begin, end = tone_span_s(samples)
    assert begin == pytest.approx(0.4, abs=0.012)  # the look-ahead of Opus is 6.5 ms
    assert end == pytest.approx(0.6, abs=0.012)


def test_the_voice_is_aligned_by_receipt_time_without_capture_times(tmp_path: Path) -> None:
    samples = voice_samples(write(tmp_path / "take.ndjson", captured=False), 0, 1)
    assert samples is not None
    assert tone_span_s(samples)[0] == pytest.approx(0.4 - 0.080 + 0.030, abs=0.012)


def test_a_part_of_a_recording_has_that_part_of_the_voice(tmp_path: Path) -> None:
    file = write(tmp_path / "take.ndjson")
    samples = voice_samples(file, 0.5, 0.3)
    assert samples is not None
    assert tone_span_s(samples)[1] == pytest.approx(0.1, abs=0.012)
    assert voice_samples(file, 0.7, 0.2) is None


def test_invalid_packets_are_decoded_as_silence(tmp_path: Path) -> None:
    file = write(tmp_path / "take.ndjson")
    header, *lines = file.read_bytes().splitlines(keepends=True)
    broken = VoicePacket(b"", 6, 1, 0, False, 0.0)
    file.write_bytes(b"".join([header, *lines, encode_voice(broken, 2000.0)]))
    samples = voice_samples(file, 0, 1)
    assert samples is not None
    assert tone_span_s(samples)[0] == pytest.approx(0.4, abs=0.012)


@pytest.mark.slow
def test_a_video_of_a_recording_has_its_voice(run: Run, tmp_path: Path) -> None:
    shipped = replace(fake_avatar(), expression_names=tuple(ARKIT_NAMES))
    recorded = write(tmp_path / "take.ndjson", shipped)
    rendered = run("render_video.py", recorded, "out.mp4", "--fps", 10, "--device", "cpu")
    assert rendered.returncode == 0, rendered.stderr
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
        rate = container.streams.audio[0].rate
    assert rate == CLOCK_RATE
    begin, end = tone_span_s(np.concatenate(frames, axis=1))
    # The first AAC frame is the delay of the encoder.
    assert begin == pytest.approx(0.4, abs=0.03)
    assert end == pytest.approx(0.6, abs=0.03)
