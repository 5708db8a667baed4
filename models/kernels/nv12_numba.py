"""RGB to NV12 on a CPU. Reference: `nv12.rgb_to_nv12`, to the bit.

Releases the interpreter lock, uses one core.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.images import Nv12Image, RgbImage
from models.kernels.nv12 import BITS, BLUE, CHROMA_OFFSET, LUMA, LUMA_OFFSET, RED


def convert_to_nv12(rgb: RgbImage) -> Nv12Image:
    """Convert an image (H, W, 3), H and W even."""
    height, width, _ = rgb.shape
    nv12 = np.empty((height + height // 2, width), np.uint8)
    _convert(rgb, nv12)
    return nv12


@njit(cache=True, nogil=True)
def _convert(rgb: NDArray[np.uint8], nv12: NDArray[np.uint8]) -> None:
    """`convert_to_nv12` into an image that is given."""
    height, width = rgb.shape[:2]
    for row in range(height // 2):
        rows = slice(2 * row, 2 * row + 2)
        convert_rows(rgb[rows], 0, width, nv12[rows], nv12[height + row])


@njit(cache=True, nogil=True)
def convert_rows(
    rgb: NDArray[np.uint8],
    begin: int,
    end: int,
    luma: NDArray[np.uint8],
    chroma: NDArray[np.uint8],
) -> None:
    """Convert some pixels of two rows.

    Args:
        rgb: (2, W, 3) uint8 pixels of two rows of the image.
        begin: The first pixel of a row, even.
        end: The pixel after the last, even.
        luma: (2, W) filled in these pixels.
        chroma: (W,) filled in these pixels.
    """
    for part in range(2):
        for x in range(begin, end):
            red, green, blue = rgb[part, x, 0], rgb[part, x, 1], rgb[part, x, 2]
            luma[part, x] = (_weighted(LUMA, red, green, blue) + LUMA_OFFSET) >> BITS
    for x in range(begin, end, 2):
        red, green, blue = _sum(rgb, x, 0), _sum(rgb, x, 1), _sum(rgb, x, 2)
        # Sums of four pixels: two more bits.
        chroma[x] = (_weighted(BLUE, red, green, blue) + CHROMA_OFFSET) >> (BITS + 2)
        chroma[x + 1] = (_weighted(RED, red, green, blue) + CHROMA_OFFSET) >> (BITS + 2)


@njit(cache=True, nogil=True, inline="always")
def _sum(rgb: NDArray[np.uint8], x: int, k: int) -> int:
    """Return the sum of a colour over the 2x2 pixels from column `x`."""
    return int(rgb[0, x, k]) + int(rgb[0, x + 1, k]) + int(rgb[1, x, k]) + int(rgb[1, x + 1, k])


@njit(cache=True, nogil=True, inline="always")
def _weighted(weights: tuple[int, int, int], red: int, green: int, blue: int) -> int:
    """Return a row of the conversion matrix times a colour."""
    return weights[0] * red + weights[1] * green + weights[2] * blue
