"""Smooth random fields over space, for painting; reproducible on every machine.

Value noise on an integer lattice. Points are metres times a frequency; values lie in -1..1.
"""

from __future__ import annotations

from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_BITS32 = 0xFFFFFFFF
_PRIME_X, _PRIME_Y, _PRIME_Z = 374761393, 668265263, 2147483647
"""Large primes, which spread the coordinates of a lattice point over 32 bits."""
_MIX_A, _MIX_B = 1274126177, 2246822519
"""Odd multipliers that mix the bits of the hash, between shifts."""
_FRACTION, _HALF_FRACTION = 0xFFFFFF, 8388607.5
"""The lowest 24 bits, which single precision holds exactly, and half of their greatest value."""
_OCTAVE_SHIFT = 17.31
"""Shift of each octave, so that octaves' lattice points never coincide."""
_GRADIENT_STEP = 0.25
"""Offset of the central differences, in cells of the finest octave."""


@njit(cache=True, nogil=True, inline="always")
def _lattice(x: int, y: int, z: int) -> float:
    """Return a fixed random number in -1..1 for a lattice point: a hash of its coordinates."""
    h = (x * _PRIME_X + y * _PRIME_Y + z * _PRIME_Z) & _BITS32
    h = ((h ^ (h >> 13)) * _MIX_A) & _BITS32
    h = ((h ^ (h >> 16)) * _MIX_B) & _BITS32
    return float((h ^ (h >> 15)) & _FRACTION) / _HALF_FRACTION - 1.0


@njit(cache=True, nogil=True)
def value_noise(x: float, y: float, z: float) -> float:
    """Return value noise at one point; it is once continuously differentiable."""
    ix, iy, iz = floor(x), floor(y), floor(z)
    fx, fy, fz = x - ix, y - iy, z - iz
    ux, uy, uz = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy), fz * fz * (3 - 2 * fz)
    i, j, k = int(ix), int(iy), int(iz)
    total = 0.0
    for dx in range(2):
        wx = ux if dx else 1 - ux
        for dy in range(2):
            wy = uy if dy else 1 - uy
            for dz in range(2):
                wz = uz if dz else 1 - uz
                total += wx * wy * wz * _lattice(i + dx, j + dy, k + dz)
    return total


@njit(cache=True, nogil=True)
def fractal_noise(points: Floats, frequency: float, octaves: int) -> Floats:
    """Return noise of `octaves` octaves, each twice as fine and half as strong.

    Args:
        points: (N, 3) metres.
        frequency: Lattice cells per metre of the coarsest octave.
        octaves: At least 1.

    Returns:
        (N,) in about -1..1.
    """
    values = np.zeros(points.shape[0], np.float32)
    norm = 2.0 - 0.5 ** (octaves - 1)
    for n in range(points.shape[0]):
        total, scale, weight = 0.0, frequency, 1.0
        for octave in range(octaves):
            shift = _OCTAVE_SHIFT * octave
            total += weight * value_noise(
                points[n, 0] * scale + shift,
                points[n, 1] * scale + shift,
                points[n, 2] * scale - shift,
            )
            scale *= 2.0
            weight *= 0.5
        values[n] = total / norm
    return values


def noise_gradient(points: Floats, frequency: float, octaves: int) -> Floats:
    """Return the gradient (N, 3) of `fractal_noise`, per lattice cell of the finest octave."""
    step = _GRADIENT_STEP / (frequency * 2 ** (octaves - 1))
    parts = []
    for axis in range(3):
        offset = np.zeros(3, np.float32)
        offset[axis] = step
        ahead = fractal_noise(points + offset, frequency, octaves)
        behind = fractal_noise(points - offset, frequency, octaves)
        parts.append((ahead - behind) / (2 * _GRADIENT_STEP))
    return np.stack(parts, axis=1)
