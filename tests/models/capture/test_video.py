"""Decoding: rotation, variable frame rates, files that are not videos."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from models.capture.clip import open_clip
from models.capture.errors import VideoError
from models.capture.video import read_frames, read_info


def write_video(
    path: Path,
    times: list[int],
    *,
    size: tuple[int, int] = (96, 64),
    rotation_deg: int = 0,
    rate: int = 30,
) -> None:
    """Write frames that are white at the top and black below.

    Args:
        path: The file.
        times: Time of each frame, in units of 1/`rate` s.
        size: Width and height.
        rotation_deg: Counter-clockwise rotation that players should apply.
        rate: Units per second.
    """
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.time_base = Fraction(1, rate)
        if rotation_deg:
            stream.set_display_rotation(rotation_deg)
        image = np.zeros((size[1], size[0], 3), np.uint8)
        image[: size[1] // 4] = 255
        for time in times:
            frame = av.VideoFrame.from_ndarray(image, "rgb24")
            frame.pts, frame.time_base = time, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def test_a_plain_video_is_read_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "plain.mp4"
    write_video(path, list(range(20)))
    info = read_info(path)
    assert (info.width, info.height, info.frames, info.rotation_deg) == (96, 64, 20, 0)
    assert info.fps == pytest.approx(30)
    assert not info.variable_rate
    frames = list(read_frames(path, first=2, step=5))
    assert [frame.number for frame in frames] == [2, 7, 12, 17]
    assert frames[1].time_s == pytest.approx(7 / 30, abs=1e-3)


@pytest.mark.parametrize(("turn", "clockwise", "bright"), [
    (90, 270, np.s_[:, :10]),  # the top of the stored image becomes the left side
    (-90, 90, np.s_[:, -10:]),
    (180, 180, np.s_[-10:]),
])  # fmt: skip
def test_portrait_videos_are_rotated_upright(
    tmp_path: Path, turn: int, clockwise: int, bright: tuple[slice, slice]
) -> None:
    path = tmp_path / "turned.mp4"
    write_video(path, list(range(8)), rotation_deg=turn)
    info = read_info(path)
    assert info.rotation_deg == clockwise
    frame = next(read_frames(path)).rgb
    assert frame.shape[:2] == (info.height, info.width)
    assert frame[bright].mean() > 180
    assert frame.mean() < 90


def test_a_variable_frame_rate_is_detected(tmp_path: Path) -> None:
    path = tmp_path / "uneven.mp4"
    times = [t + (t // 7) * 3 for t in range(40)]
    write_video(path, times)
    assert read_info(path).variable_rate
    at = [frame.time_s for frame in read_frames(path)]
    assert at[7] == pytest.approx(10 / 30, abs=1e-3)


def test_frames_of_a_fast_video_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "fast.mp4"
    write_video(path, list(range(25)), rate=60)
    clip = open_clip(path)
    assert clip.step == 2
    assert clip.fps == pytest.approx(30)
    assert [frame.number for frame in clip.frames()] == list(range(clip.count)) == list(range(13))


def test_a_file_that_is_not_a_video_is_refused_with_the_reason(tmp_path: Path) -> None:
    text = tmp_path / "notes.mp4"
    text.write_text("not a video")
    with pytest.raises(VideoError, match=r"notes\.mp4 cannot be read as a video"):
        read_info(text)
    one = tmp_path / "one.mp4"
    write_video(one, [0])
    with pytest.raises(VideoError, match="expected a video, got 1 frames"):
        read_info(one)
