"""Frames of a head over other backgrounds, on a CPU. Reference: `layers.py`, within one level.

Releases the interpreter lock, uses one core.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.backdrop import Backdrop
from models.contract.frame_state import FloatArray
from models.contract.images import (
    BLACK_LUMA,
    GREY_CHROMA,
    LAYER_GAP,
    WHITE_LUMA,
    Layers,
    Nv12Image,
    RgbImage,
    layered_rows,
)
from models.kernels.layers import GREY, LEVELS
from models.kernels.nv12_numba import convert_rows, convert_to_nv12


class Levels(NamedTuple):
    """Work space for images of one size."""

    counted: tuple[FloatArray, ...]
    """(H / 2^l, W / 2^l, 4) for l from 1: colours times how far they count, and this share."""
    extended: tuple[FloatArray, ...]
    """(H / 2^l, W / 2^l, 3) the continued colours."""


def allocate_levels(size: int) -> Levels:
    """Allocate the work space for square images, `size` a multiple of 2^`LEVELS`."""
    sides = [size >> level for level in range(1, LEVELS + 1)]
    return Levels(
        tuple(np.empty((side, side, 4), np.float32) for side in sides),
        tuple(np.empty((side, side, 3), np.float32) for side in sides),
    )


def extend_colours(layers: Layers, levels: Levels) -> RgbImage:
    """Continue the colours of a head beyond its outline, see `layers.extend_colours`.

    Args:
        layers: (H, W, 4) colours of the head and their coverage.
        levels: Work space for its size.

    Returns:
        (H, W, 3), a new image.
    """
    _count(layers, levels.counted[0])
    for finer, coarser in zip(levels.counted, levels.counted[1:], strict=False):
        _halve(finer, coarser)
    _begin(levels.counted[-1], levels.extended[-1])
    for index in range(LEVELS - 2, -1, -1):
        _enlarge(levels.counted[index], levels.extended[index + 1], levels.extended[index])
    rgb = np.empty((*layers.shape[:2], 3), np.uint8)
    _finish(layers, levels.extended[0], rgb)
    return rgb


def finish(layers: Layers, backdrop: Backdrop, levels: Levels) -> Nv12Image:
    """Return a frame, NV12, of a head over a backdrop, see `layers.finish`.

    Args:
        layers: (H, W, 4) colours of the head and their coverage.
        backdrop: What is behind the head.
        levels: Work space for its size.
    """
    rgb = extend_colours(layers, levels)
    if backdrop.colour is not None:
        _cover(rgb, layers, *backdrop.colour)
        return convert_to_nv12(rgb)
    size = len(layers)
    rows = layered_rows(size)
    nv12 = np.empty((rows + rows // 2, size), np.uint8)
    _stack(rgb, layers, nv12)
    return nv12


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _share(coverage: np.uint8) -> np.float32:
    """Return how far the colour of a pixel counts."""
    twice = 2 * int(coverage) - 255
    return np.float32(twice if twice > 0 else 0) / np.float32(255)


@njit(cache=True, nogil=True, error_model="numpy")
def _count(layers: NDArray[np.uint8], counted: FloatArray) -> None:
    """Fill the first level."""
    for y in range(counted.shape[0]):
        for x in range(counted.shape[1]):
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            total = np.float32(0)
            for n in range(4):
                py, px = 2 * y + n // 2, 2 * x + n % 2
                share = _share(layers[py, px, 3])
                red += share * np.float32(layers[py, px, 0])
                green += share * np.float32(layers[py, px, 1])
                blue += share * np.float32(layers[py, px, 2])
                total += share
            _store(counted, y, x, red, green, blue, total)


@njit(cache=True, nogil=True, error_model="numpy")
def _halve(finer: FloatArray, coarser: FloatArray) -> None:
    """Fill a level from the one before."""
    for y in range(coarser.shape[0]):
        for x in range(coarser.shape[1]):
            red, green, blue = np.float32(0), np.float32(0), np.float32(0)
            total = np.float32(0)
            for n in range(4):
                py, px = 2 * y + n // 2, 2 * x + n % 2
                red += finer[py, px, 0]
                green += finer[py, px, 1]
                blue += finer[py, px, 2]
                total += finer[py, px, 3]
            _store(coarser, y, x, red, green, blue, total)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _store(
    counted: FloatArray,
    y: int,
    x: int,
    red: np.float32,
    green: np.float32,
    blue: np.float32,
    total: np.float32,
) -> None:
    """Store the mean of pixels that count once or more, otherwise their sum."""
    # What a sum below 1 lacks is filled from the coarser levels, so only larger ones are divided.
    scale = np.float32(1) / total if total > np.float32(1) else np.float32(1)
    counted[y, x, 0], counted[y, x, 1] = red * scale, green * scale
    counted[y, x, 2], counted[y, x, 3] = blue * scale, total * scale


@njit(cache=True, nogil=True, error_model="numpy")
def _begin(counted: FloatArray, extended: FloatArray) -> None:
    """Fill the colours of the last level, which continue in grey."""
    for y in range(counted.shape[0]):
        for x in range(counted.shape[1]):
            rest = (np.float32(1) - counted[y, x, 3]) * np.float32(GREY)
            for k in range(3):
                extended[y, x, k] = counted[y, x, k] + rest


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _beside(place: int, size: int) -> tuple[int, int]:
    """Return which pixels of an image lie around a pixel of one twice as large, nearer one first.

    The nearer one has three quarters of the weight.
    """
    near = place // 2
    far = near + 1 if place % 2 else near - 1
    return near, min(max(far, 0), size - 1)


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _between(coarser: FloatArray, y0: int, y1: int, x0: int, x1: int, k: int) -> np.float32:
    """Return colour `k` between the pixels of rows and columns that `_beside` returns."""
    near_weight, far_weight = np.float32(0.75), np.float32(0.25)
    near = near_weight * coarser[y0, x0, k] + far_weight * coarser[y0, x1, k]
    far = near_weight * coarser[y1, x0, k] + far_weight * coarser[y1, x1, k]
    return np.float32(near_weight * near + far_weight * far)


@njit(cache=True, nogil=True, error_model="numpy")
def _enlarge(counted: FloatArray, coarser: FloatArray, extended: FloatArray) -> None:
    """Fill the colours of a level: what counts, and the rest from the coarser one."""
    for y in range(counted.shape[0]):
        y0, y1 = _beside(y, coarser.shape[0])
        for x in range(counted.shape[1]):
            x0, x1 = _beside(x, coarser.shape[1])
            rest = np.float32(1) - counted[y, x, 3]
            for k in range(3):
                extended[y, x, k] = counted[y, x, k] + rest * _between(coarser, y0, y1, x0, x1, k)


@njit(cache=True, nogil=True, error_model="numpy")
def _finish(layers: NDArray[np.uint8], coarser: FloatArray, rgb: NDArray[np.uint8]) -> None:
    """Fill the image, as `_enlarge` does a level."""
    for y in range(rgb.shape[0]):
        y0, y1 = _beside(y, coarser.shape[0])
        for x in range(rgb.shape[1]):
            share = _share(layers[y, x, 3])
            # Most pixels of the head, which need nothing from the coarser level.
            if share == np.float32(1):
                for k in range(3):
                    rgb[y, x, k] = layers[y, x, k]
                continue
            x0, x1 = _beside(x, coarser.shape[1])
            rest = np.float32(1) - share
            for k in range(3):
                beyond = rest * _between(coarser, y0, y1, x0, x1, k)
                value = share * np.float32(layers[y, x, k]) + beyond
                rgb[y, x, k] = np.uint8(value + np.float32(0.5))


@njit(cache=True, nogil=True, error_model="numpy")
def _cover(
    rgb: NDArray[np.uint8], layers: NDArray[np.uint8], red: int, green: int, blue: int
) -> None:
    """Mix continued colours with one colour, in place."""
    for y in range(rgb.shape[0]):
        for x in range(rgb.shape[1]):
            cover = np.int32(layers[y, x, 3])
            if cover == 255:
                continue
            rest = 255 - cover
            rgb[y, x, 0] = (cover * rgb[y, x, 0] + rest * red + 127) // 255
            rgb[y, x, 1] = (cover * rgb[y, x, 1] + rest * green + 127) // 255
            rgb[y, x, 2] = (cover * rgb[y, x, 2] + rest * blue + 127) // 255


@njit(cache=True, nogil=True, error_model="numpy")
def _stack(rgb: NDArray[np.uint8], layers: NDArray[np.uint8], nv12: NDArray[np.uint8]) -> None:
    """Fill a layered frame."""
    size, half = rgb.shape[0], LAYER_GAP // 2
    below = size + LAYER_GAP
    chroma = below + size
    for row in range(size // 2):
        rows = slice(2 * row, 2 * row + 2)
        convert_rows(rgb[rows], 0, size, nv12[rows], nv12[chroma + row])
    # In limited range, as decoders read luma.
    span = WHITE_LUMA - BLACK_LUMA
    for y in range(size):
        for x in range(size):
            nv12[below + y, x] = BLACK_LUMA + (np.int32(layers[y, x, 3]) * span + 127) // 255
    # The gap repeats the last row of the colours, then the first of the coverage, so that a codec's
    # filters mix neither with anything else at its edge.
    for row in range(half):
        for x in range(size):
            nv12[size + row, x] = nv12[size - 1, x]
            nv12[size + half + row, x] = nv12[below, x]
    for row in range(size // 2, nv12.shape[0] - chroma):
        # Chroma of the gap's upper half continues the colours; the coverage below has no colour.
        last = row < size // 2 + half // 2
        for x in range(size):
            nv12[chroma + row, x] = nv12[chroma + size // 2 - 1, x] if last else GREY_CHROMA
