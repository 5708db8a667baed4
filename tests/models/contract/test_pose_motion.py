"""Poses are expected where their movement leads, and where they are when it has ended."""

from dataclasses import replace

import numpy as np
import pytest

from models.contract.frame_state import FloatArray, neutral_state
from models.contract.pose_motion import (
    MAX_AHEAD_S,
    MAX_MOVE_M,
    MAX_TURN_RAD,
    WINDOW_S,
    TimedPose,
    expected_pose,
    expected_state,
)
from models.geometry.camera import quaternion_to_rotation_vector, rotation_vector_to_quaternion

FRAME_S = 1 / 30
AXIS = np.array([0.6, 0.0, 0.8])


def pose(at_s: float, turn_rad: float, move_m: float) -> TimedPose:
    rotation = rotation_vector_to_quaternion(AXIS * turn_rad)
    return TimedPose(at_s, rotation, np.array([move_m, 0.0, 0.5], np.float32))


def turn_of(rotation: FloatArray) -> float:
    return float(quaternion_to_rotation_vector(rotation) @ AXIS)


def moving(rad_s: float, m_s: float, interval_s: float = FRAME_S) -> list[TimedPose]:
    """Return poses of a head that turns and moves evenly, the newest at time 0 at the origin."""
    times = [-interval_s * frame for frame in reversed(range(30))]
    return [pose(at_s, at_s * rad_s, at_s * m_s) for at_s in times]


@pytest.mark.parametrize("interval_s", [0.004, 1 / 60, 1 / 30])
def test_an_even_movement_continues_at_its_speed(interval_s: float) -> None:
    _, rotation, position = expected_pose(moving(1.0, 0.3, interval_s), 0.03, 0.1)
    assert turn_of(rotation) == pytest.approx(0.13, rel=0.02)
    np.testing.assert_allclose(position, [0.039, 0.0, 0.5], atol=1e-4)
    assert np.linalg.norm(rotation) == pytest.approx(1, abs=1e-6)
    assert rotation.dtype == position.dtype == np.float32


def test_the_sign_of_a_quaternion_does_not_matter() -> None:
    last = pose(FRAME_S, 0.03, 0.0)
    poses = [pose(0.0, 0.0, 0.0), last._replace(rotation=-last.rotation)]
    expected = expected_pose(poses, FRAME_S, FRAME_S)
    assert turn_of(expected.rotation) == pytest.approx(0.06, rel=0.01)


def test_what_rests_keeps_its_arrays() -> None:
    poses = [pose(frame * FRAME_S, 0.2, 0.1) for frame in range(4)]
    assert expected_pose(poses, poses[-1].at_s, 0.1) is poses[-1]
    turning = moving(1.0, 0.0)
    assert expected_pose(turning, 0.0, 0.1).position is turning[-1].position


def test_a_movement_ends_when_no_more_poses_come() -> None:
    poses = moving(1.0, 0.3)
    assert expected_pose(poses, WINDOW_S * 1.01, 0.1) is poses[-1]
    poses.append(pose(1.0, 0.4, 0.0))  # one pose after a pause has no velocity
    assert expected_pose(poses, 1.0, 0.1) is poses[-1]


def test_a_cut_to_another_pose_is_no_movement() -> None:
    for elsewhere in (pose(FRAME_S, 1.0, 0.0), pose(FRAME_S, 0.0, 0.5)):
        assert expected_pose([*moving(0.5, 0.1), elsewhere], FRAME_S, 0.1) is elsewhere


def test_what_is_expected_is_near_the_newest_pose() -> None:
    poses = moving(8.0, 3.0)
    _, rotation, position = expected_pose(poses, 0.0, 0.2)
    assert 0.9 * MAX_TURN_RAD < turn_of(rotation) <= MAX_TURN_RAD * 1.001
    assert float(position[0]) == pytest.approx(MAX_MOVE_M)
    late = expected_pose(moving(0.5, 0.0), 0.0, 5.0)
    assert turn_of(late.rotation) == pytest.approx(0.5 * MAX_AHEAD_S, rel=0.02)


def test_head_and_eye_of_a_state_move_each_by_itself() -> None:
    state = neutral_state(3, (0.0, 0.0, 0.7), 0.5)
    rest = [TimedPose(t * FRAME_S, state.head_rotation, state.head_translation) for t in range(4)]
    eyes = [
        TimedPose(t * FRAME_S, state.eye_rotation, np.array([0.01 * t, 0.0, 0.7], np.float32))
        for t in range(4)
    ]
    state, now_s = replace(state, eye_position=eyes[-1].position), eyes[-1].at_s
    expected = expected_state(state, rest, eyes, now_s, 2 * FRAME_S)
    np.testing.assert_allclose(expected.eye_position, [0.05, 0.0, 0.7], atol=1e-6)
    assert expected.head_rotation is state.head_rotation
    assert expected.expression is state.expression
    assert expected_state(state, rest, eyes, 1.0, 0.1) is state
    assert expected_state(state, [], [], now_s, 0.1) is state


def test_poses_of_something_else_than_what_is_shown_do_not_move_it() -> None:
    state, poses = neutral_state(3, (0.0, 0.0, 0.7), 0.5), moving(1.0, 0.3)
    assert expected_state(state, poses, poses, 0.0, 0.1) is state
