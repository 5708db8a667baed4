"""Late reprojection of points for which its geometry is exact."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.contract.frame_state import FrameState, neutral_state
from models.geometry.camera import look_at, quaternion_to_matrix, to_screen
from models.geometry.reprojection import (
    HEAD_CENTRE_M,
    HEAD_RADII_M,
    PLANE_POINT_M,
    head_surface,
    plane_facing,
    project,
    reproject,
)


def eye_at(x: float, y: float, z: float) -> FrameState:
    state = neutral_state(3, (x, y, z), 0.4)
    return replace(state, eye_rotation=look_at(state.eye_position, np.zeros(3)))


OLD, NEW = eye_at(0.05, 0.02, 0.78), eye_at(0.09, -0.01, 0.74)


def test_projection_agrees_with_the_renderers_camera() -> None:
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (20, 3))
    screen = to_screen(points, OLD, 200, 200)
    projected = project(points, OLD)
    np.testing.assert_allclose(screen[:, 0], 100 + 100 * projected[:, 0], atol=1e-4)
    np.testing.assert_allclose(screen[:, 1], 100 - 100 * projected[:, 1], atol=1e-4)


def test_points_on_the_head_surface_are_reprojected_exactly() -> None:
    rng = np.random.default_rng(1)
    outwards = rng.normal(size=(50, 3)) * 0.3 + [0, 0, 1]  # the side visible from both eyes
    outwards /= np.linalg.norm(outwards, axis=1, keepdims=True)
    points = HEAD_CENTRE_M + outwards * HEAD_RADII_M
    moved = reproject(project(points, OLD), OLD, NEW, head_surface)
    np.testing.assert_allclose(moved, project(points, NEW), atol=1e-6)


def test_points_on_the_plane_are_reprojected_exactly() -> None:
    across = quaternion_to_matrix(OLD.eye_rotation)[:, :2]
    points = PLANE_POINT_M + np.random.default_rng(2).uniform(-0.1, 0.1, (30, 2)) @ across.T
    moved = reproject(project(points, OLD), OLD, NEW, plane_facing(OLD))
    np.testing.assert_allclose(moved, project(points, NEW), atol=1e-6)


def test_an_eye_at_rest_leaves_points_unchanged() -> None:
    points = np.random.default_rng(3).uniform(-1.2, 1.2, (40, 2))
    for surface in (head_surface, plane_facing(OLD)):
        np.testing.assert_allclose(reproject(points, OLD, OLD, surface), points, atol=1e-6)


@pytest.mark.parametrize("across", [-1.0, 1.0])
def test_the_image_does_not_tear_at_the_silhouette(across: float) -> None:
    x = np.linspace(0, across, 4001)
    moved = reproject(np.stack([x, 0 * x], axis=1), OLD, NEW, head_surface)
    assert np.isfinite(moved).all()
    assert np.abs(np.diff(moved[:, 0])).max() < 0.01


def test_points_behind_the_eye_are_nan() -> None:
    assert np.isnan(project(np.array([[0.0, 0.0, 2.0]]), OLD)).all()
