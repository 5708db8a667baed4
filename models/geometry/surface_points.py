"""Which surface point each pixel sees, and where vertices are on screen: the input of reprojection.

All at half resolution, where the networks work. `find_visible_points` returns the surface point of
each 2x2 pixels, `screen_points` the positions of all vertices; together they give the position of a
surface point in any other frame.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.geometry.rasterizer import SUBPIXELS
from models.geometry.rasterizer_numba import corner_weights

MIN_DEPTH_M = 1e-6
"""Least depth that homogeneous positions are divided by: culled vertices have depth 0."""


class VisiblePoints(NamedTuple):
    """The surface point that each 2x2 pixels see, taken from the first of them on the head."""

    corners: NDArray[np.int32]
    """(h, w, 3) vertices of the visible triangle."""
    weights: FloatArray
    """(h, w, 3) barycentric weights of these corners, summing to 1; 0 off the head."""


def find_visible_points(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
) -> VisiblePoints:
    """Find the surface points of a rasterized image.

    Args:
        triangle: (H, W) visible triangles, -1 off the head.
        xy: (V, 2) screen positions, 1/256 pixels.
        inverse_depth: (V,) 1/metres.
        faces: (F, 3) vertices of each triangle.

    Returns:
        The points, h = H / 2, w = W / 2.
    """
    height, width = triangle.shape[0] // 2, triangle.shape[1] // 2
    corners = np.zeros((height, width, 3), np.int32)
    weights = np.zeros((height, width, 3), np.float32)
    _fill_visible_points(triangle, xy, inverse_depth, faces, corners, weights)
    return VisiblePoints(corners, weights)


def screen_points(xy: NDArray[np.int64], inverse_depth: NDArray[np.float64]) -> FloatArray:
    """Return homogeneous screen positions of all vertices.

    Homogeneous, because only those may be interpolated by barycentric weights of the surface.

    Args:
        xy: (V, 2) screen positions, 1/256 pixels.
        inverse_depth: (V,) 1/metres, 0 for culled vertices.

    Returns:
        (V, 3): x z, y z and z, with x and y in pixels at half resolution and z the depth in metres;
        zeros for culled vertices.
    """
    visible = inverse_depth > 0
    # The inner `where` avoids a division by 0, the outer one sets culled vertices to 0.
    depth = np.where(visible, 1 / np.where(visible, inverse_depth, 1), 0)[:, None]
    return np.concatenate([xy / (2 * SUBPIXELS) * depth, depth], axis=1).astype(np.float32)


@njit(cache=True, nogil=True, inline="always")
def first_covered(triangle: NDArray[np.int32], hy: int, hx: int) -> tuple[int, int, int]:
    """Find the first covered pixel of the 2x2 at half-resolution pixel (hx, hy).

    Returns:
        Its row and column, and how many of the four pixels are covered; row and column are 0 where
        none is.
    """
    y, x, count = 0, 0, 0
    # Backwards, so that the first covered pixel is the last to overwrite the result.
    for part in range(3, -1, -1):
        py, px = 2 * hy + part // 2, 2 * hx + part % 2
        if triangle[py, px] >= 0:
            count, y, x = count + 1, py, px
    return y, x, count


@njit(cache=True, nogil=True)
def _fill_visible_points(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    corners: NDArray[np.int32],
    weights: FloatArray,
) -> None:
    for hy in range(corners.shape[0]):
        for hx in range(corners.shape[1]):
            y, x, count = first_covered(triangle, hy, hx)
            if count:
                f = triangle[y, x]
                for k in range(3):  # the assignment of a row takes numba 4 s longer to compile
                    corners[hy, hx, k] = faces[f, k]
                a, b, c = corner_weights(x, y, f, xy, inverse_depth, faces)
                weights[hy, hx, 0], weights[hy, hx, 1], weights[hy, hx, 2] = a, b, c
