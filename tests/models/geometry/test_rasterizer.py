"""The reference rasterizer against geometry, and the fast one against the reference."""

from types import ModuleType

import numpy as np
import pytest

from models.contract.frame_state import FrameState
from models.geometry import rasterizer, rasterizer_numba
from models.geometry.head import Head

SIZE = 96


def test_a_triangle_covers_the_pixels_whose_centres_it_contains() -> None:
    corners = np.array([[10.0, 10.0], [10.0, 50.0], [60.0, 30.0]])  # front-facing
    xy = (corners * 256).astype(np.int64)
    faces = np.array([[0, 1, 2]], np.int32)
    fragments = rasterizer.rasterize(xy, np.ones(3), faces, SIZE, SIZE)
    rows, columns = np.mgrid[:SIZE, :SIZE] + 0.5
    inside = np.ones((SIZE, SIZE), bool)
    for a, b in ((0, 1), (1, 2), (2, 0)):
        (ax, ay), (bx, by) = corners[a], corners[b]
        inside &= (bx - ax) * (rows - ay) - (by - ay) * (columns - ax) <= 0
    assert 900 < inside.sum() < 1100  # the triangle's area is 1000 pixels
    np.testing.assert_array_equal(fragments.mask, inside)


def test_back_faces_are_culled() -> None:
    xy = (np.array([[10, 10], [10, 50], [60, 30]]) * 256).astype(np.int64)
    faces = np.array([[0, 2, 1]], np.int32)
    assert not rasterizer.rasterize(xy, np.ones(3), faces, SIZE, SIZE).mask.any()
    assert not rasterizer_numba.rasterize(xy, np.ones(3), faces, SIZE, SIZE).mask.any()


@pytest.mark.parametrize("module", [rasterizer, rasterizer_numba], ids=["plain", "numba"])
def test_a_fan_of_triangles_covers_each_pixel_exactly_once(module: ModuleType) -> None:
    """Shared edges, which pass through pixel centres, have no gaps and no overlaps."""
    random = np.random.default_rng(0)
    rim = [(0, 0), (0, 64), (64, 64), (64, 0)]
    hits = np.zeros((SIZE, SIZE), int)
    for _ in range(20):
        hub = tuple(random.integers(1, 64, 2) + 0.5)
        xy = (np.array([*rim, hub]) * 256).astype(np.int64)
        hits[:] = 0
        for corner in range(4):
            face = np.array([[corner, (corner + 1) % 4, 4]], np.int32)
            hits += module.rasterize(xy, np.ones(5), face, SIZE, SIZE).mask
        assert (hits[:64, :64] == 1).all()
        assert hits.sum() == 64 * 64


def test_the_nearer_triangle_is_visible_and_of_equal_depths_the_lower_index() -> None:
    square = np.array([[0, 0], [0, 60], [60, 60]])
    xy = (np.concatenate([square, square, square]) * 256).astype(np.int64)
    inverse = np.array([1.0] * 3 + [2.0] * 3 + [2.0] * 3)
    faces = np.arange(9, dtype=np.int32).reshape(3, 3)
    for module in (rasterizer, rasterizer_numba):
        seen = module.rasterize(xy, inverse, faces, SIZE, SIZE).triangle
        assert set(np.unique(seen)) == {-1, 1}


def test_both_rasterizers_agree_to_the_bit(ball: Head, turned: FrameState) -> None:
    verts = ball.pose(turned)
    xy, inverse = rasterizer.project(verts, turned, SIZE, SIZE)
    fast_xy, fast_inverse = rasterizer_numba.project(verts, turned, SIZE, SIZE)
    np.testing.assert_array_equal(xy, fast_xy)
    np.testing.assert_allclose(inverse, fast_inverse, rtol=1e-12)
    plain = rasterizer.rasterize(xy, inverse, ball.faces, SIZE, SIZE)
    fast = rasterizer_numba.rasterize(xy, inverse, ball.faces, SIZE, SIZE)
    assert 0.1 < plain.mask.mean() < 0.9
    np.testing.assert_array_equal(plain.triangle, fast.triangle)
    np.testing.assert_array_equal(plain.inverse_depth, fast.inverse_depth)
    np.testing.assert_allclose(
        rasterizer.barycentrics(plain.triangle, xy, inverse, ball.faces),
        rasterizer_numba.barycentrics(plain.triangle, xy, inverse, ball.faces),
        atol=1e-6,
    )


def test_barycentrics_are_perspective_correct(ball: Head, turned: FrameState) -> None:
    """Interpolated world positions lie on the ray of their pixel."""
    verts = ball.pose(turned)
    xy, inverse = rasterizer.project(verts, turned, SIZE, SIZE)
    triangle = rasterizer.rasterize(xy, inverse, ball.faces, SIZE, SIZE).triangle
    weights = rasterizer.barycentrics(triangle, xy, inverse, ball.faces)
    rows, columns = np.nonzero(triangle >= 0)
    corners = verts[ball.faces[triangle[rows, columns]]]  # (N, 3, 3)
    points = (weights[rows, columns][..., None] * corners).sum(axis=1)
    back, _ = rasterizer.project(points.astype(np.float32), turned, SIZE, SIZE)
    centres = np.stack([columns, rows], axis=1) * 256 + 128
    assert np.abs(back - centres).max() <= 2  # in 1/256 pixels, to which vertices are snapped
