"""The ends of our warp on a CPU, fused: triangles to live inputs, network output to pixels.

Twins in plain torch: `networks/live.py` (`live_inputs`, `PaintOver`, `Foreground.over`). Between a
viewer's frames other work evicts our memory from the caches, so what counts is how much of it is
touched: texels are 16-bit, nothing at full resolution is written but the picture, and nothing
beyond the head's reach is looked at. No interpreter lock, one core.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from models.contract.frame_state import FloatArray
from models.geometry.gbuffer import (
    SOFT_MAX,
    SURFACE_CHANNELS,
    Geometry,
    interpolate_normal,
    interpolate_uv,
    view_direction_of,
)
from models.geometry.head import Head
from models.geometry.rasterizer_numba import corner_weights, texture_span
from models.geometry.surface_points import first_covered
from models.kernels.bfloat16 import NetworkArray, from_float, to_float
from models.kernels.reproject_features import NOWHERE, nearest_pixel, place
from models.kernels.texture_lookup import bilinear_corners
from models.kernels.vectors import TEXELS, mix_texels

HALF_PADDING = 16
"""Channels of the half-resolution input are padded to a multiple of this for oneDNN: what its
convolution works in, and would pad to by copying otherwise."""


class Texels(NamedTuple):
    """A neural texture in 16 bits."""

    values: NDArray[np.int16]
    """(h, w, C)"""
    step: FloatArray
    """(C,) what one unit of `values` is worth."""


class ActiveRegion(NamedTuple):
    """Between which columns the rows of a picture may show the head, at half resolution."""

    left: NDArray[np.int32]
    """(H/2,)"""
    right: NDArray[np.int32]
    """(H/2,) one past the last; not above `left` where a row shows nothing."""


def quantize(texels: FloatArray) -> Texels:
    """Store (h, w, C) texels with 16 bits each, 1/65534 of every channel's range, C padded by zeros
    to a multiple of 8."""
    channels = _round_up(texels.shape[2], TEXELS)
    step = np.maximum(np.abs(texels).max(axis=(0, 1)) / 32767, 1e-12).astype(np.float32)
    values = np.zeros((*texels.shape[:2], channels), np.int16)
    values[..., : texels.shape[2]] = np.round(texels / step)
    return Texels(values, np.pad(step, (0, channels - len(step))))


def allocate_half(size: int, live: int, multiple: int, dtype: torch.dtype) -> Tensor:
    """Zeros for live inputs.

    Args:
        size: Rows and columns of the picture.
        live: L.
        multiple: Of this is the number of channels.
        dtype: What convolutions run in.

    Returns:
        (H/2 + 2, W/2 + 16, P): the inputs go after the first row and column; what is around them,
        beyond the picture's edge, stays zeros.
    """
    channels = _round_up(live + 2, multiple)
    return torch.zeros((size // 2 + 2, size // 2 + 16, channels), dtype=dtype)


def _round_up(count: int, multiple: int) -> int:
    return -(-count // multiple) * multiple


@njit(cache=True, nogil=True)
def find_active_region(
    soft: NDArray[np.uint8], distance: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Where the head is or may reach to, row by row; twin of `live.reach`.

    Args:
        soft: (H, W) softened coverage.
        distance: How far from what is covered the mask may go, pixels at half resolution.

    Returns:
        The fields of a `ActiveRegion`.
    """
    rows, columns = soft.shape[0] // 2, soft.shape[1] // 2
    first, last = np.full(rows, columns, np.int32), np.full(rows, -1, np.int32)
    for y in range(soft.shape[0]):
        row = y // 2
        for x in range(soft.shape[1]):
            if soft[y, x]:
                first[row] = min(first[row], x // 2)
                break
        for x in range(soft.shape[1] - 1, -1, -1):
            if soft[y, x]:
                last[row] = max(last[row], x // 2)
                break
    left, right = np.zeros(rows, np.int32), np.zeros(rows, np.int32)
    for row in range(rows):
        low, high = columns, -1
        for near in range(max(row - distance, 0), min(row + distance + 1, rows)):
            low, high = min(low, first[near]), max(high, last[near])
        if high >= 0:
            left[row], right[row] = max(low - distance, 0), min(high + distance + 1, columns)
    return left, right


def fill(
    half: NetworkArray,
    triangle: NDArray[np.int32],
    soft: NDArray[np.uint8],
    geometry: Geometry,
    head: Head,
    texels: Texels,
    scale: FloatArray,
    cached_uv: FloatArray,
    cached_points: FloatArray,
    moved: FloatArray,
    top: int,
    bottom: int,
) -> None:
    """Draw some rows of a frame's live inputs, and find what has moved how far.

    Args:
        half: As `allocate_half` makes, filled: live inputs of 2x2 pixels, UV change, zeros. It may
            hold an earlier frame's.
        triangle: (H, W) the seen triangles.
        soft: (H, W) their softened coverage, see `gbuffer.soften_rows`.
        geometry: Of the same frame.
        head: Its topology.
        texels: The feature texture.
        scale: (C,) what the channels are multiplied by in this view.
        cached_uv: (H/2, W/2, 3) UV of the cached frame, and whether it shows the head there.
        cached_points: (V, 3) the cached frame's `screen_points`.
        moved: (H/2, W/2, 2) filled, see `carry_kernel.find_offsets`.
        top: The first row, at half resolution.
        bottom: The row after the last.
    """
    steps = texels.step.copy()
    steps[: len(scale)] *= scale
    _fill(
        triangle, soft, *geometry, head.faces, head.uvs, head.uv_faces,
        texels.values, steps, len(scale), cached_uv, cached_points, moved, top, bottom, half,
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _fill(
    triangle: NDArray[np.int32],
    soft: NDArray[np.uint8],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    normals: FloatArray,
    sight: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    texels: NDArray[np.int16],
    scale: FloatArray,
    channels: int,
    cached_uv: FloatArray,
    cached_points: FloatArray,
    moved: FloatArray,
    top: int,
    bottom: int,
    half: NetworkArray,
) -> None:
    live = channels + SURFACE_CHANNELS
    flat = half.reshape(-1)
    # Whole vectors: the zeros in excess land on the next pixel, before it is its turn.
    numbers = np.zeros(-(-half.shape[2] // HALF_PADDING) * HALF_PADDING, np.float32)
    for hy in range(top, bottom):
        for hx in range(triangle.shape[1] // 2):
            here = ((hy + 1) * half.shape[1] + hx + 1) * half.shape[2]
            y, x, shown = first_covered(triangle, hy, hx)
            seen = int(soft[2 * hy, 2 * hx]) + soft[2 * hy, 2 * hx + 1]
            seen += int(soft[2 * hy + 1, 2 * hx]) + soft[2 * hy + 1, 2 * hx + 1]
            coverage = np.float32(seen) / np.float32(4 * SOFT_MAX)
            if shown == 0:
                moved[hy, hx, 0] = NOWHERE
                if seen or flat[here + channels]:  # or the frame before left something here
                    numbers[:] = 0
                    numbers[channels] = coverage
                    for i in range(numbers.shape[0]):
                        flat[here + i] = from_float(numbers[i], half)
                continue
            share = np.float32(shown) * np.float32(0.25)
            f = triangle[y, x]
            a, b, c = corner_weights(x, y, f, xy, inverse_depth, faces)
            u, v = interpolate_uv(f, a, b, c, uvs, uv_faces)
            _look_up(texels, u, v, scale, numbers)
            for i in range(channels):
                numbers[i] *= share
            nx, ny, nz = interpolate_normal(f, a, b, c, normals, faces)
            ex, ey, ez = view_direction_of(x, y, sight)
            facing = nx * ex + ny * ey + nz * ez
            numbers[channels] = coverage
            numbers[channels + 1] = nx * share
            numbers[channels + 2] = ny * share
            numbers[channels + 3] = nz * share
            numbers[channels + 4] = (2 * facing * nx - ex) * share
            numbers[channels + 5] = (2 * facing * ny - ey) * share
            numbers[channels + 6] = (2 * facing * nz - ez) * share
            numbers[channels + 7] = facing * share
            ox, oy = place(faces[f, 0], faces[f, 1], faces[f, 2], a, b, c, cached_points)
            dx, dy = np.float32(ox - 0.5 * (x + 0.5)), np.float32(oy - 0.5 * (y + 0.5))
            moved[hy, hx, 0], moved[hy, hx, 1] = dx, dy
            cy = nearest_pixel(float(hy + 0.5 + dy), cached_uv.shape[0])
            cx = nearest_pixel(float(hx + 0.5 + dx), cached_uv.shape[1])
            both = cached_uv[cy, cx, 2]
            numbers[live] = np.float32(u) * both - cached_uv[cy, cx, 0]
            numbers[live + 1] = np.float32(v) * both - cached_uv[cy, cx, 1]
            for i in range(numbers.shape[0]):
                flat[here + i] = from_float(numbers[i], half)


def compose(
    smooth: NetworkArray,
    triangle: NDArray[np.int32],
    soft: NDArray[np.uint8],
    geometry: Geometry,
    head: Head,
    paint: Texels,
    line: FloatArray,
    reach: ActiveRegion,
    background: NDArray[np.uint8],
    top: int,
    left: int,
    rgb: NDArray[np.uint8],
) -> None:
    """Pixel shuffle, paint, mask and background, to 8 bits.

    Args:
        smooth: (h, w, 32) network output of h rows and w columns at half resolution: 8 channels,
            each as 2x2 pixels. Columns outside it are beyond the rows' reach.
        triangle: (H, W) as for `fill`.
        soft: (H, W) as for `fill`.
        geometry: As for `fill`.
        head: As for `fill`.
        paint: The paint texture, one vector a texel.
        line: (2,) slope and offset of the mask's logit over the soft coverage.
        reach: Beyond it there is only background.
        background: (H, W, 3).
        top: The first of the rows, at half resolution.
        left: The first of the columns, at half resolution.
        rgb: (H, W, 3), filled in these rows, all columns.
    """
    _compose(
        smooth, triangle, soft, geometry.xy, geometry.inverse_depth, head.faces, head.uvs,
        head.uv_faces, *paint, line, *reach, background, top, left, rgb,
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _compose(
    smooth: NetworkArray,
    triangle: NDArray[np.int32],
    soft: NDArray[np.uint8],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    texels: NDArray[np.int16],
    step: FloatArray,
    line: FloatArray,
    reach_left: NDArray[np.int32],
    reach_right: NDArray[np.int32],
    background: NDArray[np.uint8],
    top: int,
    left: int,
    rgb: NDArray[np.uint8],
) -> None:
    one, white = np.float32(1), np.float32(255)
    slope, offset = line[0] / np.float32(SOFT_MAX), line[1]
    columns = background.shape[1]
    paint = np.empty((columns, TEXELS), np.float32)
    corner = np.empty(columns, np.int64)
    share_x, share_y = np.empty(columns, np.float32), np.empty(columns, np.float32)
    for y in range(2 * top, 2 * (top + smooth.shape[0])):
        sy = y // 2 - top
        begin, end = 2 * reach_left[y // 2], 2 * reach_right[y // 2]
        if begin >= end:
            begin, end = columns, columns
        rgb[y, :begin] = background[y, :begin]
        rgb[y, end:] = background[y, end:]
        # One thing at a time, so that many texels are on their way from memory at once.
        _find_texels(
            y, begin, end, triangle, xy, inverse_depth, faces, uvs, uv_faces, texels,
            corner, share_x, share_y,
        )  # fmt: skip
        _look_up_row(begin, end, texels, step, corner, share_x, share_y, paint)
        for x in range(begin, end):
            sx, part = x // 2 - left, 2 * (y % 2) + x % 2
            logit = to_float(smooth[sy, sx, 12 + part]) + paint[x, 3]
            logit += slope * np.float32(soft[y, x]) + offset
            if logit < -7:  # a mask below 1/1000 changes no 8-bit value by one
                for k in range(3):
                    rgb[y, x, k] = background[y, x, k]
                continue
            mask = one if logit > 7 else one / (one + np.exp(-logit))
            shine = to_float(smooth[sy, sx, 28 + part]) * paint[x, 4]
            for k in range(3):
                gain = one + to_float(smooth[sy, sx, 16 + 4 * k + part])
                colour = to_float(smooth[sy, sx, 4 * k + part]) + gain * paint[x, k] + shine
                value = mask * colour * white + (one - mask) * np.float32(background[y, x, k])
                value = min(max(value, np.float32(0)), white)
                rgb[y, x, k] = np.uint8(value + np.float32(0.5))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _find_texels(
    y: int,
    begin: int,
    end: int,
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    texels: NDArray[np.int16],
    corner: NDArray[np.int64],
    share_x: FloatArray,
    share_y: FloatArray,
) -> None:
    """Where in a texture the pixels from `begin` up to `end` of row `y` look.

    Fills in these columns of `corner` the place of the upper left of four texels in the flat
    texture, -1 off the head, and in `share_x` and `share_y` how far beyond it they are, in texels.
    """
    height, width, channels = texels.shape
    before = -1
    u0, ux, v0, vx, w0, wx = 0.0, 0.0, 0.0, 0.0, 1.0, 0.0
    for x in range(begin, end):
        f = triangle[y, x]
        corner[x] = -1
        if f < 0:
            continue
        if f != before:
            before = f
            u0, ux, v0, vx, w0, wx = texture_span(y, f, xy, inverse_depth, faces, uvs, uv_faces)
        w = 1 / (w0 + wx * x)
        tx = min(max((u0 + ux * x) * w * width - 0.5, 0.0), width - 1.0)
        ty = min(max((v0 + vx * x) * w * height - 0.5, 0.0), height - 1.0)
        x0, y0 = min(int(tx), width - 2), min(int(ty), height - 2)
        corner[x] = (y0 * width + x0) * channels
        share_x[x], share_y[x] = np.float32(tx - x0), np.float32(ty - y0)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _look_up_row(
    begin: int,
    end: int,
    texels: NDArray[np.int16],
    step: FloatArray,
    corner: NDArray[np.int64],
    share_x: FloatArray,
    share_y: FloatArray,
    values: FloatArray,
) -> None:
    """Fill these columns of `values` (W, 8) from where `_find_texels` says; 0 off the head."""
    one = np.float32(1)
    line, flat, out = texels.shape[1] * TEXELS, texels.reshape(-1), values.reshape(-1)
    for x in range(begin, end):
        at = corner[x]
        if at < 0:
            for k in range(TEXELS):
                values[x, k] = 0
            continue
        fx, fy = share_x[x], share_y[x]
        gx, gy = one - fx, one - fy
        mix_texels(
            flat, (at, at + TEXELS, at + line, at + line + TEXELS),
            (gy * gx, gy * fx, fy * gx, fy * fx), step, 0, out, x * TEXELS,
        )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
def _look_up(
    texels: NDArray[np.int16], u: float, v: float, scale: FloatArray, values: FloatArray
) -> None:
    """Fill the first C of `values` with the texture at (u, v) in [-1, 1], times `scale`."""
    height, width, channels = texels.shape
    flat = texels.reshape(-1)
    x0, y0, x1, y1, w00, w01, w10, w11 = bilinear_corners(u, v, height, width)
    above, below = y0 * width, y1 * width
    for k in range(0, channels, TEXELS):
        corners = (
            (above + x0) * channels + k, (above + x1) * channels + k,
            (below + x0) * channels + k, (below + x1) * channels + k,
        )  # fmt: skip
        mix_texels(flat, corners, (w00, w01, w10, w11), scale, k, values, k)
