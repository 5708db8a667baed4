"""The idle animation: natural movements, and a pure function of seed and time."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from server.pool.fake import EXPRESSION_NAMES, fake_avatar
from server.protocol.states import neutral_mesh
from server.streams.head_pose import NECK_M
from server.streams.idle_animation import (
    BLINK_CLOSE_S,
    BLINK_OPEN_S,
    Face,
    IdleAnimation,
    blend,
    run_idle_animation,
    to_mesh,
)
from server.streams.streams import Stream, Streams

FPS = 60
MINUTES = 4


@pytest.fixture(scope="module")
def faces() -> list[Face]:
    animation = IdleAnimation(seed=3)
    return [animation.at(frame / FPS) for frame in range(FPS * 60 * MINUTES)]


def curve(faces: list[Face], name: str) -> np.ndarray:
    return np.array([face.expression[name] for face in faces])


def angles_deg(face: Face) -> tuple[float, float, float]:
    """Return yaw (to the face's left), pitch (down) and roll, degrees."""
    x, y, z, w = (float(part) for part in face.head_rotation)
    forward = 2 * (x * z + y * w), 2 * (y * z - x * w), 1 - 2 * (x * x + y * y)
    roll = np.arctan2(2 * (x * y + z * w), 1 - 2 * (x * x + z * z))
    yaw, pitch = np.arctan2(forward[0], forward[2]), np.arcsin(-forward[1])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def test_the_same_seed_and_time_give_the_same_face_in_any_order() -> None:
    times = [0.0, 7.3, 3.1, 600.5, 3.1]
    first, second = IdleAnimation(5), IdleAnimation(5)
    expected = {t: to_mesh(first.at(t), EXPRESSION_NAMES, 0) for t in sorted(times)}
    for t in times:
        got = to_mesh(second.at(t), EXPRESSION_NAMES, 0)
        assert np.array_equal(got.expression, expected[t].expression)
        assert np.array_equal(got.head_rotation, expected[t].head_rotation)
        assert np.array_equal(got.head_translation, expected[t].head_translation)


def test_another_seed_gives_different_movements() -> None:
    one, other = IdleAnimation(1).at(10.0), IdleAnimation(2).at(10.0)
    assert not np.allclose(one.head_rotation, other.head_rotation, atol=1e-4)


def test_every_face_is_valid(faces: list[Face]) -> None:
    for face in faces[::7]:
        assert set(face.expression) <= set(EXPRESSION_NAMES)
        assert all(0 <= value <= 1 for value in face.expression.values())
        assert np.linalg.norm(face.head_rotation) == pytest.approx(1, abs=1e-5)


def test_it_blinks_at_the_human_rate_and_irregularly(faces: list[Face]) -> None:
    closed = curve(faces, "eyeBlinkLeft") > 0.5
    begins = np.flatnonzero(closed[1:] & ~closed[:-1]) / FPS
    assert 10 <= len(begins) / MINUTES <= 25
    gaps = np.diff(begins)
    assert gaps.std() > 0.8
    assert gaps.max() < 9
    assert any(gap < 0.6 for gap in gaps), "no double blink"
    durations = [np.flatnonzero(~closed[int(begin * FPS) + 1 :])[0] / FPS for begin in begins]
    assert max(durations) < BLINK_CLOSE_S + BLINK_OPEN_S


def test_both_eyes_blink_at_once(faces: list[Face]) -> None:
    assert np.array_equal(curve(faces, "eyeBlinkLeft"), curve(faces, "eyeBlinkRight"))
    assert curve(faces, "eyeBlinkLeft").max() > 0.9


def test_the_head_moves_a_little_slowly_and_without_jumps(faces: list[Face]) -> None:
    angles = np.array([angles_deg(face) for face in faces])
    largest = np.abs(angles).max(axis=0)
    assert (largest < (9, 4, 2.5)).all()
    assert (largest > (3, 1, 0.8)).all()
    speed = np.abs(np.diff(angles, axis=0)) * FPS
    assert (speed.max(axis=0) < (16, 8, 4)).all()


def test_the_head_turns_about_the_base_of_the_neck(faces: list[Face]) -> None:
    for face in faces[::97]:
        axis, w = face.head_rotation[:3].astype(float), float(face.head_rotation[3])
        neck = np.array(NECK_M)
        twice = 2 * np.cross(axis, neck)
        turned = neck + w * twice + np.cross(axis, twice) + face.head_translation
        assert np.linalg.norm(turned - neck) < 0.005  # movements of sway and breathing


def test_the_eyes_mostly_stay_on_the_viewer_during_head_movements(faces: list[Face]) -> None:
    on_viewer = 0
    for face in faces[::5]:
        yaw, pitch, _ = angles_deg(face)
        e = face.expression
        # Mean rotation of both eyes, to the face's left and down, as the head file defines it.
        left = (e["eyeLookOutLeft"] - e["eyeLookInLeft"]) * 24
        right = (e["eyeLookInRight"] - e["eyeLookOutRight"]) * 24
        down = (e["eyeLookDownLeft"] - e["eyeLookUpLeft"]) * 17.2
        on_viewer += abs(yaw + (left + right) / 2) < 3 and abs(pitch + down) < 3
    assert 0.65 < on_viewer / len(faces[::5]) < 0.97


def test_glances_are_quick_and_fixations_are_still(faces: list[Face]) -> None:
    look = curve(faces, "eyeLookOutLeft") - curve(faces, "eyeLookInLeft")
    moving = np.abs(np.diff(look)) > 0.03
    assert 0.002 < moving.mean() < 0.1
    runs = np.split(moving, np.flatnonzero(np.diff(moving)) + 1)
    assert max(len(run) for run in runs if run[0]) <= 6


def test_it_smiles_occasionally_and_slightly(faces: list[Face]) -> None:
    smile = curve(faces, "mouthSmileLeft")
    smiling = smile > 0.15
    assert 3 <= (smiling[1:] & ~smiling[:-1]).sum() <= 20
    assert smile.max() < 0.5
    assert np.abs(np.diff(smile)).max() * FPS < 1.0


def test_coefficients_are_mapped_by_name_to_the_avatars_order() -> None:
    face = Face(np.zeros(4, np.float32), np.zeros(3, np.float32), {"jawOpen": 0.5, "unknown": 1})
    assert to_mesh(face, ("mouthClose", "jawOpen"), 9).expression.tolist() == [0.0, 0.5]


def test_blending_takes_the_shortest_rotation_from_one_face_to_the_other() -> None:
    before = replace(
        neutral_mesh(fake_avatar()),
        head_rotation=np.array([0, -0.6, 0, -0.8], np.float32),
        expression=np.full(52, 1.0, np.float32),
    )
    after = neutral_mesh(fake_avatar())
    half = blend(before, after, 0.5)
    assert half.expression.tolist() == [0.5] * 52
    assert np.linalg.norm(half.head_rotation) == pytest.approx(1, abs=1e-6)
    turn = 2 * np.degrees(np.arccos(abs(half.head_rotation[3])))
    assert turn == pytest.approx(np.degrees(np.arctan2(0.6, 0.8)), abs=0.1)
    assert blend(before, after, 1.0) is after


async def test_it_animates_until_a_publisher_sends_and_resumes_from_the_publishers_face() -> None:
    stream = Stream("demo", fake_avatar())
    stream.watchers.append(lambda: None)
    task = asyncio.ensure_future(run_idle_animation(stream, fps=100))
    await asyncio.sleep(0.1)
    idle = stream.counters.idle
    assert idle > 4
    surprised = replace(
        neutral_mesh(stream.avatar),
        received_at=time.monotonic() - 1.9,
        expression=np.full(52, 0.8, np.float32),
    )
    stream.publish(surprised)
    await asyncio.sleep(0.05)
    assert stream.counters.idle == idle
    assert stream.newest is surprised
    await asyncio.sleep(0.1)
    assert stream.counters.idle > idle
    assert stream.newest.expression.min() > 0.6, "jumped back instead of continuing"
    stream.deleted = True
    await asyncio.wait_for(task, 2)


async def test_the_idle_animation_ends_with_its_stream_and_pauses_without_viewers() -> None:
    streams = Streams({"default": fake_avatar()})
    stream = streams.create("default", "demo")
    task = asyncio.ensure_future(run_idle_animation(stream, fps=1000))
    await asyncio.sleep(0.1)
    assert stream.counters.idle == 1
    streams.delete("demo")
    await asyncio.wait_for(task, 2)


def test_consecutive_frames_are_smooth(faces: list[Face]) -> None:
    steps = [
        float(np.abs(after.head_translation - before.head_translation).max())
        for before, after in pairwise(faces[: FPS * 60])
    ]
    assert max(steps) * FPS < 0.05
