from dataclasses import replace

import numpy as np
import pytest

from models.contract.frame_state import FrameState
from models.geometry.camera import (
    look_at,
    matrix_to_quaternion,
    quaternion_to_matrix,
    quaternion_to_rotation_vector,
    rotation_vector_to_quaternion,
    to_screen,
)


def test_a_quarter_turn_about_y_takes_z_to_x() -> None:
    turn = rotation_vector_to_quaternion(np.array([0, np.pi / 2, 0]))
    np.testing.assert_allclose(quaternion_to_matrix(turn) @ [0, 0, 1], [1, 0, 0], atol=1e-6)


@pytest.mark.parametrize(
    "vector", [[0.3, -0.2, 0.5], [0, 0, 0], [1e-7, 0, 0], [0, 3.1, 0]], ids=str
)
def test_rotation_vectors_round_trip_through_quaternions(vector: list[float]) -> None:
    back = quaternion_to_rotation_vector(rotation_vector_to_quaternion(np.array(vector)))
    np.testing.assert_allclose(back, vector, atol=1e-6)


@pytest.mark.parametrize("angle", [0, 0.7, 2.5, 3.1, np.pi, 3.5, 6.2])
@pytest.mark.parametrize("axis", [[1, 0, 0], [0, 1, 0], [0, 0, -1], [0.6, -0.64, 0.48]], ids=str)
def test_matrices_round_trip_through_quaternions(axis: list[float], angle: float) -> None:
    matrix = quaternion_to_matrix(rotation_vector_to_quaternion(angle * np.array(axis)))
    quaternion = matrix_to_quaternion(matrix)
    back = quaternion_to_matrix(quaternion.astype(np.float32))
    np.testing.assert_allclose(back, matrix, atol=3e-7)  # of single precision
    assert np.linalg.norm(quaternion) == pytest.approx(1, abs=1e-14)
    assert quaternion[3] >= 0


def test_a_matrix_that_is_no_rotation_gives_the_quaternion_of_the_nearest_one() -> None:
    turn = rotation_vector_to_quaternion(np.array([0, 0.4, 0]))
    stretched = quaternion_to_matrix(turn) * 1.02
    np.testing.assert_allclose(matrix_to_quaternion(stretched), turn, atol=1e-7)


def test_both_quaternions_of_a_rotation_give_the_shorter_rotation() -> None:
    quaternion = rotation_vector_to_quaternion(np.array([0.4, 0, 0]))
    np.testing.assert_allclose(quaternion_to_rotation_vector(-quaternion), [0.4, 0, 0], atol=1e-6)


def test_a_camera_that_looks_at_a_point_projects_it_to_the_centre(front: FrameState) -> None:
    eye, target = np.array([0.3, 0.2, 0.7]), np.array([0.02, -0.05, 0.01])
    state = replace(front, eye_position=eye.astype(np.float32), eye_rotation=look_at(eye, target))
    x, y, inverse = to_screen(target[None], state, 100, 100)[0]
    assert (x, y) == (pytest.approx(50, abs=1e-3), pytest.approx(50, abs=1e-3))
    assert 1 / inverse == pytest.approx(np.linalg.norm(eye - target), rel=1e-5)


def test_points_to_the_right_and_up_project_there_and_behind_the_eye_are_culled(
    front: FrameState,
) -> None:
    points = np.array([[0.1, 0, 0], [0, 0.1, 0], [0, 0, 1.0]])
    right, up, behind = to_screen(points, front, 100, 100)
    assert right[0] > 50
    assert right[1] == pytest.approx(50)
    assert up[1] < 50
    assert behind[2] == 0
