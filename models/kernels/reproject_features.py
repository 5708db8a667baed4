"""Reprojects a cache to the current frame on a CPU, as `networks/reproject.py` does in plain torch.

Releases the interpreter lock, uses one core, and only touches the active region of each row.
"""

from __future__ import annotations

from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.geometry.surface_points import MIN_DEPTH_M
from models.kernels.bfloat16 import NetworkArray, from_float, to_float

NOT_VISIBLE = np.float32(1e9)
"""Marks the flow of pixels off the head; far beyond any flow in pixels."""


@njit(cache=True, nogil=True, inline="always")
def project_point(
    i: int, j: int, k: int, a: float, b: float, c: float, points: FloatArray
) -> tuple[float, float]:
    """Return where a surface point is on screen.

    Args:
        i: First vertex of its triangle.
        j: Second vertex.
        k: Third vertex.
        a: Barycentric weight of the first vertex.
        b: Weight of the second.
        c: Weight of the third.
        points: (V, 3) vertices on screen, as `screen_points` returns them.

    Returns:
        x and y, pixels at half resolution.
    """
    x = a * points[i, 0] + b * points[j, 0] + c * points[k, 0]
    y = a * points[i, 1] + b * points[j, 1] + c * points[k, 1]
    z = max(a * points[i, 2] + b * points[j, 2] + c * points[k, 2], MIN_DEPTH_M)
    return x / z, y / z


@njit(cache=True, nogil=True, inline="always")
def nearest_pixel(x: float, size: int) -> int:
    """Return the pixel that contains position `x`, clamped to 0..size - 1."""
    return min(max(floor(x), 0), size - 1)


@njit(cache=True, nogil=True)
def find_flow(
    corners: NDArray[np.int32],
    weights: FloatArray,
    now: FloatArray,
    older: FloatArray,
    flow: FloatArray,
) -> None:
    """Compute the flow from the current frame to an older one, from their meshes.

    Args:
        corners: (h, w, 3) vertices of the visible triangles, as `VisiblePoints.corners`.
        weights: (h, w, 3) weights of these vertices, as `VisiblePoints.weights`; 0 off the head.
        now: (V, 3) the current frame's `screen_points`.
        older: (V, 3) the older frame's.
        flow: (h, w, 2) filled: x and y, pixels at half resolution. `NOT_VISIBLE` off the head, but
            0 if the head is nowhere in the image.
    """
    visible = False
    for y in range(flow.shape[0]):
        for x in range(flow.shape[1]):
            a, b, c = weights[y, x, 0], weights[y, x, 1], weights[y, x, 2]
            # Weights add up to 1 on the head and are 0 off it.
            if a + b + c < 0.5:
                flow[y, x, 0] = NOT_VISIBLE
                continue
            visible = True
            i, j, k = corners[y, x, 0], corners[y, x, 1], corners[y, x, 2]
            nx, ny = project_point(i, j, k, a, b, c, now)
            ox, oy = project_point(i, j, k, a, b, c, older)
            flow[y, x, 0], flow[y, x, 1] = ox - nx, oy - ny
    if not visible:
        flow[:] = 0


