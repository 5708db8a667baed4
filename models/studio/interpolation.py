"""Values at one sample of an image: weights in its triangle, blended vertices, looked-up textures.

All functions are compiled into the loop of `lighting.shade`.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.studio.materials import CLOTH, SKIN
from models.studio.reflectance import Doubles, Floats, Vector, dot, rotate, scaled
from models.studio.texture_channels import FOLD_RELIEF, RELIEF

Corners = tuple[int, int, int]

MIN_FOLD = 0.01
"""Wrinkles folded less are not visible and are skipped."""
_LAST_TEXEL = 1.001
"""Greater than 1, so that the neighbours of a texel at the border lie within the maps."""
_MIN_SQUARED_LENGTH = 1e-12  # of vectors that are normalised: none must divide by 0


@njit(cache=True, nogil=True, inline="always")
def corners_of(faces: NDArray[np.int32], face: int) -> Corners:
    """Return the three vertices of a triangle."""
    return faces[face, 0], faces[face, 1], faces[face, 2]


@njit(cache=True, nogil=True, inline="always")
def blend(values: Floats, corners: Corners, weights: Vector) -> float:
    """Interpolate `values` (V,)."""
    a, b, c = corners
    value: float = weights[0] * values[a] + weights[1] * values[b] + weights[2] * values[c]
    return value


@njit(cache=True, nogil=True, inline="always")
def blend_uvs(uvs: Floats, corners: Corners, weights: Vector) -> tuple[float, float]:
    """Interpolate `uvs` (T, 2)."""
    a, b, c = corners
    return (
        weights[0] * uvs[a, 0] + weights[1] * uvs[b, 0] + weights[2] * uvs[c, 0],
        weights[0] * uvs[a, 1] + weights[1] * uvs[b, 1] + weights[2] * uvs[c, 1],
    )


@njit(cache=True, nogil=True, inline="always")
def blend_vectors(vectors: Floats, corners: Corners, weights: Vector) -> Vector:
    """Interpolate `vectors` (V, 3)."""
    a, b, c = corners
    return (
        weights[0] * vectors[a, 0] + weights[1] * vectors[b, 0] + weights[2] * vectors[c, 0],
        weights[0] * vectors[a, 1] + weights[1] * vectors[b, 1] + weights[2] * vectors[c, 1],
        weights[0] * vectors[a, 2] + weights[1] * vectors[b, 2] + weights[2] * vectors[c, 2],
    )


@njit(cache=True, nogil=True, inline="always")
def normalized(vector: Vector) -> Vector:
    """Return the vector with unit length; 0 stays 0."""
    return scaled(vector, 1.0 / sqrt(max(dot(vector, vector), _MIN_SQUARED_LENGTH)))


@njit(cache=True, nogil=True, inline="always")
def towards(target: Doubles, point: Vector) -> Vector:
    """Return the unit vector from `point` to `target` (3,)."""
    offset = (target[0] - point[0], target[1] - point[1], target[2] - point[2])
    return scaled(offset, 1.0 / sqrt(dot(offset, offset)))


@njit(cache=True, nogil=True, inline="always")
def nearest_eyeball(point: Vector, eyeballs: Doubles) -> Doubles:
    """Return the row of `eyeballs` (2, EYEBALL_NUMBERS) whose centre is nearer."""
    left = right = 0.0
    for i in range(3):
        left += (point[i] - eyeballs[0, i]) ** 2
        right += (point[i] - eyeballs[1, i]) ** 2
    nearest: Doubles = eyeballs[0] if left < right else eyeballs[1]
    return nearest


@njit(cache=True, nogil=True)
def sample_texture(maps: Floats, u: float, v: float, channels: int, out: Floats) -> None:
    """Sample the first `channels` bilinearly at (u, v) in 0..1 into `out`."""
    size = maps.shape[0]
    x = min(max(u * size - 0.5, 0.0), size - _LAST_TEXEL)
    y = min(max(v * size - 0.5, 0.0), size - _LAST_TEXEL)
    ix, iy = int(x), int(y)
    fx, fy = np.float32(x - ix), np.float32(y - iy)
    one = np.float32(1.0)
    for c in range(channels):
        top = maps[iy, ix, c] * (one - fx) + maps[iy, ix + 1, c] * fx
        low = maps[iy + 1, ix, c] * (one - fx) + maps[iy + 1, ix + 1, c] * fx
        out[c] = top * (one - fy) + low * fy


@njit(cache=True, nogil=True, inline="always")
def relief_of(texel: Floats, material: int, fold: float, head_rotation: Doubles) -> Vector:
    """Return the painted relief, with that of folded wrinkles, in world space.

    Args:
        texel: (CHANNELS,) texel of the painted textures.
        material: Index into `MATERIALS`.
        fold: How far wrinkles are folded, 0..1; only skin has some.
        head_rotation: (3, 3) head to world.
    """
    r0 = np.float64(texel[RELIEF])
    r1 = np.float64(texel[RELIEF + 1])
    r2 = np.float64(texel[RELIEF + 2])
    if material == SKIN and fold > MIN_FOLD:
        r0 += fold * texel[FOLD_RELIEF]
        r1 += fold * texel[FOLD_RELIEF + 1]
        r2 += fold * texel[FOLD_RELIEF + 2]
    if material == CLOTH:
        return r0, r1, r2
    # The painted relief (or strand direction) turns with the head it is painted on.
    return rotate(head_rotation, (r0, r1, r2))
