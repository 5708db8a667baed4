"""Reflectance formulas of single light directions, on scalars and 3-vectors, for compiled loops."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.geometry.smoothstep import scalar_smoothstep

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Vector = tuple[float, float, float]

_MIN_SQUARED_LENGTH = 1e-9
"""Keeps vectors without a direction (a half vector seen against the light) from dividing by 0."""

# Lobes of a hair fibre: shift of the peak from the mirror angle (its cosine), sharpness of the
# Gaussian, and strength. Marschner et al. 2003 call them R and TRT. Numbers chosen by eye.
_WHITE_SHIFT, _WHITE_SHARPNESS, _WHITE_STRENGTH = 0.06, 90.0, 0.055
_COLOURED_SHIFT, _COLOURED_SHARPNESS, _COLOURED_STRENGTH = 0.10, 16.0, 0.022
_FACING = (-0.25, 0.35)
"""Cosines between the surface's normal and the light over which highlights fade in."""
_PI = 3.14159265
"""To the digits of the images of existing datasets, which must not change."""


@njit(cache=True, nogil=True, inline="always")
def power5(x: float) -> float:
    """Return x to the 5th power, as Schlick's approximation of Fresnel's equations takes it."""
    squared = x * x
    return squared * squared * x


@njit(cache=True, nogil=True, inline="always")
def dot(a: Vector, b: Vector) -> float:
    """Return the scalar product."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@njit(cache=True, nogil=True, inline="always")
def scaled(a: Vector, factor: float) -> Vector:
    """Return the vector times `factor`."""
    return a[0] * factor, a[1] * factor, a[2] * factor


@njit(cache=True, nogil=True, inline="always")
def row(matrix: Doubles, index: int) -> Vector:
    """Return the first three numbers of a row."""
    return matrix[index, 0], matrix[index, 1], matrix[index, 2]


@njit(cache=True, nogil=True, inline="always")
def column(matrix: Doubles, index: int) -> Vector:
    """Return the first three numbers of a column."""
    return matrix[0, index], matrix[1, index], matrix[2, index]


@njit(cache=True, nogil=True, inline="always")
def rotate(rotation: Doubles, a: Vector) -> Vector:
    """Return `rotation` (3, 3) times the vector."""
    return dot(row(rotation, 0), a), dot(row(rotation, 1), a), dot(row(rotation, 2), a)


@njit(cache=True, nogil=True, inline="always")
def reflect(normal: Vector, view: Vector) -> Vector:
    """Return the reflection vector of the unit vector `view`."""
    facing = 2.0 * dot(normal, view)
    return facing * normal[0] - view[0], facing * normal[1] - view[1], facing * normal[2] - view[2]


@njit(cache=True, nogil=True, inline="always")
def half_vector(light: Vector, view: Vector) -> tuple[Vector, float]:
    """Return the sum of two unit vectors, and the factor that gives it unit length."""
    half = light[0] + view[0], light[1] + view[1], light[2] + view[2]
    return half, 1.0 / sqrt(max(dot(half, half), _MIN_SQUARED_LENGTH))


@njit(cache=True, nogil=True, inline="always")
def ggx(nl: float, nv: float, nh: float, roughness: float) -> float:
    """Return distribution and visibility of a Cook-Torrance highlight, times n.l.

    GGX with the Schlick-Smith visibility term (Walter et al. 2007; Karis 2013).

    Args:
        nl: Cosine between normal and light, above 0.
        nv: Cosine between normal and view direction, above 0.
        nh: Cosine between normal and half vector.
        roughness: 0..1, perceptual: its square is the width of the lobe.
    """
    a = roughness * roughness
    a2 = a * a
    d = nh * nh * (a2 - 1.0) + 1.0
    k = a * 0.5
    visible = 1.0 / ((nl * (1.0 - k) + k) * (nv * (1.0 - k) + k) * 4.0)
    return visible * nl * a2 / (_PI * d * d)


@njit(cache=True, nogil=True, inline="always")
def strand_highlight(
    light: Vector, view: Vector, tangent: Vector, soft: float, strength: float
) -> float:
    """Return the highlight of a hair strand: a white lobe and a wider, coloured one.

    After Kajiya and Kay 1989, with shifted lobes.

    Args:
        light: Unit vector to the lamp.
        view: Unit vector to the viewer.
        tangent: Along the strand, any length.
        soft: Cosine between the surface's normal and the light.
        strength: Factor of both lobes.
    """
    length = 1.0 / sqrt(max(dot(tangent, tangent), _MIN_SQUARED_LENGTH))
    half, to_unit = half_vector(light, view)
    th = dot(tangent, half) * length * to_unit
    facing = scalar_smoothstep(_FACING[0], _FACING[1], soft)
    white = exp(-((th - _WHITE_SHIFT) ** 2) * _WHITE_SHARPNESS)
    coloured = exp(-((th + _COLOURED_SHIFT) ** 2) * _COLOURED_SHARPNESS)
    return facing * strength * (_WHITE_STRENGTH * white + _COLOURED_STRENGTH * coloured)
