"""Fits the head's pose and the coefficients of one frame to its landmarks.

Gauss-Newton with Huber weights. The pose is eliminated from the normal equations, and the
coefficients, which stay within 0..1, follow by coordinate descent.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from models.heads.meshes import Floats

HUBER_PX = 2.0
"""Distances beyond this, at a face 100 pixels wide, count linearly."""
_SWEEPS = 60
"""Rounds of the coordinate descent; more change no coefficient by 1e-4."""


class Camera(NamedTuple):
    """A pinhole camera that looks down its -Z, +Y up."""

    focal: float
    """Pixels."""
    x: float
    """Principal point, pixels from the left."""
    y: float
    """Principal point, pixels from the top."""


class Pose(NamedTuple):
    """A head in front of the camera."""

    rotation: Floats
    """(3, 3) head to camera."""
    translation: Floats
    """(3,) metres."""
    expression: Floats
    """(E,) coefficients."""


class PointWeights(NamedTuple):
    """Weights of observations and prior."""

    points: Floats
    """(n,) weights of squared distances of the landmarks, 1/px^2."""
    prior: Floats
    """(E,) weights of squared deviations of the coefficients from their prior."""


def project(points: Floats, camera: Camera) -> Floats:
    """Project points (n, 3) in the camera's axes to pixels (n, 2)."""
    depth = -points[:, 2]
    x = camera.x + camera.focal * points[:, 0] / depth
    y = camera.y - camera.focal * points[:, 1] / depth
    return np.stack([x, y], axis=1)


def project_gradient(points: Floats, camera: Camera) -> Floats:
    """Return (n, 2, 3) the derivative of `project`."""
    depth, focal = -points[:, 2], camera.focal
    gradient = np.zeros((len(points), 2, 3))
    gradient[:, 0, 0] = focal / depth
    gradient[:, 0, 2] = focal * points[:, 0] / depth**2
    gradient[:, 1, 1] = -focal / depth
    gradient[:, 1, 2] = -focal * points[:, 1] / depth**2
    return gradient


def rotation_from_vector(vector: Floats) -> Floats:
    """Return the (3, 3) matrix of a rotation vector (3,), radians."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix: Floats = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return matrix


def residuals(rest: Floats, shapes: Floats, pose: Pose, observed: Floats, camera: Camera) -> Floats:
    """Return (n, 2) how far the landmarks of a pose are from the observed ones, pixels."""
    points = (rest + shapes @ pose.expression) @ pose.rotation.T + pose.translation
    return project(points, camera) - observed


def huber_weights(distances: Floats) -> Floats:
    """Return the factors (n,) that make the cost of large residuals (n, 2) linear."""
    length = np.linalg.norm(distances, axis=1)
    factors: Floats = np.minimum(1.0, HUBER_PX / np.maximum(length, 1e-9))
    return factors


def fit_frame(
    rest: Floats,
    shapes: Floats,
    observed: Floats,
    weights: PointWeights,
    camera: Camera,
    start: Pose,
    prior: Floats,
    rounds: int,
) -> Pose:
    """Fit pose and coefficients.

    Args:
        rest: (n, 3) landmarks of the person at rest, head space.
        shapes: (n, 3, E) their motion per coefficient.
        observed: (n, 2) pixels.
        weights: Weights of landmarks and prior.
        camera: The camera.
        start: Initial values.
        prior: (E,) coefficients that are likely.
        rounds: Gauss-Newton steps.
    """
    pose = start
    for _ in range(rounds):
        step = _step(rest, shapes, observed, weights, camera, pose, prior)
        # The nearest rotation: rounding of many products would make it drift from one.
        u, _, vt = np.linalg.svd(rotation_from_vector(step[:3]) @ pose.rotation)
        expression = np.clip(pose.expression + step[6:], 0, 1)
        pose = Pose(u @ vt, pose.translation + step[3:6], expression)
    return pose


def _step(
    rest: Floats,
    shapes: Floats,
    observed: Floats,
    weights: PointWeights,
    camera: Camera,
    pose: Pose,
    prior: Floats,
) -> Floats:
    """Return (6 + E,) one Gauss-Newton step: rotation vector, translation, coefficients."""
    turned = (rest + shapes @ pose.expression) @ pose.rotation.T
    points = turned + pose.translation
    apart = project(points, camera) - observed
    gradient = project_gradient(points, camera)
    # Rows of the Jacobian are x and y of one landmark after the other.
    weight = np.repeat(weights.points * huber_weights(apart), 2)
    columns = [
        gradient @ _minus_cross(turned),
        gradient,
        (gradient @ pose.rotation) @ shapes,
    ]
    jacobian = np.concatenate(columns, axis=2).reshape(2 * len(rest), -1)
    weighted = jacobian * weight[:, None]
    matrix, vector = jacobian.T @ weighted, -weighted.T @ apart.reshape(-1)
    coefficients = np.arange(6, len(matrix))
    matrix[coefficients, coefficients] += weights.prior
    vector[6:] += weights.prior * (prior - pose.expression)
    # The pose is unbounded: it is eliminated exactly, which leaves a small box-bounded problem.
    own, shared = matrix[:6, :6], matrix[:6, 6:]
    solved = np.linalg.solve(own, np.column_stack([shared, vector[:6]]))
    change = np.zeros(len(coefficients))
    descend_in_box(
        matrix[6:, 6:] - shared.T @ solved[:, :-1],
        vector[6:] - shared.T @ solved[:, -1],
        -pose.expression,
        1 - pose.expression,
        change,
        _SWEEPS,
    )
    return np.concatenate([solved[:, -1] - solved[:, :-1] @ change, change])


def shift_to_landmarks(
    rest: Floats,
    shapes: Floats,
    observed: Floats,
    weights: PointWeights,
    camera: Camera,
    pose: Pose,
) -> Pose:
    """Return a pose after one Gauss-Newton step of its translation alone; as `fit_frame`."""
    points = (rest + shapes @ pose.expression) @ pose.rotation.T + pose.translation
    apart = project(points, camera) - observed
    gradient = project_gradient(points, camera)
    weight = weights.points * huber_weights(apart)
    matrix = np.einsum("n,nij,nik->jk", weight, gradient, gradient)
    vector = -np.einsum("n,nij,ni->j", weight, gradient, apart)
    return pose._replace(translation=pose.translation + np.linalg.solve(matrix, vector))


def _minus_cross(points: Floats) -> Floats:
    """Return (n, 3, 3) the derivative of turned points (n, 3) by a small rotation vector."""
    x, y, z = points.T
    zero = np.zeros_like(x)
    rows = [[zero, z, -y], [-z, zero, x], [y, -x, zero]]
    return np.stack([np.stack(row, axis=1) for row in rows], axis=1)


@njit(cache=True, nogil=True)
def descend_in_box(
    matrix: Floats, vector: Floats, low: Floats, high: Floats, x: Floats, sweeps: int
) -> None:
    """Minimise x' matrix x / 2 - vector' x within bounds, in place, one coordinate at a time."""
    for _ in range(sweeps):
        for i in range(len(vector)):
            slope = vector[i]
            for j in range(len(vector)):
                slope -= matrix[i, j] * x[j]
            x[i] = min(max(x[i] + slope / matrix[i, i], low[i]), high[i])
