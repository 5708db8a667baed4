"""The live inputs of our warp on a CPU: from rasterized triangles to the input of its convolutions,
and the region in which they are needed.

The same in plain torch: `networks/live_inputs.py`. Between two frames of a viewer other work evicts
our memory from the CPU's caches, so the cost is the memory touched: all values of a pixel are
computed at half resolution and written once, in the element type and layout of the convolution.
Releases the interpreter lock, uses one core.
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
    RasterizedHead,
    interpolate_normal,
    interpolate_uv,
    reflect_view,
)
from models.geometry.rasterizer_numba import corner_weights
from models.geometry.surface_points import first_covered
from models.kernels.bfloat16 import NetworkArray, from_float
from models.kernels.reproject_features import NOT_VISIBLE, nearest_pixel, project_point
from models.kernels.texels import Texels, round_up, sample_all_channels

INPUT_PADDING = 16
"""Channels of the input are padded to a multiple of this for oneDNN: its convolution works in such
blocks, and would otherwise copy the input to pad it."""


class ActiveRegion(NamedTuple):
    """The columns of each row, at half resolution, in which the head may be visible."""

    left: NDArray[np.int32]
    """(H/2,) first column."""
    right: NDArray[np.int32]
    """(H/2,) column after the last; not above `left` in rows without any."""


@njit(cache=True, nogil=True)
def find_active_region(
    soft: NDArray[np.uint8], margin: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Find the active region of a frame, as `networks.live_inputs.find_active_region` does.

    Args:
        soft: (H, W) softened coverage.
        margin: How far beyond the covered pixels the mask may reach, pixels at half resolution.

    Returns:
        The fields of an `ActiveRegion`.
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
    # The same margin upwards and sideways: the max-pooling of the plain form has a square window.
    for row in range(rows):
        low, high = columns, -1
        for near in range(max(row - margin, 0), min(row + margin + 1, rows)):
            low, high = min(low, first[near]), max(high, last[near])
        if high >= 0:
            left[row], right[row] = max(low - margin, 0), min(high + margin + 1, columns)
    return left, right


@njit(cache=True, nogil=True, inline="always")
def active_pixels(
    row: int, columns: int, active_left: NDArray[np.int32], active_right: NDArray[np.int32]
) -> tuple[int, int]:
    """Return the active pixels of a row at half resolution, of `columns` at full resolution."""
    begin, end = 2 * active_left[row], 2 * active_right[row]
    # Nothing is active: the whole row is background.
    return (begin, end) if begin < end else (columns, columns)


def allocate_inputs(size: int, live: int, multiple: int, dtype: torch.dtype) -> Tensor:
    """Allocate a zeroed buffer for the live inputs of a frame.

    Args:
        size: Rows and columns of the image.
        live: L.
        multiple: The number of channels is rounded up to a multiple of this.
        dtype: The precision of the convolutions.

    Returns:
        (H/2 + 2, W/2 + 16, P). The inputs start at the second row and column. The border stays
        zero: it is the padding of the convolution, and the wider one at the right lets vector
        kernels read whole blocks of pixels.
    """
    channels = round_up(live + 2, multiple)
    return torch.zeros((size // 2 + 2, size // 2 + 16, channels), dtype=dtype)


def fill_inputs(
    inputs: NetworkArray,
    raster: RasterizedHead,
    texels: Texels,
    scale: FloatArray,
    cached_uv: FloatArray,
    cached_points: FloatArray,
    flow: FloatArray,
    top: int,
    bottom: int,
) -> None:
    """Compute some rows of a frame's live inputs and of the flow to the cached frame.

    Args:
        inputs: (H/2 + 2, W/2 + 16, P) from `allocate_inputs`, filled with the live inputs of 2x2
            pixels, the UV change, and zeros. May hold the inputs of an earlier frame.
        raster: The rasterized frame.
        texels: The feature texture.
        scale: (C,) scale of its channels for the view, see `channel_scale`.
        cached_uv: (H/2, W/2, 3) UV map and coverage of the cached frame.
        cached_points: (V, 3) the cached frame's `screen_points`.
        flow: (H/2, W/2, 2) filled, see `find_flow`.
        top: The first row, at half resolution.
        bottom: The row after the last.
    """
    head = raster.head
    steps = texels.step.copy()
    steps[: len(scale)] *= scale
    _fill_inputs(
        raster.triangle, raster.soft, *raster.geometry, head.faces, head.uvs, head.uv_faces,
        texels.values, steps, len(scale), cached_uv, cached_points, flow, top, bottom, inputs,
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _fill_inputs(
    triangle: NDArray[np.int32],
    soft: NDArray[np.uint8],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    normals: FloatArray,
    view_directions: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    texels: NDArray[np.int16],
    scale: FloatArray,
    channels: int,
    cached_uv: FloatArray,
    cached_points: FloatArray,
    flow: FloatArray,
    top: int,
    bottom: int,
    inputs: NetworkArray,
) -> None:
    """`fill_inputs` on plain arrays, as numba needs them.

    One loop on purpose: barycentric weights, texture, normal and flow of a pixel share what they
    read, and its values go to memory once.
    """
    live = channels + SURFACE_CHANNELS
    flat = inputs.reshape(-1)
    # A whole number of vectors. Zeros beyond the last channel land on the next pixel, which is
    # written afterwards.
    values = np.zeros(-(-inputs.shape[2] // INPUT_PADDING) * INPUT_PADDING, np.float32)
    for hy in range(top, bottom):
        for hx in range(triangle.shape[1] // 2):
            here = ((hy + 1) * inputs.shape[1] + hx + 1) * inputs.shape[2]
            y, x, count = first_covered(triangle, hy, hx)
            soft_sum = int(soft[2 * hy, 2 * hx]) + soft[2 * hy, 2 * hx + 1]
            soft_sum += int(soft[2 * hy + 1, 2 * hx]) + soft[2 * hy + 1, 2 * hx + 1]
            coverage = np.float32(soft_sum) / np.float32(4 * SOFT_MAX)
            if count == 0:
                flow[hy, hx, 0] = NOT_VISIBLE
                # Pixels without coverage are zeros already, unless an earlier frame left values.
                if soft_sum or flat[here + channels]:
                    values[:] = 0
                    values[channels] = coverage
                    for i in range(values.shape[0]):
                        flat[here + i] = from_float(values[i], inputs)
                continue
            # The first covered pixel gives the values, the share of covered ones scales them.
            share = np.float32(count) * np.float32(0.25)
            f = triangle[y, x]
            a, b, c = corner_weights(x, y, f, xy, inverse_depth, faces)
            u, v = interpolate_uv(f, a, b, c, uvs, uv_faces)
            sample_all_channels(texels, u, v, scale, values)
            for i in range(channels):
                values[i] *= share
            normal = interpolate_normal(f, a, b, c, normals, faces)
            reflection, facing = reflect_view(normal, x, y, view_directions)
            # In the order of `GBuffer.surface`.
            values[channels] = coverage
            for i in range(3):
                values[channels + 1 + i] = normal[i] * share
                values[channels + 4 + i] = reflection[i] * share
            values[channels + 7] = facing * share
            ox, oy = project_point(faces[f, 0], faces[f, 1], faces[f, 2], a, b, c, cached_points)
            # (x, y) is a pixel of the full image, its older position one at half resolution.
            dx, dy = np.float32(ox - 0.5 * (x + 0.5)), np.float32(oy - 0.5 * (y + 0.5))
            flow[hy, hx, 0], flow[hy, hx, 1] = dx, dy
            cy = nearest_pixel(float(hy + 0.5 + dy), cached_uv.shape[0])
            cx = nearest_pixel(float(hx + 0.5 + dx), cached_uv.shape[1])
            # The UV change, 0 where the cached frame does not show the head.
            both = cached_uv[cy, cx, 2]
            values[live] = np.float32(u) * both - cached_uv[cy, cx, 0]
            values[live + 1] = np.float32(v) * both - cached_uv[cy, cx, 1]
            for i in range(values.shape[0]):
                flat[here + i] = from_float(values[i], inputs)
