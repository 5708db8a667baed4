"""Which point of the surface a picture shows where, and where it shows any point: what carries
features from one frame to another.

At half resolution, where our networks work. `find_visible_points` says what each 2x2 pixels show,
`screen_points` where all vertices stand; a point's place in another frame follows from both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.geometry.rasterizer_numba import SUBPIXELS, corner_weights


class VisiblePoints(NamedTuple):
    """What the first of each 2x2 pixels that shows the head shows of it."""

    corners: NDArray[np.int32]
    """(h, w, 3) vertices of the seen triangle."""
    weights: FloatArray
    """(h, w, 3) of these corners, summing to 1; 0 where no head is seen."""


def find_visible_points(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
) -> VisiblePoints:
    """Find the surface points of a picture.

    Args:
        triangle: (H, W) the seen triangles.
        xy: (V, 2) screen positions, 1/256 pixels.
        inverse_depth: (V,) 1/metres.
        faces: (F, 3).

    Returns:
        The points, h = H / 2, w = W / 2.
    """
    height, width = triangle.shape[0] // 2, triangle.shape[1] // 2
    corners = np.zeros((height, width, 3), np.int32)
    weights = np.zeros((height, width, 3), np.float32)
    _find_seen_points(triangle, xy, inverse_depth, faces, corners, weights)
    return VisiblePoints(corners, weights)


def screen_points(xy: NDArray[np.int64], inverse_depth: NDArray[np.float64]) -> FloatArray:
    """Where a frame shows its vertices, so that weighted sums belong to weighted sums of vertices.

    Args:
        xy: (V, 2) screen positions, 1/256 pixels.
        inverse_depth: (V,) 1/metres, 0 where not to be drawn.

    Returns:
        (V, 3): x z, y z and z, with x and y in pixels at half resolution, z the depth in metres;
        zeros where not to be drawn.
    """
    drawn = inverse_depth > 0
    depth = np.where(drawn, 1 / np.where(drawn, inverse_depth, 1), 0)[:, None]
    return np.concatenate([xy / (2 * SUBPIXELS) * depth, depth], axis=1).astype(np.float32)


@njit(cache=True, nogil=True, inline="always")
def first_covered(triangle: NDArray[np.int32], hy: int, hx: int) -> tuple[int, int, int]:
    """Row and column of the first of 2x2 pixels that shows the head, and how many of them do."""
    y, x, shown = 0, 0, 0
    for part in range(3, -1, -1):  # backwards: the first one stays
        py, px = 2 * hy + part // 2, 2 * hx + part % 2
        if triangle[py, px] >= 0:
            shown, y, x = shown + 1, py, px
    return y, x, shown


@njit(cache=True, nogil=True)
def _find_seen_points(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    corners: NDArray[np.int32],
    weights: FloatArray,
) -> None:
    for hy in range(corners.shape[0]):
        for hx in range(corners.shape[1]):
            y, x, shown = first_covered(triangle, hy, hx)
            if shown:
                f = triangle[y, x]
                corners[hy, hx] = faces[f]
                a, b, c = corner_weights(x, y, f, xy, inverse_depth, faces)
                weights[hy, hx, 0], weights[hy, hx, 1], weights[hy, hx, 2] = a, b, c
