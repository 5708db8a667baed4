"""The composition of our warp on a CPU: from the output of its convolutions to 8-bit pixels.

The same in plain torch: `PaintOver` and `Foreground.over` in `networks/telewarp.py`. The only thing
written at full resolution is the image, and the only thing read outside of the active region is the
background. Releases the interpreter lock, uses one core.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.geometry.gbuffer import SOFT_MAX, RasterizedHead
from models.geometry.rasterizer_numba import texture_span
from models.geometry.silhouettes import SHARE_UNIT
from models.geometry.silhouettes_numba import neighbour
from models.kernels.bfloat16 import NetworkArray, to_float
from models.kernels.fill_inputs import ActiveRegion, active_pixels
from models.kernels.texels import Texels, sample_row
from models.kernels.vectors import TEXELS

# Where in the 4 * 8 outputs of the convolutions each channel's 2x2 pixels begin (pixel shuffle).
_MASK_LOGIT = 4 * 3
_ALBEDO_GAIN = 4 * 4
_GLOSS_GAIN = 4 * 7

CERTAIN_LOGIT = 7
"""Mask logits beyond +-7 count as 0 or 1: a mask below 1/1000 changes no 8-bit value by one."""


class RowBuffers(NamedTuple):
    """Work space for the pixels of a row."""

    paint: FloatArray
    """(W, 8) paint of each pixel."""
    mixed: NDArray[np.int64]
    """(W,) columns of the pixels that mix with a neighbour."""
    corner: NDArray[np.int64]
    """(W,) index of the upper left texel of each lookup, -1 off the head."""
    share_x: FloatArray
    """(W,) position beyond that texel to the right, texels."""
    share_y: FloatArray
    """(W,) position beyond that texel downwards, texels."""
    beside: FloatArray
    """(W, 8) paint of the neighbours that pixels mix with."""


@njit(cache=True, nogil=True)
def allocate_row(columns: int) -> RowBuffers:
    """Allocate the work space of `compose_row`."""
    return RowBuffers(
        np.empty((columns, TEXELS), np.float32),
        np.empty(columns, np.int64),
        np.empty(columns, np.int64),
        np.empty(columns, np.float32),
        np.empty(columns, np.float32),
        np.empty((columns, TEXELS), np.float32),
    )


def compose(
    smooth: NetworkArray,
    raster: RasterizedHead,
    paint: Texels,
    outline: FloatArray,
    active: ActiveRegion,
    background: NDArray[np.uint8],
    top: int,
    left: int,
    rgb: NDArray[np.uint8],
) -> None:
    """Apply pixel shuffle, paint, mask and background, and round to 8 bits.

    Args:
        smooth: (h, w, 32) output of the convolutions at half resolution: 8 channels, each as 2x2
            pixels. All active columns of these rows must be inside.
        raster: The rasterized frame.
        paint: The paint texture, one vector per texel.
        outline: (2,) slope and offset of the mask logit over the soft coverage.
        active: Outside of it there is only background.
        background: (H, W, 3) uint8 RGB.
        top: Row of the image where `smooth` begins, at half resolution.
        left: Column of the image where `smooth` begins, at half resolution.
        rgb: (H, W, 3) uint8, filled in these rows, in all columns.
    """
    geometry, head = raster.geometry, raster.head
    _compose(
        smooth, *raster[:3], geometry.xy, geometry.inverse_depth, head.faces, head.uvs,
        head.uv_faces, *paint, outline, *active, background, top, left, rgb,
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _compose(
    smooth: NetworkArray,
    triangle: NDArray[np.int32],
    blend: NDArray[np.uint8],
    soft: NDArray[np.uint8],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    texels: NDArray[np.int16],
    step: FloatArray,
    outline: FloatArray,
    active_left: NDArray[np.int32],
    active_right: NDArray[np.int32],
    background: NDArray[np.uint8],
    top: int,
    left: int,
    rgb: NDArray[np.uint8],
) -> None:
    """`compose` on plain arrays, as numba needs them."""
    columns = background.shape[1]
    buffers = allocate_row(columns)
    for y in range(2 * top, 2 * (top + smooth.shape[0])):
        begin, end = active_pixels(y // 2, columns, active_left, active_right)
        _copy_pixels(y, 0, begin, background, rgb[y])
        _copy_pixels(y, end, columns, background, rgb[y])
        compose_row(
            y, begin, end, smooth[y // 2 - top], triangle, blend, soft, xy, inverse_depth, faces,
            uvs, uv_faces, texels, step, outline, background, left, buffers, rgb[y],
        )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def compose_row(
    y: int,
    begin: int,
    end: int,
    smooth: NetworkArray,
    triangle: NDArray[np.int32],
    blend: NDArray[np.uint8],
    soft: NDArray[np.uint8],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    texels: NDArray[np.int16],
    step: FloatArray,
    outline: FloatArray,
    background: NDArray[np.uint8],
    left: int,
    buffers: RowBuffers,
    colours: NDArray[np.uint8],
) -> None:
    """Compose some pixels of a row of the image.

    Args:
        y: Row of the image.
        begin: The first pixel.
        end: The pixel after the last.
        smooth: (w, 32) output of the convolutions in the row: 8 channels, each as 2x2 pixels.
        triangle: (H, W) visible triangles, -1 off the head.
        blend: (H, W) how pixels mix at silhouettes, as `EdgeBlends.blend`.
        soft: (H, W) soft coverage, 0..`SOFT_MAX`.
        xy: (V, 2) screen positions, 1/256 pixels.
        inverse_depth: (V,) inverse depths, 1/metres.
        faces: (F, 3) vertices of each triangle.
        uvs: (T, 2) texture coordinates, 0..1.
        uv_faces: (F, 3) rows of `uvs` for the corners of each triangle.
        texels: (h, w, 8) integer values of the paint texture, as `Texels.values`.
        step: (8,) value of one unit of each channel of `texels`, as `Texels.step`.
        outline: (2,) slope and offset of the mask logit over the soft coverage.
        background: (H, W, 3) uint8 RGB.
        left: First column of `smooth`, at half resolution.
        buffers: Work space.
        colours: (W, 3) RGB of the row, filled in these pixels.
    """
    one, white = np.float32(1), np.float32(255)
    slope, offset = outline[0] / np.float32(SOFT_MAX), outline[1]
    paint = paint_row(
        y, begin, end, triangle, blend, xy, inverse_depth, faces, uvs, uv_faces, texels, step,
        buffers,
    )  # fmt: skip
    for x in range(begin, end):
        # Pixel shuffle: the four pixels of a 2x2 block are four adjacent outputs.
        sx, part = x // 2 - left, 2 * (y % 2) + x % 2
        logit = mask_logit(smooth, paint, sx, part, x)
        logit += slope * np.float32(soft[y, x]) + offset
        # Skips most of a row's exponentials, as most pixels are well inside or outside.
        if logit < -CERTAIN_LOGIT:
            _copy_pixels(y, x, x + 1, background, colours)
            continue
        mask = one if logit > CERTAIN_LOGIT else one / (one + np.exp(-logit))
        gloss = gloss_of(smooth, paint, sx, part, x)
        for k in range(3):
            colour = matt_colour(smooth, paint, sx, part, x, k) + gloss
            value = mask * colour * white + (one - mask) * np.float32(background[y, x, k])
            value = min(max(value, np.float32(0)), white)
            # The conversion truncates, so half a unit more rounds.
            colours[x, k] = np.uint8(value + np.float32(0.5))


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def paint_row(
    y: int,
    begin: int,
    end: int,
    triangle: NDArray[np.int32],
    blend: NDArray[np.uint8],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    texels: NDArray[np.int16],
    step: FloatArray,
    buffers: RowBuffers,
) -> FloatArray:
    """Return the paint (W, 8) of some pixels of a row; arguments as `compose_row`."""
    paint, mixed, corner, share_x, share_y, beside = buffers
    # Several loops, so that the CPU has the loads of many texels under way at once.
    _find_texels(
        y, begin, end, triangle, xy, inverse_depth, faces, uvs, uv_faces, texels,
        corner, share_x, share_y,
    )  # fmt: skip
    sample_row(begin, end, texels, step, corner, share_x, share_y, paint)
    _mix_row(
        y, begin, end, blend, triangle, xy, inverse_depth, faces, uvs, uv_faces, texels, step,
        mixed, corner, share_x, share_y, beside, paint,
    )  # fmt: skip
    return paint


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
def mask_logit(smooth: NetworkArray, paint: FloatArray, sx: int, part: int, x: int) -> Any:
    """Return the mask logit of a pixel before that of its soft coverage.

    Args:
        smooth: (w, 32) row of the output of the convolutions.
        paint: (W, 8) of `paint_row`.
        sx: Column of `smooth`.
        part: Which of its 2x2 pixels.
        x: Column of the image.
    """
    return to_float(smooth[sx, _MASK_LOGIT + part]) + paint[x, 3]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
def gloss_of(smooth: NetworkArray, paint: FloatArray, sx: int, part: int, x: int) -> Any:
    """Return the gloss of a pixel, a part of all its colours; arguments as `mask_logit`."""
    return to_float(smooth[sx, _GLOSS_GAIN + part]) * paint[x, 4]


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
def matt_colour(smooth: NetworkArray, paint: FloatArray, sx: int, part: int, x: int, k: int) -> Any:
    """Return colour `k` of a pixel without its gloss; other arguments as `mask_logit`."""
    gain = np.float32(1) + to_float(smooth[sx, _ALBEDO_GAIN + 4 * k + part])
    return to_float(smooth[sx, 4 * k + part]) + gain * paint[x, k]


@njit(cache=True, nogil=True, inline="always")
def _copy_pixels(
    y: int, begin: int, end: int, background: NDArray[np.uint8], row: NDArray[np.uint8]
) -> None:
    # A loop, because numba compiles the assignment of a slice, with its checks of the shapes and
    # the messages of these, for 5 s at the first start.
    for x in range(begin, end):
        for k in range(3):
            row[x, k] = background[y, x, k]


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
    """Find the four texels around each pixel's texture coordinates, for a row.

    Args:
        y: Row of the image.
        begin: The first pixel.
        end: The pixel after the last.
        triangle: (H, W) visible triangles, -1 off the head.
        xy: (V, 2) screen positions, 1/256 pixels.
        inverse_depth: (V,) inverse depths, 1/metres.
        faces: (F, 3) vertices of each triangle.
        uvs: (T, 2) texture coordinates, 0..1.
        uv_faces: (F, 3) rows of `uvs` for the corners of each triangle.
        texels: (h, w, 8), for its size.
        corner: (W,) filled: index of the upper left texel in the flat texture, -1 off the head.
        share_x: (W,) filled: position beyond that texel to the right, texels.
        share_y: (W,) filled: position beyond that texel downwards, texels.
    """
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
        corner[x], share_x[x], share_y[x] = _texels_around(
            (u0 + ux * x) * w, (v0 + vx * x) * w, texels
        )


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
def _texels_around(
    u: float, v: float, texels: NDArray[np.int16]
) -> tuple[int, np.float32, np.float32]:
    """Find the four texels around texture coordinates in 0..1.

    Returns:
        Index of the upper left one in the flat texture, and the position beyond it to the right and
        downwards, texels.
    """
    height, width, channels = texels.shape
    tx = min(max(u * width - 0.5, 0.0), width - 1.0)
    ty = min(max(v * height - 0.5, 0.0), height - 1.0)
    # Not the last texel, whose right or lower neighbour would be outside; the share is 1 there.
    x0, y0 = min(int(tx), width - 2), min(int(ty), height - 2)
    return (y0 * width + x0) * channels, np.float32(tx - x0), np.float32(ty - y0)


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _mix_row(
    y: int,
    begin: int,
    end: int,
    blend: NDArray[np.uint8],
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    texels: NDArray[np.int16],
    step: FloatArray,
    mixed: NDArray[np.int64],
    corner: NDArray[np.int64],
    share_x: FloatArray,
    share_y: FloatArray,
    beside: FloatArray,
    paint: FloatArray,
) -> None:
    """Mix the paint of a row's pixels at silhouettes with that of their neighbours.

    Args:
        y: Row of the image.
        begin: The first pixel.
        end: The pixel after the last.
        blend: (H, W) how pixels mix at silhouettes, as `EdgeBlends.blend`.
        triangle: (H, W) visible triangles, -1 off the head.
        xy: (V, 2) screen positions, 1/256 pixels.
        inverse_depth: (V,) inverse depths, 1/metres.
        faces: (F, 3) vertices of each triangle.
        uvs: (T, 2) texture coordinates, 0..1.
        uv_faces: (F, 3) rows of `uvs` for the corners of each triangle.
        texels: (h, w, 8) integer values of the paint texture, as `Texels.values`.
        step: (8,) value of one unit of each channel of `texels`, as `Texels.step`.
        mixed: (W,) work space: columns of the pixels that mix.
        corner: (W,) work space: index of the upper left texel that a neighbour shows.
        share_x: (W,) work space: position beyond that texel to the right, texels.
        share_y: (W,) work space: position beyond that texel downwards, texels.
        beside: (W, 8) work space: paint of the neighbours.
        paint: (W, 8) paint of the row's pixels, changed.
    """
    count = 0
    for x in range(begin, end):
        if blend[y, x]:
            mixed[count] = x
            count += 1
    for i in range(count):
        ny, nx = neighbour(y, mixed[i], int(blend[y, mixed[i]]))
        f = triangle[ny, nx]
        corner[i] = -1
        if f >= 0:
            u0, ux, v0, vx, w0, wx = texture_span(ny, f, xy, inverse_depth, faces, uvs, uv_faces)
            w = 1 / (w0 + wx * nx)
            corner[i], share_x[i], share_y[i] = _texels_around(
                (u0 + ux * nx) * w, (v0 + vx * nx) * w, texels
            )
    sample_row(0, count, texels, step, corner, share_x, share_y, beside)
    for i in range(count):
        x = mixed[i]
        share = np.float32(blend[y, x] >> 2) / np.float32(SHARE_UNIT)
        for k in range(TEXELS):
            paint[x, k] += share * (beside[i, k] - paint[x, k])
