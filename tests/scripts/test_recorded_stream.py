"""A server's recording: published at the recorded times, and rendered reproducibly."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from models.contract.arkit import ARKIT_NAMES
from models.contract.avatar_info import AvatarInfo
from scripts.recorded_stream import states_at_rate, timed_frames
from server.errors import BadMessageError
from server.pool.fake import fake_avatar
from server.protocol.messages import parse_mesh_frame
from server.protocol.states import neutral_mesh
from server.recordings.file_format import Header, encode_header, encode_mesh
from server.settings import Settings
from server.streams.head_pose import head_rotation, neck_fixed
from tests.scripts.conftest import Run
from tests.server.conftest import serving

AVATAR = fake_avatar()
TIMES_MS = (500.0, 533.3, 566.6, 1100.0, 1101.0)
"""With a pause of half a second, and two frames that arrive 1 ms apart."""


def write(path: Path, avatar: AvatarInfo) -> Path:
    header = Header(
        stream="me",
        avatar="default",
        expression_names=list(avatar.expression_names),
        started_at="2030-01-01T00:00:00+00:00",
    )
    jaw = avatar.expression_names.index("jawOpen")
    lines = [encode_header(header)]
    for seq, at_ms in enumerate(TIMES_MS):
        state = neutral_mesh(avatar)
        expression = state.expression.copy()
        expression[jaw] = seq / 10
        turned = head_rotation(0.1 * seq, 0, 0)
        mesh = replace(
            state,
            seq=seq,
            expression=expression,
            head_rotation=turned,
            head_translation=neck_fixed(turned),
        )
        lines.append(encode_mesh(mesh, at_ms))
    path.write_bytes(b"".join(lines))
    return path


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    return write(tmp_path / "take.ndjson", AVATAR)


def jaws(recorded: Path, start_s: float = 0.0, seconds: float | None = None) -> list[float]:
    jaw = AVATAR.expression_names.index("jawOpen")
    states = states_at_rate(recorded, AVATAR, 30, start_s, seconds)
    return [round(float(state.expression[jaw]), 3) for state in states]


def test_a_video_shows_the_newest_mesh_frame_at_each_time(recorded: Path) -> None:
    shown = jaws(recorded)
    assert len(shown) == 19  # 0.601 s at 30 frames per second, both ends included
    assert shown == [0.0, 0.1, *[0.2] * 16, 0.3]


def test_a_part_of_a_recording_is_selected(recorded: Path) -> None:
    assert jaws(recorded, start_s=0.05, seconds=0.1) == [0.2] * 3
    assert jaws(recorded, start_s=99) == []


def test_mesh_frames_are_due_at_their_recorded_times_and_are_valid_messages(recorded: Path) -> None:
    frames = list(timed_frames(recorded, AVATAR, 0.0))
    due_s = [at_s for at_s, _ in frames]
    assert due_s == pytest.approx([0, 0.0333, 0.0666, 0.6, 0.601])
    parsed = [parse_mesh_frame(json.dumps({"seq": 1, **frame})) for _, frame in frames]
    assert parsed[3].head.rotation[1] == pytest.approx(np.sin(0.15))
    assert len(parsed[3].expression or ()) == len(AVATAR.expression_names)


def test_a_truncated_recording_is_read_up_to_the_last_complete_line(recorded: Path) -> None:
    recorded.write_bytes(recorded.read_bytes()[:-30])
    assert len(list(timed_frames(recorded, AVATAR, 0.0))) == 4


def test_an_invalid_recording_is_rejected(recorded: Path) -> None:
    recorded.write_bytes(recorded.read_bytes().replace(b'"seq":2', b'"seq":-2'))
    with pytest.raises(BadMessageError, match=r"line 4: seq: expected greater than or equal to 0"):
        list(timed_frames(recorded, AVATAR, 0.0))


def test_a_recording_is_published_at_its_recorded_times(run: Run, recorded: Path) -> None:
    with serving(Settings(port=0, workers=1, max_sessions=3, demo=False)) as server:
        published = run("publish.py", recorded, "--stream", "rom", "--url", server.url)
        assert published.returncode == 0, published.stderr
        assert "accepted 5 frames, dropped 0" in published.stdout
        recorded.write_text('{"format": "telewarp-recording", "version": 9}\n')
        refused = run("publish.py", recorded, "--stream", "rom", "--url", server.url)
        assert refused.returncode == 1
        assert "publish: expected a recording, got version: expected 1" in refused.stderr


@pytest.mark.slow
def test_a_recording_is_rendered_to_the_same_frames_each_time(run: Run, tmp_path: Path) -> None:
    recorded = write(tmp_path / "take.ndjson", replace(AVATAR, expression_names=ARKIT_NAMES))
    hashes = []
    for name in ("first.mp4", "second.mp4"):
        rendered = run("render_video.py", recorded, name, "--fps", 10, "--device", "cpu")
        assert rendered.returncode == 0, rendered.stderr
        with av.open(str(tmp_path / name)) as container:
            frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
        assert len(frames) == 7
        moved = np.abs(frames[0].astype(int) - frames[-1].astype(int)).mean()
        assert moved > 1, "the head turns"
        hashes.append(hashlib.sha256(b"".join(map(bytes, frames))).hexdigest())
    assert hashes[0] == hashes[1]
