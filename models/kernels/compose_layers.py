"""The composition of our warp on a CPU to the layers of a head, which has no background then.

The same as `compose.compose` as far as the head goes. Reference: `layers.layers_of` of what
`PaintOver` returns. Releases the interpreter lock, uses one core.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.contract.images import Layers
from models.geometry.gbuffer import SOFT_MAX, RasterizedHead
from models.kernels.bfloat16 import NetworkArray
from models.kernels.compose import (
    CERTAIN_LOGIT,
    allocate_row,
    gloss_of,
    mask_logit,
    matt_colour,
    paint_row,
)
from models.kernels.fill_inputs import ActiveRegion, active_pixels
from models.kernels.layers import LEAST_MASK, MASK_SCALE
from models.kernels.texels import Texels


def compose_layers(
    smooth: NetworkArray,
    raster: RasterizedHead,
    paint: Texels,
    outline: FloatArray,
    active: ActiveRegion,
    top: int,
    left: int,
    layers: Layers,
) -> None:
    """Do what `compose` does without a background.

    Args:
        smooth: (h, w, 32) output of the convolutions at half resolution: 8 channels, each as 2x2
            pixels. All active columns of these rows must be inside.
        raster: The rasterized frame.
        paint: The paint texture, one vector per texel.
        outline: (2,) slope and offset of the mask logit over the soft coverage.
        active: Outside of it nothing is covered.
        top: Row of the image where `smooth` begins, at half resolution.
        left: Column of the image where `smooth` begins, at half resolution.
        layers: (H, W, 4) colour and coverage, filled in these rows, in all columns; 0 where nothing
            is covered.
    """
    geometry, head = raster.geometry, raster.head
    _compose_layers(
        smooth, *raster[:3], geometry.xy, geometry.inverse_depth, head.faces, head.uvs,
        head.uv_faces, *paint, outline, *active, top, left, layers,
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _compose_layers(
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
    top: int,
    left: int,
    layers: NDArray[np.uint8],
) -> None:
    """`compose_layers` on plain arrays, as numba needs them."""
    columns = layers.shape[1]
    buffers = allocate_row(columns)
    for y in range(2 * top, 2 * (top + smooth.shape[0])):
        begin, end = active_pixels(y // 2, columns, active_left, active_right)
        # The buffer holds the layers of an earlier frame.
        for x in range(columns):
            for k in range(4):
                layers[y, x, k] = 0
        paint = paint_row(
            y, begin, end, triangle, blend, xy, inverse_depth, faces, uvs, uv_faces, texels, step,
            buffers,
        )  # fmt: skip
        _fill_row(y, begin, end, smooth[y // 2 - top], paint, soft[y], outline, left, layers[y])


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _fill_row(
    y: int,
    begin: int,
    end: int,
    smooth: NetworkArray,
    paint: FloatArray,
    soft: NDArray[np.uint8],
    outline: FloatArray,
    left: int,
    layers: NDArray[np.uint8],
) -> None:
    """Fill some pixels of a row of the layers (W, 4); arguments as `compose_row`."""
    one, white, half = np.float32(1), np.float32(255), np.float32(0.5)
    slope, offset = outline[0] / np.float32(SOFT_MAX), outline[1]
    for x in range(begin, end):
        sx, part = x // 2 - left, 2 * (y % 2) + x % 2
        logit = mask_logit(smooth, paint, sx, part, x) + slope * np.float32(soft[x]) + offset
        if logit < -CERTAIN_LOGIT:
            continue
        mask = one if logit > CERTAIN_LOGIT else one / (one + np.exp(-logit))
        coverage = (mask - np.float32(LEAST_MASK)) * np.float32(MASK_SCALE)
        layers[x, 3] = np.uint8(min(max(coverage, np.float32(0)), one) * white + half)
        gloss = gloss_of(smooth, paint, sx, part, x)
        for k in range(3):
            colour = (matt_colour(smooth, paint, sx, part, x, k) + gloss) * white
            layers[x, k] = np.uint8(min(max(colour, np.float32(0)), white) + half)
