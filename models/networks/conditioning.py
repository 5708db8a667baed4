"""The few numbers of a frame that networks get beside its pictures: pose, camera, expression."""

from __future__ import annotations

from math import log, sqrt
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.contract.channels import CAMERA_SIZE, POSE_SIZE
from models.contract.frame_state import FloatArray, FrameState
from models.geometry.camera import (
    focal_px,
    quaternion_to_matrix,
    quaternion_to_rotation_vector,
)


class Conditioning(NamedTuple):
    """A batch of frames' numbers."""

    pose: Tensor
    """(B, 6): direction from head to eye in head space, then the head's turn in the world as a
    rotation vector (the paper's six are FLAME's; the first three go through spherical harmonics
    there too)."""
    camera: Tensor
    """(B, 3): where the head's origin is on screen, -1..1 to the right and down, and the logarithm
    of its distance in metres."""
    expression: Tensor
    """(B, E) coefficients."""

    def flat(self) -> Tensor:
        """(B, 9 + E): all of them in a row."""
        return torch.cat([self.pose, self.camera, self.expression], dim=1)


def compute_conditioning(state: FrameState) -> FloatArray:
    """One frame's numbers.

    Returns:
        (9 + E,) pose, camera, expression; `split_conditioning` takes a batch of them.
    """
    # Few numbers, hence plain floats: see `quaternion_to_matrix`.
    head, eye = state.head_translation.tolist(), state.eye_position.tolist()
    to_eye = [e - h for e, h in zip(eye, head, strict=True)]
    distance = max(sqrt(sum(d * d for d in to_eye)), 1e-6)
    local = _turned_back(quaternion_to_matrix(state.head_rotation), to_eye)
    seen = _turned_back(quaternion_to_matrix(state.eye_rotation), [-d for d in to_eye])
    scale = focal_px(state.fov_y_rad, 2) / max(-seen[2], 1e-6)
    camera = (seen[0] * scale, -seen[1] * scale, log(distance))
    turn = quaternion_to_rotation_vector(state.head_rotation)
    numbers = np.empty(POSE_SIZE + CAMERA_SIZE + len(state.expression), np.float32)
    numbers[: POSE_SIZE + CAMERA_SIZE] = *(part / distance for part in local), *turn, *camera
    numbers[POSE_SIZE + CAMERA_SIZE :] = state.expression
    return numbers


def _turned_back(matrix: NDArray[np.float64], vector: list[float]) -> list[float]:
    """The transposed (3, 3) matrix times a vector."""
    rows = matrix.tolist()
    return [sum(rows[i][k] * vector[i] for i in range(3)) for k in range(3)]


def split_conditioning(numbers: Tensor) -> Conditioning:
    """Name the parts of (B, 9 + E) numbers made by `compute_conditioning`."""
    return Conditioning(
        numbers[:, :POSE_SIZE],
        numbers[:, POSE_SIZE : POSE_SIZE + CAMERA_SIZE],
        numbers[:, POSE_SIZE + CAMERA_SIZE :],
    )
