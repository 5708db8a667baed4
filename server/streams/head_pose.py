"""Head poses from angles, for drivers that know the rotation of the head but not its position.

Axes as in `models/geometry/camera.py`: +X to the left of the face, +Y up, +Z out of the face.
"""

from __future__ import annotations

from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import Vector, rotate

Floats = NDArray[np.float32]

NECK_M: Vector = (0.0, -0.145, -0.118)
"""Base of the neck, the pivot of head rotations; measured on the shipped head."""


def head_rotation(yaw_rad: float, pitch_rad: float, roll_rad: float) -> Floats:
    """Return the quaternion (4,) of roll, then pitch (down), then yaw (to the face's left).

    A positive roll tips the head towards its right shoulder.
    """
    sy, cy, sp, cp = sin(yaw_rad / 2), cos(yaw_rad / 2), sin(pitch_rad / 2), cos(pitch_rad / 2)
    sr, cr = sin(roll_rad / 2), cos(roll_rad / 2)
    return np.array(
        [
            cy * sp * cr + sy * cp * sr,
            sy * cp * cr - cy * sp * sr,
            cy * cp * sr - sy * sp * cr,
            cy * cp * cr + sy * sp * sr,
        ],
        np.float32,
    )


def neck_fixed(rotation: Floats, shift_m: Vector = (0.0, 0.0, 0.0)) -> Floats:
    """Return the translation (3,) with which a rotation leaves the base of the neck in place.

    Args:
        rotation: (4,) quaternion [x, y, z, w] of the head.
        shift_m: Shift of the base of the neck.
    """
    turned = rotate(rotation.tolist(), NECK_M)
    return np.array(
        [n - t + s for n, t, s in zip(NECK_M, turned, shift_m, strict=True)], np.float32
    )
