"""The composition of our warp on a CPU to NV12, which video encoders take without a conversion.

The same as `compose.compose`, followed by `nv12.rgb_to_nv12`, to the bit. Of the image, only the
pixels that the head may cover are converted, while their two rows are in the CPU's first cache; the
background is converted once. Releases the interpreter lock, uses one core.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.contract.images import Nv12Image
from models.geometry.gbuffer import RasterizedHead
from models.kernels.bfloat16 import NetworkArray
from models.kernels.compose import allocate_row, compose_row
from models.kernels.fill_inputs import ActiveRegion, active_pixels
from models.kernels.nv12_numba import convert_rows
from models.kernels.texels import Texels


def compose_nv12(
    smooth: NetworkArray,
    raster: RasterizedHead,
    paint: Texels,
    outline: FloatArray,
    active: ActiveRegion,
    background: NDArray[np.uint8],
    background_nv12: Nv12Image,
    top: int,
    left: int,
    nv12: Nv12Image,
) -> None:
    """Do what `compose` does, to NV12.

    Args:
        smooth: (h, w, 32) output of the convolutions at half resolution: 8 channels, each as 2x2
            pixels. All active columns of these rows must be inside.
        raster: The rasterized frame.
        paint: The paint texture, one vector per texel.
        outline: (2,) slope and offset of the mask logit over the soft coverage.
        active: Outside of it there is only background.
        background: (H, W, 3) uint8 RGB.
        background_nv12: (3 H/2, W) `background`, converted to NV12.
        top: Row of the image where `smooth` begins, at half resolution.
        left: Column of the image where `smooth` begins, at half resolution.
        nv12: (3 H/2, W) filled in these rows, in all columns.
    """
    geometry, head = raster.geometry, raster.head
    _compose_nv12(
        smooth, *raster[:3], geometry.xy, geometry.inverse_depth, head.faces, head.uvs,
        head.uv_faces, *paint, outline, *active, background, background_nv12, top, left, nv12,
    )  # fmt: skip


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def _compose_nv12(
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
    background_nv12: NDArray[np.uint8],
    top: int,
    left: int,
    nv12: NDArray[np.uint8],
) -> None:
    """`compose_nv12` on plain arrays, as numba needs them."""
    height, columns = background.shape[:2]
    buffers = allocate_row(columns)
    colours = np.empty((2, columns, 3), np.uint8)
    for row in range(top, top + smooth.shape[0]):
        begin, end = active_pixels(row, columns, active_left, active_right)
        for line in (2 * row, 2 * row + 1, height + row):
            _copy(line, 0, begin, background_nv12, nv12)
            _copy(line, end, columns, background_nv12, nv12)
        for part in range(2):
            compose_row(
                2 * row + part, begin, end, smooth[row - top], triangle, blend, soft, xy,
                inverse_depth, faces, uvs, uv_faces, texels, step, outline, background, left,
                buffers, colours[part],
            )  # fmt: skip
        convert_rows(colours, begin, end, nv12[2 * row : 2 * row + 2], nv12[height + row])


@njit(cache=True, nogil=True, inline="always")
def _copy(
    row: int, begin: int, end: int, source: NDArray[np.uint8], target: NDArray[np.uint8]
) -> None:
    # A loop, as in `compose._copy_pixels`.
    for x in range(begin, end):
        target[row, x] = source[row, x]
