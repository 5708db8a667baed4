"""Late reprojection: where a picture's pixels go when the eye moves on and no depth is known.

What is seen is taken to lie on a simple surface that stands for the head, where the ray of each
pixel meets it. This is the twin of `client_web/js/reprojection.js`, which moves the picture in the
browser between frames; both are held to the numbers in `tests/client_web/reprojection.json`.

Points of a picture are written as (x, y) in -1..1, x to the right and y *up*, of a square picture.
"""

from __future__ import annotations

from collections.abc import Callable
from math import tan

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.geometry.camera import quaternion_to_matrix

Array = NDArray[np.float64]
Surface = Callable[[Array, Array], Array]
"""From an eye (3,) and the directions of rays (N, 3), world, how far along each ray (N,) it is."""

HEAD_CENTRE_M = np.array([0.0, -0.007, -0.082])
"""Centre of the ellipsoid that stands for the head; fitted, with the radii, to the head that ships,
by the motion of what is seen of it from 28 views, each turned by 2 degrees."""
HEAD_RADII_M = np.array([0.073, 0.152, 0.113])
PLANE_POINT_M = np.array([0.0, 0.0, 0.01])
"""The plane stands where it served best: between the tip of the nose and the cheeks."""


def reproject(points: Array, old: FrameState, new: FrameState, surface: Surface) -> Array:
    """Where points of the old eye's picture are in the new eye's.

    Args:
        points: (N, 2).
        old: Whose picture it is.
        new: Whose picture it is to look like.
        surface: What is seen.

    Returns:
        (N, 2); what comes to lie behind the new eye is not a number.
    """
    directions = _rays(points, old.fov_y_rad) @ quaternion_to_matrix(old.eye_rotation).T
    eye = np.asarray(old.eye_position, np.float64)
    seen = eye + surface(eye, directions)[:, None] * directions
    return project(seen, new)


def project(points: Array, state: FrameState) -> Array:
    """Project world points, (N, 3) metres, into an eye's picture, (N, 2)."""
    local = (points - state.eye_position) @ quaternion_to_matrix(state.eye_rotation)
    depth = np.where(local[:, 2] < 0, -local[:, 2], np.nan)
    return np.asarray(local[:, :2] / (depth * tan(state.fov_y_rad / 2))[:, None])


def head_surface(eye: Array, directions: Array) -> Array:
    """The ellipsoid; rays that miss it end where they come closest (in its own measure), so that
    the surface has no edge to tear the picture at."""
    start = (eye - HEAD_CENTRE_M) / HEAD_RADII_M
    steps = directions / HEAD_RADII_M
    a = (steps * steps).sum(axis=1)
    b = steps @ start
    inside = b * b - a * (start @ start - 1)
    return np.asarray((-b - np.sqrt(np.maximum(inside, 0))) / a)


def plane_facing(state: FrameState) -> Surface:
    """A plane through the face that faces an eye. Moving on it is a homography."""
    normal = quaternion_to_matrix(state.eye_rotation)[:, 2]

    def distance(eye: Array, directions: Array) -> Array:
        return np.asarray(normal @ (PLANE_POINT_M - eye) / (directions @ normal))

    return distance


def _rays(points: Array, fov_y_rad: float) -> Array:
    """Camera-space directions (N, 3) of picture points (N, 2), one metre deep."""
    return np.concatenate([points * tan(fov_y_rad / 2), -np.ones((len(points), 1))], axis=1)
