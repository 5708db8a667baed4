"""The findings that a user gets about unsuitable videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.capture.checks import (
    Sample,
    find_cuts,
    find_jumps,
    inspect,
    judge_samples,
    judge_track,
    missing_expressions,
    refuse,
    thumbnail,
    yaw_range_deg,
)
from models.capture.clip import Clip, open_clip
from models.capture.errors import VideoError, WeakVideoError
from models.capture.fitting import FittingStages
from models.capture.segmenter import largest_part, open_segmenter
from models.capture.shape_space import load_shape_space
from models.capture.tracker import Track, open_tracker
from models.capture.video import VideoInfo
from tests.models.capture.phone_video import Bytes, PhoneVideo, write_frames

GOOD = Sample(faces=1, width_px=120, luma=110, sharpness=0.1)


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (Sample(0, 0, 0, 0), "No face was found in 20 of 20 frames"),
        (GOOD._replace(faces=2), "Two faces were found in 20 of 20 frames"),
        (GOOD._replace(width_px=41), "The face is 41 pixels wide; expected at least 60"),
        (GOOD._replace(luma=20), r"too dark \(brightness 20 of 255"),
        (GOOD._replace(luma=250), r"too bright \(brightness 250 of 255"),
        (GOOD._replace(sharpness=0.03), "blurred in 100% of the frames"),
    ],
)
def test_bad_images_are_refused_with_the_reason(sample: Sample, words: str) -> None:
    with pytest.raises(VideoError, match=words):
        refuse(judge_samples([sample] * 20), weak_too=True)
    # Two bad frames of twenty are accepted.
    refuse(judge_samples([GOOD] * 18 + [sample] * 2), weak_too=True)


def test_a_weak_video_is_accepted_on_request_and_an_unusable_one_never() -> None:
    refuse(judge_samples([GOOD._replace(luma=20)] * 9), weak_too=False)
    with pytest.raises(VideoError, match="No face") as refused:
        refuse(judge_samples([Sample(0, 0, 0, 0)] * 9), weak_too=False)
    assert not isinstance(refused.value, WeakVideoError)


def track_of(yaw_deg: float, names: tuple[str, ...], count: int = 60) -> Track:
    """Return a track of a head that turns by `yaw_deg` to both sides and makes all expressions."""
    angle = np.radians(yaw_deg) * np.sin(np.linspace(0, 12, count))
    turns = np.tile(np.eye(3, dtype=np.float32), (count, 1, 1))
    turns[:, 0, 0] = turns[:, 2, 2] = np.cos(angle)
    turns[:, 0, 2], turns[:, 2, 0] = np.sin(angle), -np.sin(angle)
    values = np.zeros((count, len(names)), np.float32)
    values[::4] = 0.9
    return Track(np.ones((count, 478, 2), np.float32), values, turns)


def test_a_head_that_turns_too_little_is_refused() -> None:
    names = load_shape_space().source.names
    assert yaw_range_deg(track_of(20, names)) == pytest.approx(40, abs=1.5)
    refuse(judge_track(track_of(20, names), names, 25, []), weak_too=True)
    with pytest.raises(VideoError, match="turns by 6 degrees in all; expected at least 18"):
        refuse(judge_track(track_of(3, names), names, 25, []), weak_too=True)


def test_missing_expressions_are_listed() -> None:
    names = load_shape_space().source.names
    full = track_of(20, names)
    still = full.coefficients.copy()
    still[:, names.index("jawOpen")] = 0.05
    few = replace(full, coefficients=still)
    assert missing_expressions(few, names) == ["open the mouth"]
    refuse(judge_track(few, names, 25, []), weak_too=True)  # one missing expression is accepted
    none = replace(full, coefficients=np.zeros_like(still))
    with pytest.raises(
        WeakVideoError, match=r"never seems to open the mouth, blink, .* Film these"
    ):
        refuse(judge_track(none, names, 25, []), weak_too=True)


def test_a_track_that_loses_the_face_is_refused() -> None:
    names = load_shape_space().source.names
    track = track_of(20, names)
    track.landmarks[:30] = np.nan
    with pytest.raises(VideoError, match="lost in 50% of the frames"):
        refuse(judge_track(track, names, 25, []), weak_too=False)


def test_a_cut_is_detected_and_fast_motion_is_not() -> None:
    random = np.random.default_rng(0)
    one, other = (random.integers(0, 255, (90, 120, 3), np.uint8) for _ in range(2))
    smooth = [cv2.GaussianBlur(image, (0, 0), 12) * np.uint8(1) for image in (one, other)]
    moving = [np.roll(smooth[0], shift, axis=1) for shift in range(0, 40, 2)]
    assert find_cuts([thumbnail(np.asarray(f)) for f in moving]) == []
    bright = np.clip(np.asarray(smooth[1], int) + 60, 0, 255).astype(np.uint8)
    cut = [*moving[:10], *[np.roll(bright, s, axis=1) for s in range(0, 20, 2)]]
    assert find_cuts([thumbnail(np.asarray(f)) for f in cut]) == [10]


def test_a_cut_within_one_scene_is_detected_and_fast_motion_is_not() -> None:
    track = track_of(20, load_shape_space().source.names, 20)
    face = np.random.default_rng(0).uniform(0, 100, (478, 2)).astype(np.float32)
    # At rest, a jump to the left, then fast motion to the right.
    x = [0] * 4 + list(range(-120, 121, 30)) + [120] * 7
    for landmarks, shift in zip(track.landmarks, x, strict=True):
        landmarks[:] = face + np.array([shift, 0])
    assert find_jumps(track) == [4]
    track.landmarks[4:8] = np.nan
    assert find_jumps(track) == []


def test_properties_of_the_file_are_reported(phone_video: PhoneVideo, landmarker: Path) -> None:
    """A short portrait video with a rotation and a variable frame rate; its images are good."""
    times = tuple((n + (n // 6) * 3) / 25 for n in range(24))
    info = VideoInfo(320, 321, 90, times)
    clip = Clip(phone_video.path, info, 1)
    with open_tracker(landmarker, load_shape_space().source.names, video=False) as tracker:
        texts = [f"{f.severity}: {f.text}" for f in inspect(clip, tracker, lambda share: None)]
    assert [text.split(" ")[0] for text in texts] == ["weak:", "note:", "note:", "note:"]
    assert "expected at least 8 s" in texts[0]
    assert "turned upright by 90 degrees" in texts[1]
    assert "portrait" in texts[2]
    assert "frame rate varies" in texts[3]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda f: np.full_like(f, 90), "No face was found"),
        (lambda f: np.concatenate([f, f[:, ::-1]], axis=1), "Two faces were found"),
        (lambda f: (f * 0.25).astype(np.uint8), "too dark"),
        (lambda f: np.asarray(cv2.GaussianBlur(f, (0, 0), 5)), "blurred"),
        (lambda f: np.asarray(cv2.resize(f, (96, 96))), "pixels wide"),
    ],
)  # fmt: skip
def test_a_degraded_video_is_refused(
    phone_video: PhoneVideo, landmarker: Path, tmp_path: Path, spoil: object, words: str
) -> None:
    assert callable(spoil)
    path = tmp_path / "spoilt.mp4"
    write_frames(path, [np.ascontiguousarray(spoil(f)) for f in phone_video.frames[::3]])
    stages = FittingStages(open_clip(path), tmp_path, landmarker, anyway=False)
    with pytest.raises(VideoError, match=words):
        stages.inspect(lambda share, message: None)


def test_the_person_is_separated_from_the_background(
    phone_video: PhoneVideo, segmenter: Path
) -> None:
    frame = phone_video.frames[0]
    with open_segmenter(segmenter) as opened:
        coverage = opened.coverage(frame)
    assert coverage.shape == frame.shape[:2]
    assert coverage[140:180, 150:170].min() > 200  # the face
    assert coverage[:30, :30].max() < 60


def test_coverage_apart_from_the_person_is_removed() -> None:
    coverage: Bytes = np.zeros((80, 80), np.uint8)
    coverage[20:70, 20:50] = 255
    coverage[5:10, 70:75] = 255
    kept = largest_part(coverage)
    assert kept[40, 30] == 255
    assert kept[7, 72] == 0
    assert largest_part(np.zeros((8, 8), np.uint8)).max() == 0
