"""What one picture depends on: the face's pose and shape, and the eye that looks at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FrameState:
    """One moment of one face, seen by one eye. Axes and quaternions as in `geometry/camera.py`."""

    head_rotation: FloatArray
    """(4,) quaternion `[x, y, z, w]`, head space to world."""
    head_translation: FloatArray
    """(3,) metres."""
    expression: FloatArray
    """(E,) coefficients in the avatar's order and range; 0..1 but for FLAME's."""
    eye_rotation: FloatArray
    """(4,) quaternion, camera space to world; the camera looks down its -Z."""
    eye_position: FloatArray
    """(3,) metres, world."""
    fov_y_rad: float
    """Vertical opening angle of the (square) picture."""
    vertices: FloatArray | None = None
    """(V, 3) metres in head space, instead of what `expression` would give."""


def neutral_state(
    expressions: int, eye_position: tuple[float, float, float], fov_y_rad: float
) -> FrameState:
    """The neutral face, upright, seen straight from `eye_position`."""
    identity = np.array([0, 0, 0, 1], np.float32)
    return FrameState(
        head_rotation=identity,
        head_translation=np.zeros(3, np.float32),
        expression=np.zeros(expressions, np.float32),
        eye_rotation=identity,
        eye_position=np.asarray(eye_position, np.float32),
        fov_y_rad=fov_y_rad,
    )
