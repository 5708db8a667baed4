"""Random and recorded motion for datasets: within limits, smooth, and the same for a seed."""

from __future__ import annotations

from itertools import pairwise
from math import asin, degrees, hypot
from pathlib import Path

import numpy as np
import pytest

from models.contract.frame_state import FrameState
from models.data.motion import (
    MOST_PITCH_RAD,
    MOST_ROLL_RAD,
    MOST_SHIFT_M,
    MOST_YAW_RAD,
    Expressions,
    Motion,
    RecordingError,
    read_recording,
    smooth_path,
)
from models.geometry.camera import quaternion_to_matrix, quaternion_to_rotation_vector

NAMES = (
    "jawOpen",
    "mouthSmileLeft",
    "mouthSmileRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookOutLeft",
    "eyeLookInRight",
)
NECK = np.array([0, -0.14, -0.12], np.float32)
FRAMES = 24


def sequence(seed: int) -> list[FrameState]:
    random = np.random.default_rng(seed)
    motion = Motion(NECK, np.array([0, 0, 0.8], np.float32), 0.4)
    return motion.sequence(random, Expressions(NAMES).random(random, FRAMES))


def test_a_seed_gives_the_same_motion() -> None:
    for first, second in zip(sequence(5), sequence(5), strict=True):
        assert np.array_equal(first.eye_position, second.eye_position)
        assert np.array_equal(first.expression, second.expression)


def test_heads_turn_about_the_neck_and_within_limits() -> None:
    for seed in range(12):
        for state in sequence(seed):
            pitch, yaw, roll = np.abs(quaternion_to_rotation_vector(state.head_rotation))
            assert yaw <= MOST_YAW_RAD + 1e-5
            assert pitch <= MOST_PITCH_RAD + 1e-5
            assert roll <= MOST_ROLL_RAD + 1e-5
            moved = quaternion_to_matrix(state.head_rotation) @ NECK + state.head_translation
            assert (np.abs(moved - NECK) <= np.array(MOST_SHIFT_M) + 1e-6).all()


def test_viewers_look_at_the_head_from_the_front() -> None:
    for seed in range(12):
        for state in sequence(seed):
            x, y, z = state.eye_position
            distance = hypot(x, y, z)
            assert 0.8 * 0.85 - 0.05 < distance < 0.8 * 1.25 + 0.05
            assert z > 0
            assert degrees(asin(abs(y) / distance)) < 28
            ahead = quaternion_to_matrix(state.eye_rotation) @ [0, 0, -1]
            assert ahead @ (-state.eye_position / distance) > 0.99


def test_frames_of_a_sequence_are_close() -> None:
    for seed in range(12):
        states = sequence(seed)
        for before, after in pairwise(states):
            assert np.linalg.norm(after.eye_position - before.eye_position) < 0.1
            assert np.linalg.norm(after.head_rotation - before.head_rotation) < 0.1


@pytest.mark.parametrize("kind", ["random", "calm"])
def test_expressions_stay_between_zero_and_one_and_move(kind: str) -> None:
    make = getattr(Expressions(NAMES), kind)
    values = np.stack([make(np.random.default_rng(seed), FRAMES) for seed in range(30)])
    assert values.shape == (30, FRAMES, len(NAMES))
    assert values.dtype == np.float32
    assert values.min() == 0
    assert values.max() <= 1
    assert np.ptp(values, axis=1).max(0).min() > 0.05  # every coefficient moves in some sequence


def test_a_path_is_smooth_and_bounded() -> None:
    path = smooth_path(np.random.default_rng(1), 200, 3, 20, spread=2.0)
    assert np.abs(path).max() <= 1
    assert np.abs(np.diff(path, axis=0)).max() < 0.16  # 1.5 / knot_frames, times the span of 2


def test_columns_of_a_recording_are_matched_by_name(tmp_path: Path) -> None:
    path = tmp_path / "face.csv"
    path.write_text("Timecode,MouthSmileLeft,JawOpen,HeadYaw\n0,0.25,0.5,1\n0.0333,1.75,-0.5,1\n")
    values = read_recording(path, NAMES)
    assert values.shape == (2, len(NAMES))
    assert values[:, NAMES.index("mouthSmileLeft")].tolist() == [0.25, 1.0]
    assert values[:, NAMES.index("jawOpen")].tolist() == [0.5, 0.0]
    assert values[:, NAMES.index("eyeBlinkLeft")].tolist() == [0, 0]


@pytest.mark.parametrize("rate", [60, 24, 30, 29.97])
def test_a_recording_keeps_its_speed_and_unused_columns_are_reported(
    tmp_path: Path, rate: float
) -> None:
    path, notes = tmp_path / "face.csv", list[str]()
    rows = "".join(f"{row / rate},{row / rate / 4},7\n" for row in range(round(rate * 2)))
    path.write_text("Time,JawOpen,Wobble\n" + rows)
    values = read_recording(path, NAMES, notes.append)
    assert 58 <= len(values) <= 60
    speed = np.diff(values[:, NAMES.index("jawOpen")]) * 30
    assert np.allclose(speed, 1 / 4, rtol=0.002)
    changed = [f"{rate} rows per second become 30 frames per second"] if rate in (60, 24) else []
    assert notes == ["not used: Wobble", *changed]


def test_a_recording_that_would_become_too_long_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "face.csv"
    path.write_text("Time,JawOpen\n" + "".join(f"{h:02}:00:00.000,0\n" for h in range(12)))
    with pytest.raises(RecordingError, match=r"at most 1000000 frames .* 0\.000278 rows/s"):
        read_recording(path, NAMES)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "names no expression"),
        ("Timecode,Other\n0,1\n", "names no expression"),
        ("JawOpen\nwide\n", "not a readable recording"),
        ("JawOpen\nnan\n", "not finite"),
    ],
)
def test_a_broken_recording_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "face.csv"
    path.write_text(text)
    with pytest.raises(RecordingError, match=complaint):
        read_recording(path, NAMES)


def test_a_missing_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"none\.csv is not a readable recording"):
        read_recording(tmp_path / "none.csv", NAMES)
