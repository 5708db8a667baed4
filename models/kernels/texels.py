"""Neural textures in 16 bits per value, and their lookup, for the latency path on a CPU.

Between two frames of a viewer other work evicts our memory from the CPU's caches, so the cost of a
lookup is the memory that it touches: half as much as in float32.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.kernels.texture_lookup import bilinear_corners
from models.kernels.vectors import TEXELS, mix_texels

_INT16_MAX = 32767  # -32768 is not used: one step serves both signs
_TINY = 1e-12
"""Least step: channels that are 0 everywhere must not divide by 0."""


class Texels(NamedTuple):
    """A neural texture, quantized to 16 bits."""

    values: NDArray[np.int16]
    """(h, w, C) integers, in units of `step`."""
    step: FloatArray
    """(C,) what one unit of `values` is worth."""


def quantize(texels: FloatArray) -> Texels:
    """Quantize (h, w, C) texels by each channel's range, with C padded to a multiple of `TEXELS`.

    The error is at most half a step, 1/65534 of the largest absolute value of a channel.
    """
    channels = round_up(texels.shape[2], TEXELS)
    step = np.maximum(np.abs(texels).max(axis=(0, 1)) / _INT16_MAX, _TINY).astype(np.float32)
    values = np.zeros((*texels.shape[:2], channels), np.int16)
    values[..., : texels.shape[2]] = np.round(texels / step)
    # Padded channels have a step of 0, so whatever is computed for them is 0.
    return Texels(values, np.pad(step, (0, channels - len(step))))


def round_up(count: int, multiple: int) -> int:
    """Return the least multiple that is not below `count`."""
    return -(-count // multiple) * multiple


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy", inline="always")
def sample_all_channels(
    texels: NDArray[np.int16], u: float, v: float, scale: FloatArray, values: FloatArray
) -> None:
    """Look a texture up bilinearly, in all its channels.

    Args:
        texels: (h, w, C) of `Texels.values`.
        u: -1..1, to the right.
        v: -1..1, down.
        scale: (C,) steps of the texture times the view's scale.
        values: Filled in its first C elements.
    """
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


@njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def sample_row(
    begin: int,
    end: int,
    texels: NDArray[np.int16],
    step: FloatArray,
    corner: NDArray[np.int64],
    share_x: FloatArray,
    share_y: FloatArray,
    values: FloatArray,
) -> None:
    """Look a texture of one vector per texel up bilinearly, for a row of pixels.

    Args:
        begin: The first pixel.
        end: The pixel after the last.
        texels: (h, w, 8) of `Texels.values`.
        step: (8,) of `Texels.step`.
        corner: (W,) index of the upper left of four texels in the flat texture; below 0 for none.
        share_x: (W,) position between the left and right texels, 0..1.
        share_y: (W,) position between the upper and lower texels, 0..1.
        values: (W, 8) filled for these pixels; 0 where there is no texel.
    """
    one = np.float32(1)
    row, flat, out = texels.shape[1] * TEXELS, texels.reshape(-1), values.reshape(-1)
    for x in range(begin, end):
        at = corner[x]
        if at < 0:
            for k in range(TEXELS):
                values[x, k] = 0
            continue
        fx, fy = share_x[x], share_y[x]
        gx, gy = one - fx, one - fy
        mix_texels(
            flat, (at, at + TEXELS, at + row, at + row + TEXELS),
            (gy * gx, gy * fx, fy * gx, fy * fx), step, 0, out, x * TEXELS,
        )  # fmt: skip
