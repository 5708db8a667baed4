"""A frame's numbers as FLAME has them: what the paper's networks were told of each frame.

FLAME's axes are ours. Its pose is what a camera sees, so the camera's own turn goes into it. The
camera was weak-perspective and looked at a crop of unknown size; so an avatar's default view is
taken for the mean of those the networks were trained with, and others by how they differ from it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from models.avatar.folder import Avatar
from models.avatar.manifest import Manifest
from models.contract.channels import CAMERA_SIZE, POSE_SIZE
from models.contract.frame_state import FloatArray, FrameState, neutral_state
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

ConditioningFunction = Callable[[FrameState], FloatArray]
"""From a state to its numbers (K,)."""


def conditioning_function(avatar: Avatar) -> ConditioningFunction:
    """How the frames of an avatar are described to its networks."""
    networks = avatar.networks
    if not isinstance(networks, FlamePaperNetworks):
        return compute_conditioning
    camera = networks.numbers_mean[POSE_SIZE : POSE_SIZE + CAMERA_SIZE].cpu().numpy()
    return FlameConditioning(avatar.head, avatar.manifest, camera)


class FlameConditioning:
    """Describes frames of a FLAME head.

    Args:
        head: A FLAME head.
        manifest: Whose default view is the camera's mean.
        camera: (3,) that mean: scale, shift right and up.
    """

    def __init__(self, head: Head, manifest: Manifest, camera: NDArray[np.floating]) -> None:
        order = {name: index for index, name in enumerate(head.expression_names)}
        self._expression = np.array([order[name] for name in EXPRESSION_NAMES])
        self._jaw = np.array([order[name] for name in JAW_COEFFICIENTS])
        self._root = head.joint_positions[0].astype(np.float64)
        neutral = neutral_state(len(order), manifest.eye_position, manifest.fov_y_rad)
        self._camera, self._usual = camera.astype(np.float64), self._weak_perspective(neutral)

    def __call__(self, state: FrameState) -> FloatArray:
        """(59,) pose, camera, expression."""
        turn = relative_rotation_vector(state.eye_rotation, state.head_rotation)
        scale, right, up = self._weak_perspective(state)
        camera = [
            self._camera[0] * scale / self._usual[0],
            self._camera[1] + right - self._usual[1],
            self._camera[2] + up - self._usual[2],
        ]
        jaw, expression = state.expression[self._jaw], state.expression[self._expression]
        return np.concatenate([turn, jaw, camera, expression]).astype(np.float32)

    def _weak_perspective(self, state: FrameState) -> tuple[float, float, float]:
        """Scale in half pictures per metre, and metres right and up that FLAME's root is shifted.

        So that the head's origin lies where the state's camera sees it.
        """
        rotation, translation = world_to_camera(state)
        seen = rotation @ np.asarray(state.head_translation, np.float64) + translation
        scale = focal_px(state.fov_y_rad, 2) / max(-seen[2], 1e-6)
        # FLAME turns the head about its root, which stays where it is.
        turn = rotation @ quaternion_to_matrix(state.head_rotation)
        shift = seen + turn @ self._root - self._root
        return scale, float(shift[0]), float(shift[1])
