"""The few numbers of a frame that networks get beside its pictures: pose, camera, expression."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.geometry.camera import (
    focal_px,
    quaternion_to_matrix,
    quaternion_to_rotation_vector,
    world_to_camera,
)
from models.state import FloatArray, FrameState

POSE = 6
CAMERA = 3


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


def describe(state: FrameState) -> FloatArray:
    """One frame's numbers.

    Returns:
        (9 + E,) pose, camera, expression; `from_flat` takes a batch of them.
    """
    to_eye = np.asarray(state.eye_position, np.float64) - state.head_translation
    distance = max(float(np.linalg.norm(to_eye)), 1e-6)
    local = quaternion_to_matrix(state.head_rotation).T @ to_eye / distance
    turn = quaternion_to_rotation_vector(state.head_rotation)
    rotation, translation = world_to_camera(state)
    seen = rotation @ np.asarray(state.head_translation, np.float64) + translation
    scale = focal_px(state.fov_y_rad, 2) / max(-seen[2], 1e-6)
    camera = [seen[0] * scale, -seen[1] * scale, np.log(distance)]
    return np.concatenate([local, turn, camera, state.expression]).astype(np.float32)


def from_flat(numbers: Tensor) -> Conditioning:
    """Name the parts of (B, 9 + E) numbers made by `describe`."""
    return Conditioning(
        numbers[:, :POSE], numbers[:, POSE : POSE + CAMERA], numbers[:, POSE + CAMERA :]
    )
