"""`scripts/make_avatar.py --video`: its lines of JSON and its exit codes."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.capture.errors import WeakVideoError
from scripts import make_avatar, video_avatar
from scripts.install_tracker import FOLDER, MODELS, SEGMENTERS, missing
from scripts.video_avatar import BarReport, JsonReport, identifier
from tests.models.capture.phone_video import write_frames


def run(capsys: pytest.CaptureFixture[str], *, video: Path, out: Path) -> tuple[int, list[object]]:
    code = make_avatar.main(make_avatar.Arguments(video=video, out=out, progress="json"))
    return code, [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_missing_video_is_reported_in_the_last_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, lines = run(capsys, video=tmp_path / "me.mp4", out=tmp_path / "out")
    assert code == 2
    assert lines == [{"error": f"expected a video, got no file {tmp_path / 'me.mp4'}"}]


@pytest.mark.skipif(
    bool(missing(FOLDER, {**MODELS, **SEGMENTERS})),
    reason="needs MediaPipe's models: scripts/install_tracker.py --capture",
)
def test_a_video_without_a_face_is_rejected_with_exit_code_2(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    video = tmp_path / "wall.mp4"
    wall = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    write_frames(video, [wall] * 30)
    code, lines = run(capsys, video=video, out=tmp_path / "out")
    assert code == 2
    assert lines[0] == {
        "stage": "inspect", "index": 0, "stages": 9, "fraction": 0.0, "message": "",
    }  # fmt: skip
    last = lines[-1]
    assert isinstance(last, dict)
    assert "No face was found in 30 of 30 frames" in last["error"]
    assert "expected at least 8 s" in last["error"]


def test_a_poor_video_is_rejected_and_the_option_to_continue_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def weak(*_: object) -> None:
        raise WeakVideoError("The face is too dark.")

    monkeypatch.setattr(video_avatar, "_run", weak)
    arguments = make_avatar.Arguments(video=tmp_path / "me.mp4", out=tmp_path)
    assert make_avatar.main(arguments) == 2
    assert capsys.readouterr().err == "The face is too dark.\n--anyway goes on with this video.\n"
    # A server reads the JSON and has no such option.
    assert make_avatar.main(replace(arguments, progress="json")) == 2
    assert capsys.readouterr().err == ""


def test_an_interruption_loses_less_than_a_tenth_of_the_training(tmp_path: Path) -> None:
    arguments = video_avatar.VideoArguments(
        video=tmp_path / "me.mp4", name="Me", consent="", out=tmp_path, hair="short", anyway=False,
        size=320, minutes=20, least_steps=make_avatar.LEAST_STEPS, measured_frames=8,
        network_size=0.25, device="cpu", threads=1, progress="bar",
    )  # fmt: skip
    lost = video_avatar.train_config(arguments).checkpoint_every
    assert lost * 10 < make_avatar.LEAST_STEPS


def test_progress_is_reported_once_per_percent_and_message() -> None:
    stream = io.StringIO()
    report = JsonReport(stream, 9)
    for step in range(1000):
        report("track", 1, step / 1000, "")
    report("track", 1, 0.999, "almost")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == 101
    assert lines[-1] == {
        "stage": "track", "index": 1, "stages": 9, "fraction": 0.999, "message": "almost",
    }  # fmt: skip


def test_the_progress_bar_reports_errors(capsys: pytest.CaptureFixture[str]) -> None:
    report = BarReport(9)
    report("track", 1, 0.5, "")
    report.write({"error": "The face is too dark."})
    written = capsys.readouterr()
    assert "2 of 9: track" in written.err
    assert "The face is too dark." in written.err
    assert written.out == ""


@pytest.mark.parametrize(("name", "expected"), [("Me", "me"), ("Zoë K.", "zo-k"), ("  ", "avatar")])
def test_the_id_of_an_avatar_has_only_plain_characters(name: str, expected: str) -> None:
    assert identifier(name) == expected
