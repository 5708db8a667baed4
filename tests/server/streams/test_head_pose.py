"""Head poses from angles: directions and order of rotations, and their centre."""

from __future__ import annotations

import numpy as np
import pytest

from models.geometry.camera import quaternion_to_matrix
from server.streams.head_pose import NECK_M, head_rotation, neck_fixed

LEFT, UP, OUT = np.eye(3)


@pytest.mark.parametrize(
    ("angles", "axis", "towards"),
    [
        ((0.3, 0.0, 0.0), OUT, LEFT),  # a positive yaw turns the nose to the face's left
        ((0.0, 0.3, 0.0), OUT, -UP),  # a positive pitch lowers it
        ((0.0, 0.0, 0.3), UP, -LEFT),  # a positive roll tips the crown to the right shoulder
    ],
)
def test_each_angle_rotates_the_head_in_its_direction(
    angles: tuple[float, float, float],
    axis: np.ndarray[tuple[int], np.dtype[np.float64]],
    towards: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    turned = quaternion_to_matrix(head_rotation(*angles)) @ axis
    assert turned @ towards == pytest.approx(np.sin(0.3), abs=1e-6)


def test_roll_is_applied_first_then_pitch_then_yaw() -> None:
    yaw, pitch, roll = 0.4, -0.2, 0.3
    together = quaternion_to_matrix(head_rotation(yaw, pitch, roll))
    parts = [
        quaternion_to_matrix(head_rotation(*angles))
        for angles in ((yaw, 0.0, 0.0), (0.0, pitch, 0.0), (0.0, 0.0, roll))
    ]
    assert np.allclose(together, parts[0] @ parts[1] @ parts[2], atol=1e-6)


def test_the_base_of_the_neck_stays_in_place() -> None:
    rotation = head_rotation(0.5, 0.2, -0.1)
    neck = quaternion_to_matrix(rotation) @ NECK_M + neck_fixed(rotation)
    assert np.allclose(neck, NECK_M, atol=1e-6)
    shifted = quaternion_to_matrix(rotation) @ NECK_M + neck_fixed(rotation, (0.01, 0.0, -0.02))
    assert np.allclose(shifted - NECK_M, (0.01, 0.0, -0.02), atol=1e-6)
