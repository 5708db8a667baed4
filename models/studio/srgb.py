"""The transfer curve of sRGB (IEC 61966-2-1), between linear light and stored values, 0..1."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_SLOPE = 12.92
"""Slope of the straight part near black."""
_LINEAR_END, _STORED_END = 0.0031308, 0.04045
"""Where the straight part ends, in linear light and in stored values."""
_SCALE, _OFFSET, _GAMMA = 1.055, 0.055, 2.4


@njit(cache=True, nogil=True, inline="always")
def encode(linear: float) -> float:
    """Return the stored value of linear light, in compiled loops."""
    if linear <= _LINEAR_END:
        return _SLOPE * linear
    stored: float = _SCALE * linear ** (1.0 / _GAMMA) - _OFFSET
    return stored


def encode_array(linear: Floats) -> Floats:
    """Return the stored values of linear light, of any shape, in single precision."""
    curved = _SCALE * linear ** (1 / _GAMMA) - _OFFSET
    return np.where(linear < _LINEAR_END, _SLOPE * linear, curved)


def decode_array(stored: Floats) -> Floats:
    """Return the linear light of stored values, of any shape, in single precision."""
    curved = ((stored + _OFFSET) / _SCALE) ** _GAMMA
    return np.where(stored < _STORED_END, stored / _SLOPE, curved)
