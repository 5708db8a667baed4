"""Axes, rotations and the pinhole camera: the reference for all conventions.

Right-handed, metres: +X right, +Y up, +Z towards the viewer. A camera looks down its own -Z (glTF,
WebXR and MediaPipe agree). Quaternions are `[x, y, z, w]`; poses map local to world. On screen x
grows to the right and y *down*, in pixels; the centre of the top left pixel is (0.5, 0.5).
"""

from __future__ import annotations

from math import atan2, cos, sin, sqrt, tan

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState

NEAR_M = 0.02
"""Near plane. Vertices closer to the eye are culled, which keeps 1/depth finite and screen
coordinates small."""
_SMALL_ANGLE_RAD = 1e-4
"""Below it sin(a/2)/a is replaced by its series, whose error is then below 1e-18."""


def quaternion_to_matrix(quaternion: FloatArray) -> NDArray[np.float64]:
    """Return the rotation matrix of a quaternion of any length but zero.

    Args:
        quaternion: (4,) `[x, y, z, w]`.

    Returns:
        (3, 3), local to world: `world = matrix @ local`.
    """
    # Plain floats: numpy needs a microsecond per operation, and a frame has several of these.
    x, y, z, w = (float(part) for part in quaternion)
    scale = 1 / sqrt(x * x + y * y + z * z + w * w)
    x, y, z, w = x * scale, y * scale, z * scale, w * scale
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


def matrix_to_quaternion(matrix: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the quaternion of a rotation: the main eigenvector of Bar-Itzhack's matrix.

    For a matrix that is not exactly a rotation it is that of the nearest one.

    Args:
        matrix: (3, 3), local to world.

    Returns:
        (4,) unit quaternion `[x, y, z, w]` with w of at least 0.
    """
    m = matrix
    symmetric = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], 0, 0, 0],
            [m[1, 0] + m[0, 1], m[1, 1] - m[0, 0] - m[2, 2], 0, 0],
            [m[2, 0] + m[0, 2], m[2, 1] + m[1, 2], m[2, 2] - m[0, 0] - m[1, 1], 0],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m.trace()],
        ]
    )
    # eigh reads the lower triangle only, and sorts: the greatest eigenvalue comes last.
    quaternion: NDArray[np.float64] = np.linalg.eigh(symmetric)[1][:, -1]
    return quaternion if quaternion[3] >= 0 else -quaternion


def rotation_vector_to_quaternion(vector: NDArray[np.floating]) -> FloatArray:
    """Return the quaternion of a rotation by `|vector|` radians about `vector`.

    Args:
        vector: (3,) radians.

    Returns:
        (4,) unit quaternion.
    """
    x, y, z = (float(part) for part in vector)
    angle = sqrt(x * x + y * y + z * z)
    # sin(a/2)/a tends to 1/2 and would divide by 0; the series stays exact for tiny angles.
    small = angle < _SMALL_ANGLE_RAD
    scale = 0.5 - angle * angle / 48 if small else sin(angle / 2) / angle
    return np.array([x * scale, y * scale, z * scale, cos(angle / 2)], np.float32)


def quaternion_to_rotation_vector(quaternion: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the axis of a rotation times its angle; inverse of `rotation_vector_to_quaternion`.

    Args:
        quaternion: (4,) `[x, y, z, w]` of any length but zero.

    Returns:
        (3,) radians, of length 0..pi.
    """
    x, y, z, w = (float(part) for part in quaternion)
    # q and -q are the same rotation; w >= 0 selects the angle of at most pi.
    unit = (-1 if w < 0 else 1) / sqrt(x * x + y * y + z * z + w * w)
    sine, cosine = sqrt(x * x + y * y + z * z) * abs(unit), w * unit
    scale = 2 * unit if sine < 1e-6 else 2 * atan2(sine, cosine) / sine * unit
    return np.array([x * scale, y * scale, z * scale])


def relative_rotation_vector(reference: FloatArray, rotation: FloatArray) -> NDArray[np.float64]:
    """Return an object's rotation relative to a reference frame.

    Args:
        reference: (4,) quaternion of the reference frame, to world.
        rotation: (4,) quaternion of the object, to world.

    Returns:
        (3,) rotation vector in the axes of the reference frame, radians.
    """
    x, y, z, w = np.asarray(reference, np.float64) / np.linalg.norm(reference)
    a, b, c, d = np.asarray(rotation, np.float64)
    # conjugate(reference) * rotation
    product = [
        w * a - x * d - y * c + z * b,
        w * b + x * c - y * d - z * a,
        w * c - x * b + y * a - z * d,
        w * d + x * a + y * b + z * c,
    ]
    return quaternion_to_rotation_vector(np.array(product))


def look_at(eye: NDArray[np.floating], target: NDArray[np.floating]) -> FloatArray:
    """Return the orientation of an upright camera at `eye` that looks at `target`.

    Args:
        eye: (3,) metres.
        target: (3,) metres, not straight above or below the eye.

    Returns:
        (4,) quaternion, camera to world, without roll.
    """
    back = np.asarray(eye, np.float64) - target
    yaw = np.arctan2(back[0], back[2])
    pitch = -np.arctan2(back[1], np.hypot(back[0], back[2]))
    cy, sy, cp, sp = np.cos(yaw / 2), np.sin(yaw / 2), np.cos(pitch / 2), np.sin(pitch / 2)
    return np.array([cy * sp, sy * cp, -sy * sp, cy * cp], np.float32)  # yaw about Y, then pitch


def focal_px(fov_y_rad: float, height: int) -> float:
    """Return the focal length in pixels of an image `height` pixels high."""
    return height / 2 / tan(fov_y_rad / 2)


def world_to_camera(state: FrameState) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the view transform of a state's camera.

    Returns:
        Rotation (3, 3) and translation (3,) with `camera = rotation @ world + translation`.
    """
    rotation = quaternion_to_matrix(state.eye_rotation).T
    return rotation, -rotation @ np.asarray(state.eye_position, np.float64)


def to_screen(
    points: NDArray[np.floating], state: FrameState, height: int, width: int
) -> NDArray[np.float64]:
    """Project world points in plain numpy, as the rasterizer's vertex stage does.

    Args:
        points: (V, 3) metres, world.
        state: Gives the camera.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        (V, 3): x right and y down in pixels, and 1/depth in 1/metres, which is 0 for points nearer
        than `NEAR_M` or behind the eye.
    """
    rotation, translation = world_to_camera(state)
    camera = points @ rotation.T + translation
    depth = -camera[:, 2]
    inverse = np.where(depth > NEAR_M, 1 / np.maximum(depth, NEAR_M), 0.0)
    focal = focal_px(state.fov_y_rad, height)
    x = width / 2 + focal * camera[:, 0] * inverse
    y = height / 2 - focal * camera[:, 1] * inverse
    return np.stack([x, y, inverse], axis=1)
