"""The renderer's input for one frame: pose and shape of the head, and the viewer's camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.contract.avatar_info import AvatarInfo

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FrameState:
    """Everything that determines one frame.

    Axes and quaternions follow the conventions of `geometry/camera.py`.
    """

    head_rotation: FloatArray
    """(4,) quaternion `[x, y, z, w]`, head space to world."""
    head_translation: FloatArray
    """(3,) metres."""
    expression: FloatArray
    """(E,) coefficients in the avatar's order and range: 0..1, for FLAME heads
    `geometry.flame.COEFFICIENT_RANGE`."""
    eye_rotation: FloatArray
    """(4,) quaternion, camera space to world; the camera looks down its -Z."""
    eye_position: FloatArray
    """(3,) metres, world."""
    fov_y_rad: float
    """Full vertical field of view of the square frame, radians."""
    vertices: FloatArray | None = None
    """(V, 3) metres, posed in head space; replaces `expression` where given."""

    def same_image(self, other: FrameState) -> bool:
        """Return whether both states have equal values, so that their images are equal."""
        return (
            self.fov_y_rad == other.fov_y_rad
            and _equal(self.eye_position, other.eye_position)
            and _equal(self.eye_rotation, other.eye_rotation)
            and _equal(self.head_rotation, other.head_rotation)
            and _equal(self.head_translation, other.head_translation)
            and _equal(self.expression, other.expression)
            and _equal(self.vertices, other.vertices)
        )


def _equal(one: FloatArray | None, other: FloatArray | None) -> bool:
    # Arrays of states are never changed in place. Frames of one mesh frame share its arrays, so
    # most are not compared.
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


def neutral_state(
    expressions: int, eye_position: tuple[float, float, float], fov_y_rad: float
) -> FrameState:
    """Return the state of the neutral face, upright at the origin.

    The camera is at `eye_position` and looks down -Z.

    Args:
        expressions: Number of coefficients, E.
        eye_position: Metres, world.
        fov_y_rad: Full vertical field of view.
    """
    identity = np.array([0, 0, 0, 1], np.float32)
    return FrameState(
        head_rotation=identity,
        head_translation=np.zeros(3, np.float32),
        expression=np.zeros(expressions, np.float32),
        eye_rotation=identity,
        eye_position=np.asarray(eye_position, np.float32),
        fov_y_rad=fov_y_rad,
    )


def default_state(avatar: AvatarInfo) -> FrameState:
    """Return the neutral face of an avatar in its default view."""
    return neutral_state(len(avatar.expression_names), avatar.eye_position, avatar.fov_y_rad)
