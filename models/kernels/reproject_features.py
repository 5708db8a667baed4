"""Carries a cache to the present frame on a CPU; twin of `networks/carry.py`.

No interpreter lock, one core, and only as far as the head reaches.
"""

from __future__ import annotations

from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.kernels.bfloat16 import NetworkArray, from_float, to_float

NOWHERE = np.float32(1e9)
"""How far points have moved that are not seen."""


@njit(cache=True, nogil=True, inline="always")
def place(
    i: int, j: int, k: int, a: float, b: float, c: float, points: FloatArray
) -> tuple[float, float]:
    """Where a frame shows the point between three of its vertices, pixels at half resolution.

    Args:
        i: The first vertex.
        j: The second.
        k: The third.
        a: Weight of the first.
        b: Of the second.
        c: Of the third.
        points: (V, 3) of the frame, see `screen_points`.
    """
    x = a * points[i, 0] + b * points[j, 0] + c * points[k, 0]
    y = a * points[i, 1] + b * points[j, 1] + c * points[k, 1]
    z = max(a * points[i, 2] + b * points[j, 2] + c * points[k, 2], 1e-6)
    return x / z, y / z


@njit(cache=True, nogil=True, inline="always")
def nearest_pixel(x: float, size: int) -> int:
    """The pixel that a position lies in, or the nearest in 0..size - 1."""
    return min(max(floor(x), 0), size - 1)


@njit(cache=True, nogil=True)
def find_offsets(
    corners: NDArray[np.int32],
    weights: FloatArray,
    now: FloatArray,
    older: FloatArray,
    moved: FloatArray,
) -> None:
    """How far from where they are in this frame surface points were in an older one.

    Args:
        corners: (h, w, 3) of this frame's `VisiblePoints`.
        weights: (h, w, 3) of these.
        now: (V, 3) this frame's `screen_points`.
        older: (V, 3) the older frame's.
        moved: (h, w, 2) filled, x and y; `NOWHERE` where no head is seen, but 0 if nowhere is.
    """
    seen = False
    for y in range(moved.shape[0]):
        for x in range(moved.shape[1]):
            a, b, c = weights[y, x, 0], weights[y, x, 1], weights[y, x, 2]
            if a + b + c < 0.5:
                moved[y, x, 0] = NOWHERE
                continue
            seen = True
            i, j, k = corners[y, x, 0], corners[y, x, 1], corners[y, x, 2]
            nx, ny = place(i, j, k, a, b, c, now)
            ox, oy = place(i, j, k, a, b, c, older)
            moved[y, x, 0], moved[y, x, 1] = ox - nx, oy - ny
    if not seen:
        moved[:] = 0


@njit(cache=True, nogil=True)
def reproject_nearest(
    moved: FloatArray,
    part: NetworkArray,
    top: int,
    bottom: int,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    carried: NetworkArray,
) -> None:
    """Take each pixel's channels from the pixel where its point was.

    Args:
        moved: (h, w, 2) of `find_offsets`.
        part: (h, w, C) of the older frame's cache.
        top: The first row.
        bottom: The row after the last.
        left: (h,) where each row begins.
        right: (h,) and ends.
        carried: (h, w, C) filled there.
    """
    height, width, channels = part.shape
    columns = np.empty(width, np.int32)
    for y in range(top, bottom):
        if left[y] >= right[y]:
            continue
        row = _find_movers(moved, y, left[y], columns)
        for x in range(left[y], right[y]):
            oy = nearest_pixel(y + 0.5 + moved[row, columns[x], 1], height)
            ox = nearest_pixel(x + 0.5 + moved[row, columns[x], 0], width)
            for i in range(channels):
                carried[y, x, i] = part[oy, ox, i]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def reproject_sum(
    moved: FloatArray,
    base: NetworkArray,
    part: NetworkArray,
    share: float,
    top: int,
    bottom: int,
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    carried: NetworkArray,
) -> None:
    """Take each pixel's channels from where its point was: of one array from the pixel there, and
    of another a share of what is between the pixels there.

    Args:
        moved: (h, w, 2) of `find_offsets`.
        base: (h, w, C) of the older frame's cache.
        part: (h, w, C) of it too, taken bilinearly.
        share: What `part` is multiplied by.
        top: The first row.
        bottom: The row after the last.
        left: (h,) where each row begins.
        right: (h,) and ends.
        carried: (h, w, C) filled there.
    """
    height, width, channels = part.shape
    columns, one = np.empty(width, np.int32), np.float32(1)
    for y in range(top, bottom):
        if left[y] >= right[y]:
            continue
        row = _find_movers(moved, y, left[y], columns)
        for x in range(left[y], right[y]):
            py, px = y + moved[row, columns[x], 1], x + moved[row, columns[x], 0]
            oy, ox = nearest_pixel(py + 0.5, height), nearest_pixel(px + 0.5, width)
            py, px = min(max(py, 0.0), height - 1.0), min(max(px, 0.0), width - 1.0)
            y0, x0 = int(py), int(px)
            y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
            v, u = np.float32(py - y0), np.float32(px - x0)
            upper, lower = np.float32(share) * (one - v), np.float32(share) * v
            w00, w01, w10, w11 = upper * (one - u), upper * u, lower * (one - u), lower * u
            for i in range(channels):
                value = w00 * to_float(part[y0, x0, i]) + w01 * to_float(part[y0, x1, i])
                value += w10 * to_float(part[y1, x0, i]) + w11 * to_float(part[y1, x1, i])
                carried[y, x, i] = from_float(to_float(base[oy, ox, i]) + value, carried)


@njit(cache=True, nogil=True)
def _find_movers(moved: FloatArray, y: int, left: int, columns: NDArray[np.int32]) -> int:
    """Which pixels the pixels of a row move with; twin of `carry._spread`.

    Args:
        moved: (h, w, 2) of `find_offsets`, some of it not `NOWHERE`.
        y: The row.
        left: Its first pixel that matters.
        columns: (w,) filled there with their columns.

    Returns:
        Their row.
    """
    row = _nearest_row(moved, y)
    before = -1
    for x in range(moved.shape[1]):
        if moved[row, x, 0] != NOWHERE:
            before = x
        columns[x] = before
    after = -1
    for x in range(moved.shape[1] - 1, left - 1, -1):
        if moved[row, x, 0] != NOWHERE:
            after = x
        if columns[x] < 0 or (after >= 0 and after - x < x - columns[x]):
            columns[x] = after
    return row


@njit(cache=True, nogil=True)
def _nearest_row(moved: FloatArray, y: int) -> int:
    """The row nearest to `y` that shows the head somewhere; of two the upper."""
    for distance in range(moved.shape[0]):
        for row in (y - distance, y + distance):
            if 0 <= row < moved.shape[0]:
                for x in range(moved.shape[1]):
                    if moved[row, x, 0] != NOWHERE:
                        return row
    return y
