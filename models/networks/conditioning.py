"""The conditioning of a frame: pose, camera and expression as a short vector for the networks."""

from __future__ import annotations

from math import log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.contract.channels import CAMERA_SIZE, POSE_SIZE
from models.contract.frame_state import FloatArray, FrameState
from models.geometry.camera import (
    focal_px,
    quaternion_to_matrix,
    quaternion_to_rotation_vector,
)

_TINY_M = 1e-6
"""Least distance that is divided by: an eye inside the head's origin gives no infinities."""


class Conditioning(NamedTuple):
    """The conditioning of a batch of frames, by its parts."""

    pose: Tensor
    """(B, 6): unit direction from head to eye in head space, then the head's rotation vector in the
    world, radians. The paper has FLAME's pose instead, and applies spherical harmonics to its first
    three values too."""
    camera: Tensor
    """(B, 3): position of the head's origin on screen, -1..1 to the right and down, and the natural
    logarithm of its distance in metres."""
    expression: Tensor
    """(B, E) coefficients."""


def compute_conditioning(state: FrameState) -> FloatArray:
    """Compute the conditioning vector of a frame.

    Returns:
        (9 + E,) pose, camera, expression; `split_conditioning` takes a batch of them.
    """
    # Plain floats: numpy needs a microsecond per operation, as long as all of this.
    head, eye = state.head_translation.tolist(), state.eye_position.tolist()
    to_eye = [e - h for e, h in zip(eye, head, strict=True)]
    distance = max(sqrt(sum(d * d for d in to_eye)), _TINY_M)
    local = _rotate_inverse(quaternion_to_matrix(state.head_rotation), to_eye)
    head_in_camera = _rotate_inverse(quaternion_to_matrix(state.eye_rotation), [-d for d in to_eye])
    # The focal length of an image 2 pixels high gives screen positions in -1..1.
    scale = focal_px(state.fov_y_rad, 2) / max(-head_in_camera[2], _TINY_M)
    camera = (head_in_camera[0] * scale, -head_in_camera[1] * scale, log(distance))
    rotation = quaternion_to_rotation_vector(state.head_rotation)
    vector = np.empty(POSE_SIZE + CAMERA_SIZE + len(state.expression), np.float32)
    vector[: POSE_SIZE + CAMERA_SIZE] = *(part / distance for part in local), *rotation, *camera
    vector[POSE_SIZE + CAMERA_SIZE :] = state.expression
    return vector


def _rotate_inverse(matrix: NDArray[np.float64], vector: list[float]) -> list[float]:
    """Multiply the transpose of a (3, 3) rotation matrix by a vector."""
    rows = matrix.tolist()
    return [sum(rows[i][k] * vector[i] for i in range(3)) for k in range(3)]


def split_conditioning(vector: Tensor) -> Conditioning:
    """Split (B, 9 + E) vectors of `compute_conditioning` into their parts."""
    return Conditioning(
        vector[:, :POSE_SIZE],
        vector[:, POSE_SIZE : POSE_SIZE + CAMERA_SIZE],
        vector[:, POSE_SIZE + CAMERA_SIZE :],
    )
