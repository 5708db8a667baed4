"""Late reprojection: where the pixels of a frame move when the eye has moved since, without depth.

Each pixel is taken to show the point where its ray meets a proxy surface, an ellipsoid or a plane
in place of the head. `client_web/js` has the same, to reproject the displayed frame in the browser;
tests hold both to the numbers in `tests/client_web/reprojection.json`.

Image points are (x, y) in -1..1 of a square image, x to the right and y *up*.
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
"""Intersects rays with a surface: from the eye (3,) and ray directions (N, 3), world axes, to the
ray parameters (N,) of the intersections."""

HEAD_CENTRE_M = np.array([0.0, -0.007, -0.082])
"""Centre of the ellipsoid proxy. Centre and radii were fitted to the shipped head, by the motion of
its visible points in 28 views, each turned by 2 degrees."""
HEAD_RADII_M = np.array([0.073, 0.152, 0.113])
"""Semi-axes of the ellipsoid proxy."""
PLANE_POINT_M = np.array([0.0, 0.0, 0.01])
"""A point of the plane proxy. Errors were least between the tip of the nose and the cheeks."""


def reproject(points: Array, old: FrameState, new: FrameState, surface: Surface) -> Array:
    """Reproject image points from an old view to a new one.

    Args:
        points: (N, 2) in the old image.
        old: The view that the image was rendered for.
        new: The view to reproject to.
        surface: The proxy surface.

    Returns:
        (N, 2) in the new image; NaN for points behind the new eye.
    """
    directions = _rays(points, old.fov_y_rad) @ quaternion_to_matrix(old.eye_rotation).T
    eye = np.asarray(old.eye_position, np.float64)
    hit = eye + surface(eye, directions)[:, None] * directions
    return project(hit, new)


def project(points: Array, state: FrameState) -> Array:
    """Project world points into a view's image.

    Args:
        points: (N, 3) metres, world.
        state: Gives the camera.

    Returns:
        (N, 2); NaN for points behind the eye.
    """
    local = (points - state.eye_position) @ quaternion_to_matrix(state.eye_rotation)
    # NaN, not a clamped value: callers must not draw points behind the eye anywhere.
    depth = np.where(local[:, 2] < 0, -local[:, 2], np.nan)
    return np.asarray(local[:, :2] / (depth * tan(state.fov_y_rad / 2))[:, None])


def head_surface(eye: Array, directions: Array) -> Array:
    """Intersect rays with the ellipsoid proxy; a `Surface`.

    Rays that miss it end where they are closest to it, measured in radii, so that the surface
    continues beyond the silhouette and the image does not tear there.

    Args:
        eye: (3,) metres, world.
        directions: (N, 3), world.

    Returns:
        (N,) ray parameters.
    """
    # Scaled by the radii, the ellipsoid is the unit sphere: a t^2 + 2 b t + |start|^2 - 1 = 0.
    start = (eye - HEAD_CENTRE_M) / HEAD_RADII_M
    steps = directions / HEAD_RADII_M
    a = (steps * steps).sum(axis=1)
    b = steps @ start
    discriminant = b * b - a * (start @ start - 1)
    return np.asarray((-b - np.sqrt(np.maximum(discriminant, 0))) / a)


def plane_facing(state: FrameState) -> Surface:
    """Return a plane proxy through the face, parallel to a view's image: a homography."""
    normal = quaternion_to_matrix(state.eye_rotation)[:, 2]

    def distance(eye: Array, directions: Array) -> Array:
        return np.asarray(normal @ (PLANE_POINT_M - eye) / (directions @ normal))

    return distance


def _rays(points: Array, fov_y_rad: float) -> Array:
    """Return camera-space ray directions (N, 3) of image points (N, 2), at a depth of 1."""
    return np.concatenate([points * tan(fov_y_rad / 2), -np.ones((len(points), 1))], axis=1)
