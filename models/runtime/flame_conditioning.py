"""The conditioning of a frame in FLAME's parameters, as the published networks expect it.

FLAME's axes are ours. Its pose is relative to the camera, so the camera's rotation is part of it.
Its camera is weak-perspective, of a crop of unknown size; therefore an avatar's default view is
mapped to the mean of the camera parameters in training, and other views by their difference to it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.avatar.folder import Avatar
from models.avatar.manifest import Manifest
from models.contract.channels import CAMERA_SIZE, POSE_SIZE
from models.contract.frame_state import FloatArray, FrameState, default_state
from models.geometry.camera import (
    focal_px,
    quaternion_to_matrix,
    relative_rotation_vector,
    world_to_camera,
)
from models.geometry.flame import EXPRESSION_NAMES
from models.geometry.head import Head
from models.geometry.jaw import JAW_COEFFICIENTS
from models.networks.avatar_networks import FlamePaperNetworks
from models.networks.conditioning import compute_conditioning

_TINY_M = 1e-6
"""Least depth that is divided by."""

ConditioningFunction = Callable[[FrameState], FloatArray]
"""Maps a state to its conditioning vector (K,)."""


def conditioning_function(avatar: Avatar) -> ConditioningFunction:
    """Return the function that computes the conditioning for an avatar's networks."""
    networks = avatar.networks
    if not isinstance(networks, FlamePaperNetworks):
        return compute_conditioning
    camera = networks.numbers_mean[POSE_SIZE : POSE_SIZE + CAMERA_SIZE].cpu().numpy()
    return FlameConditioning(avatar.head, avatar.manifest, camera)


class FlameConditioning:
    """Computes the conditioning of frames of a FLAME head.

    Args:
        head: A FLAME head.
        manifest: Gives the default view, which is mapped to the mean camera.
        camera: (3,) mean camera parameters in training: scale, shift right and up.
    """

    def __init__(self, head: Head, manifest: Manifest, camera: NDArray[np.floating]) -> None:
        order = {name: index for index, name in enumerate(head.expression_names)}
        self._expression = np.array([order[name] for name in EXPRESSION_NAMES])
        self._jaw = np.array([order[name] for name in JAW_COEFFICIENTS])
        self._root = head.joint_positions[0].astype(np.float64)
        neutral = default_state(manifest)
        self._camera, self._default = camera.astype(np.float64), self._weak_perspective(neutral)

    def __call__(self, state: FrameState) -> FloatArray:
        """Return (59,): pose, camera, expression."""
        rotation = relative_rotation_vector(state.eye_rotation, state.head_rotation)
        scale, right, up = self._weak_perspective(state)
        # Relative to the default view: scale is a ratio, shifts are differences.
        camera = [
            self._camera[0] * scale / self._default[0],
            self._camera[1] + right - self._default[1],
            self._camera[2] + up - self._default[2],
        ]
        jaw, expression = state.expression[self._jaw], state.expression[self._expression]
        return np.concatenate([rotation, jaw, camera, expression]).astype(np.float32)

    def _weak_perspective(self, state: FrameState) -> tuple[float, float, float]:
        """Approximate a state's camera by a weak-perspective one.

        The head's origin is at the same position of the image with both.

        Returns:
            Scale in half images per metre, and the shift of FLAME's root to the right and up,
            metres.
        """
        rotation, translation = world_to_camera(state)
        centre = rotation @ np.asarray(state.head_translation, np.float64) + translation
        scale = focal_px(state.fov_y_rad, 2) / max(-centre[2], _TINY_M)
        # FLAME rotates the head about its root joint, whose position does not change.
        head = rotation @ quaternion_to_matrix(state.head_rotation)
        shift = centre + head @ self._root - self._root
        return scale, float(shift[0]), float(shift[1])