@njit(cache=True, nogil=True)
def reproject_nearest(
    flow: FloatArray,
    source: NetworkArray,
    top: int,
    bottom: int,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    target: NetworkArray,
) -> None:
    """Copy each pixel's channels from the pixel that contains its source position.

    Args:
        flow: (h, w, 2) of `find_flow`.
        source: (h, w, C) of the older frame's cache.
        top: The first row.
        bottom: The row after the last.
        left: (h,) first column of each row.
        right: (h,) column after the last of each row.
        target: (h, w, C) filled in these rows and columns.
    """
    height, width, channels = source.shape
    columns = np.empty(width, np.int32)
    for y in range(top, bottom):
        if left[y] >= right[y]:
            continue
        row = _find_flow_pixels(flow, y, left[y], columns)
        for x in range(left[y], right[y]):
            oy = nearest_pixel(y + 0.5 + flow[row, columns[x], 1], height)
            ox = nearest_pixel(x + 0.5 + flow[row, columns[x], 0], width)
            for i in range(channels):
                target[y, x, i] = source[oy, ox, i]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def reproject_sum(
    flow: FloatArray,
    base: NetworkArray,
    residual: NetworkArray,
    share: float,
    top: int,
    bottom: int,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    target: NetworkArray,
) -> None:
    """Reproject two parts of a cache and add them: one by nearest pixel, the other bilinearly.

    Args:
        flow: (h, w, 2) of `find_flow`.
        base: (h, w, C) of the older frame's cache, sampled at the nearest pixel.
        residual: (h, w, C) residual of the older frame's cache, sampled bilinearly.
        share: Weight of `residual`.
        top: The first row.
        bottom: The row after the last.
        left: (h,) first column of each row.
        right: (h,) column after the last of each row.
        target: (h, w, C) filled in these rows and columns.
    """
    height, width, channels = residual.shape
    columns, one = np.empty(width, np.int32), np.float32(1)
    for y in range(top, bottom):
        if left[y] >= right[y]:
            continue
        row = _find_flow_pixels(flow, y, left[y], columns)
        for x in range(left[y], right[y]):
            py, px = y + flow[row, columns[x], 1], x + flow[row, columns[x], 0]
            oy, ox = nearest_pixel(py + 0.5, height), nearest_pixel(px + 0.5, width)
            py, px = min(max(py, 0.0), height - 1.0), min(max(px, 0.0), width - 1.0)
            # Truncation is floor here: both are clamped to 0 and above.
            y0, x0 = int(py), int(px)
            y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
            v, u = np.float32(py - y0), np.float32(px - x0)
            # `share` is folded into the bilinear weights: it costs nothing per channel.
            upper, lower = np.float32(share) * (one - v), np.float32(share) * v
            w00, w01, w10, w11 = upper * (one - u), upper * u, lower * (one - u), lower * u
            for i in range(channels):
                value = w00 * to_float(residual[y0, x0, i]) + w01 * to_float(residual[y0, x1, i])
                value += w10 * to_float(residual[y1, x0, i]) + w11 * to_float(residual[y1, x1, i])
                target[y, x, i] = from_float(to_float(base[oy, ox, i]) + value, target)


@njit(cache=True, nogil=True)
def _find_flow_pixels(flow: FloatArray, y: int, left: int, columns: NDArray[np.int32]) -> int:
    """Find which pixels give the flow of a row, as `networks.reproject._extend` does.

    Pixels off the head get the flow of the nearest pixel on it in their row; rows without one use
    the nearest row that has one.

    Args:
        flow: (h, w, 2) of `find_flow`, not everywhere `NOT_VISIBLE`.
        y: The row.
        left: Its first active column.
        columns: (w,) filled from `left` on with the columns of these pixels.

    Returns:
        Their row.
    """
    row = _nearest_row(flow, y)
    # From the first column of the row, because the nearest pixel on the head may lie left of the
    # active ones.
    before = -1
    for x in range(flow.shape[1]):
        if flow[row, x, 0] != NOT_VISIBLE:
            before = x
        columns[x] = before
    after = -1
    for x in range(flow.shape[1] - 1, left - 1, -1):
        if flow[row, x, 0] != NOT_VISIBLE:
            after = x
        # Of two at the same distance the left one, as in the plain form.
        if columns[x] < 0 or (after >= 0 and after - x < x - columns[x]):
            columns[x] = after
    return row


@njit(cache=True, nogil=True)
def _nearest_row(flow: FloatArray, y: int) -> int:
    """Return the row nearest to `y` with a pixel on the head; of two at one distance the upper."""
    for distance in range(flow.shape[0]):
        for row in (y - distance, y + distance):
            if 0 <= row < flow.shape[0]:
                for x in range(flow.shape[1]):
                    if flow[row, x, 0] != NOT_VISIBLE:
                        return row
    return y
