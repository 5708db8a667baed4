"""Stages run once, in order, and again when their inputs change."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.capture.errors import VideoError
from models.capture.stages import Advance, Stage, StageRunner


class Recorder:
    """Stages that write their name to a file."""

    def __init__(self, out: Path) -> None:
        self.out, self.ran = out, list[str]()
        self.fail = ""

    def stage(self, name: str, setting: int = 0) -> Stage:
        def run(advance: Advance) -> None:
            if name == self.fail:
                raise VideoError("interrupted")
            self.ran.append(name)
            advance(0.5, "half")
            (self.out / name).write_text(name)

        return Stage(name, run, (setting,), (self.out / name,))


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "me.mp4"
    path.write_bytes(b"frames")
    return path


def run(tmp_path: Path, video: Path, stages: list[Stage]) -> list[tuple[str, int, float, str]]:
    lines: list[tuple[str, int, float, str]] = []
    StageRunner(tmp_path / "capture", video).run(stages, lambda *line: lines.append(line))
    return lines


def test_finished_stages_are_not_repeated(tmp_path: Path, video: Path) -> None:
    recorder = Recorder(tmp_path)
    stages = [recorder.stage("track"), recorder.stage("pose")]
    recorder.fail = "pose"
    with pytest.raises(VideoError):
        run(tmp_path, video, stages)
    recorder.fail = ""
    lines = run(tmp_path, video, stages)
    assert recorder.ran == ["track", "pose"]
    assert lines[0] == ("track", 0, 1.0, "done before")
    assert ("pose", 1, 0.5, "half") in lines


def test_a_changed_setting_repeats_its_stage_and_the_later_ones(
    tmp_path: Path, video: Path
) -> None:
    recorder = Recorder(tmp_path)
    run(tmp_path, video, [recorder.stage(name) for name in ("track", "matte", "head")])
    changed = [recorder.stage("track"), recorder.stage("matte", 512), recorder.stage("head")]
    run(tmp_path, video, changed)
    assert recorder.ran == ["track", "matte", "head", "matte", "head"]


def test_a_missing_result_is_made_again(tmp_path: Path, video: Path) -> None:
    recorder = Recorder(tmp_path)
    stages = [recorder.stage("track"), recorder.stage("pose")]
    run(tmp_path, video, stages)
    (tmp_path / "track").unlink()
    run(tmp_path, video, stages)
    assert recorder.ran == ["track", "pose", "track"]


def test_the_folder_of_another_video_is_refused(tmp_path: Path, video: Path) -> None:
    run(tmp_path, video, [])
    recorder = Recorder(tmp_path)
    run(tmp_path, video, [recorder.stage("track")])
    video.write_bytes(b"other frames")
    with pytest.raises(VideoError, match="holds the results of another video"):
        run(tmp_path, video, [])
