"""The renderer's input for one frame: pose and shape of the head, and the viewer's camera."""

from __future__ import annotations

from dataclasses import dataclass
from math import tan
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.contract.avatar_info import AvatarInfo

FloatArray = NDArray[np.float32]

FACE_CENTRE_M = (0.0, -0.045, -0.01)
"""Middle of the face in head space."""
FACE_HALF_WIDTH_M, FACE_HALF_HEIGHT_M = 0.066, 0.095
"""Half of the face, from ear to ear and from the hairline to the throat. With the centre, measured
on the shipped heads: in random poses the rectangle overlaps what expressions move by 0.8 (median
intersection over union)."""
_NEAR_M = 0.02
"""A face nearer to the eye, or behind it, has no rectangle."""

Vector = tuple[float, float, float]


class Rectangle(NamedTuple):
    """Part of an image, in pixels."""

    top: int
    left: int
    bottom: int
    right: int


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

    def face_rectangle(self, size: int) -> Rectangle | None:
        """Return about where the face is in a frame; None where it is outside of it.

        Args:
            size: Rows and columns of the frame.
        """
        x, y, z = rotate(self.head_rotation.tolist(), FACE_CENTRE_M)
        right, up, back = self.head_translation.tolist()
        eye_x, eye_y, eye_z = self.eye_position.tolist()
        from_eye = (x + right - eye_x, y + up - eye_y, z + back - eye_z)
        *axis, w = self.eye_rotation.tolist()
        x, y, z = rotate([*axis, -w], from_eye)  # from the world to the camera
        if -z < _NEAR_M:
            return None
        pixels_per_m = size / 2 / tan(self.fov_y_rad / 2) / -z
        column, row = size / 2 + x * pixels_per_m, size / 2 - y * pixels_per_m
        width, height = FACE_HALF_WIDTH_M * pixels_per_m, FACE_HALF_HEIGHT_M * pixels_per_m
        top, bottom = _clamp(row - height, size), _clamp(row + height, size)
        left, right = _clamp(column - width, size), _clamp(column + width, size)
        return Rectangle(top, left, bottom, right) if top < bottom and left < right else None


def _clamp(edge: float, size: int) -> int:
    """Round the edge of a rectangle to a pixel of the frame."""
    return round(min(max(edge, 0), size))


def rotate(quaternion: list[float], vector: Vector) -> Vector:
    """Rotate a vector.

    Uses plain floats: numpy needs a microsecond per operation, and this runs for each frame.

    Args:
        quaternion: Unit quaternion `[x, y, z, w]`.
        vector: Vector to rotate, in any unit.
    """
    qx, qy, qz, w = quaternion
    x, y, z = vector
    tx, ty, tz = 2 * (qy * z - qz * y), 2 * (qz * x - qx * z), 2 * (qx * y - qy * x)
    return (
        x + w * tx + qy * tz - qz * ty,
        y + w * ty + qz * tx - qx * tz,
        z + w * tz + qx * ty - qy * tx,
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
