"""Image-space steps: occlusion of creases, subsurface scattering, tone mapping, downsampling.

All work on the samples of an image, on one core, without the interpreter lock.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.studio.srgb import encode

Floats = NDArray[np.float32]

_RADII_M = np.array([0.0028, 0.007, 0.018])
_WEIGHTS = np.array([0.34, 0.36, 0.30])
_SCALES = len(_RADII_M)
"""Radii at which creases are searched for, and their weights. Chosen by eye."""
_PAIRS = 6
_ANGLES_RAD = (np.arange(_PAIRS) + 0.5) * np.pi / _PAIRS
_TURNS = np.array([[np.cos(a), np.sin(a)] for a in _ANGLES_RAD], np.float64)
"""(_PAIRS, 2) directions of the pairs of neighbours, over half a turn."""
_FAR, _TOO_FAR = 3.0, 4.0
"""Distances in front, in radii: from the first on a neighbour hides less sky, and from the second
on none."""
_CREASE_CONTRAST, _CREASE_MIN = 2.2, 0.12
"""Chosen by eye: light that the folds take, and what always reaches into them."""
_MIN_RISE = 0.02
"""Noise of interpolated depth, which must not darken even surfaces."""

_BLEED_M = np.array([0.0030, 0.0013, 0.0007], np.float64)
"""How far red, green and blue light travel under skin: standard deviations. Chosen
by eye."""
_TAPS = 6
_SCATTER_FADE_PER_M = 90.0
"""Light does not cross depth steps of 1/90 m = 11 mm or more."""

_EXPOSURE = 0.60
"""Scale of all light. Chosen by eye."""
_SHOULDER, _TOE = (2.51, 0.03), (2.43, 0.59, 0.14)
"""Coefficients of the tone curve's numerator (x^2, x) and denominator (x^2, x, 1): Narkowicz's fit
of ACES."""
_DIFFUSE_SHARE = 0.62
"""Scale of diffuse light against highlights."""


@njit(cache=True, nogil=True)
def find_crevices(nearness: Floats, px_per_unit: float) -> Floats:
    """Return how much light reaches into visible folds, at half of the resolution.

    Compares each sample with pairs of opposite neighbours: where both are nearer to the viewer than
    the sample, it lies in a fold. Even slopes cancel out.

    Args:
        nearness: (H, W) 1/metres from the viewer, 0 for none. H and W even.
        px_per_unit: The camera's focal length in samples.

    Returns:
        (H / 2, W / 2) in 0..1.
    """
    height, width = nearness.shape[0] // 2, nearness.shape[1] // 2
    raw = np.ones((height, width), np.float32)
    for y in range(height):
        for x in range(width):
            near = nearness[2 * y, 2 * x]
            if near <= 0.0:
                continue
            depth = 1.0 / near
            hidden = 0.0
            for k in range(_SCALES):
                radius = _RADII_M[k]
                reach = radius * px_per_unit * near * 0.5
                sum_k = 0.0
                for t in range(_PAIRS):
                    dx = int(np.floor(_TURNS[t, 0] * reach + 0.5))
                    dy = int(np.floor(_TURNS[t, 1] * reach + 0.5))
                    rise = 0.0
                    for sign in (-1, 1):
                        qx = min(max(x + sign * dx, 0), width - 1)
                        qy = min(max(y + sign * dy, 0), height - 1)
                        other = nearness[2 * qy, 2 * qx]
                        gap = depth - 1.0 / other if other > 0.0 else -radius
                        # A neighbour far in front (the nose before the cheek) hides little sky.
                        if gap > _FAR * radius:
                            gap = max(_TOO_FAR * radius - gap, 0.0)
                        rise += min(max(gap, -radius), radius)
                    sum_k += min(max(rise / (2.0 * radius) - _MIN_RISE, 0.0), 1.0)
                hidden += _WEIGHTS[k] * sum_k / _PAIRS
            raw[y, x] = max(1.0 - _CREASE_CONTRAST * hidden, _CREASE_MIN)
    return _smooth(raw)


@njit(cache=True, nogil=True)
def _smooth(raw: Floats) -> Floats:
    """Average over 3x3 samples; the border stays."""
    height, width = raw.shape
    smooth = raw.copy()
    for y in range(1, height - 1):
        for x in range(1, width - 1):
            total = np.float32(0.0)
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    total += raw[y + dy, x + dx]
            smooth[y, x] = total / np.float32(9.0)
    return smooth


def scatter(irradiance: Floats, nearness: Floats, skin: NDArray[np.bool_], focal: float) -> Floats:
    """Blur the light under the skin, red the furthest, which makes edges of shadows warm.

    Args:
        irradiance: (H, W, 3) light that falls on each sample.
        nearness: (H, W) 1/metres from the viewer.
        skin: (H, W) where the light can travel.
        focal: The camera's focal length in samples.

    Returns:
        (H, W, 3) light that leaves the skin; unchanged elsewhere.
    """
    across = _scatter_along(irradiance, nearness, skin, focal, 0)
    return _scatter_along(across, nearness, skin, focal, 1)


@njit(cache=True, nogil=True)
def _scatter_along(
    irradiance: Floats, nearness: Floats, skin: NDArray[np.bool_], focal: float, axis: int
) -> Floats:
    """Blur along rows (`axis` 0) or columns (1); arguments as `scatter`'s."""
    height, width, _ = irradiance.shape
    out = irradiance.copy()
    # Taps reach two standard deviations of red.
    weights = np.zeros((_TAPS + 1, 3), np.float32)
    spacing = 2.0 * _BLEED_M[0] / _TAPS
    for t in range(_TAPS + 1):
        for i in range(3):
            weights[t, i] = np.exp(-0.5 * (t * spacing / _BLEED_M[i]) ** 2)
    for y in range(height):
        for x in range(width):
            if not skin[y, x]:
                continue
            near = nearness[y, x]
            depth = np.float32(1.0) / near
            step = spacing * focal * near
            r, g, b = irradiance[y, x, 0], irradiance[y, x, 1], irradiance[y, x, 2]
            wr = wg = wb = np.float32(1.0)
            for t in range(1, _TAPS + 1):
                move = int(t * step + 0.5)
                for sign in (-1, 1):
                    qx = x + sign * move if axis == 0 else x
                    qy = y if axis == 0 else y + sign * move
                    if qx < 0 or qy < 0 or qx >= width or qy >= height or not skin[qy, qx]:
                        continue
                    gap = abs(depth - np.float32(1.0) / nearness[qy, qx])
                    close = np.float32(1.0) - gap * np.float32(_SCATTER_FADE_PER_M)
                    if close <= 0.0:
                        continue
                    w = close * weights[t, 0]
                    r += w * irradiance[qy, qx, 0]
                    wr += w
                    w = close * weights[t, 1]
                    g += w * irradiance[qy, qx, 1]
                    wg += w
                    w = close * weights[t, 2]
                    b += w * irradiance[qy, qx, 2]
                    wb += w
            out[y, x, 0] = r / wr
            out[y, x, 1] = g / wg
            out[y, x, 2] = b / wb
    return out


@njit(cache=True, nogil=True, inline="always")
def tone_map(x: float) -> float:
    """Map linear light to sRGB 0..1: a filmic curve, then the transfer curve."""
    x = max(x, 0.0) * _EXPOSURE
    y = (x * (_SHOULDER[0] * x + _SHOULDER[1])) / (x * (_TOE[0] * x + _TOE[1]) + _TOE[2])
    y = min(max(y, 0.0), 1.0)
    return encode(y)


@njit(cache=True, nogil=True)
def expose(
    albedo: Floats, irradiance: Floats, specular: Floats, triangle: NDArray[np.int32]
) -> Floats:
    """Join the parts of the light: (H, W, 3) sRGB 0..1 of every covered sample, 0 elsewhere."""
    height, width = triangle.shape
    colour = np.zeros((height, width, 3), np.float32)
    for y in range(height):
        for x in range(width):
            if triangle[y, x] < 0:
                continue
            for i in range(3):
                colour[y, x, i] = tone_map(
                    albedo[y, x, i] * irradiance[y, x, i] * _DIFFUSE_SHARE + specular[y, x, i]
                )
    return colour


@njit(cache=True, nogil=True)
def reduce_samples(samples: Floats, size: int) -> Floats:
    """Average samples into pixels with a tent filter two pixels wide, against aliasing.

    Args:
        samples: (size * s, size * s, C) values per sample.
        size: Rows and columns of pixels.

    Returns:
        (size, size, C).
    """
    s = samples.shape[0] // size
    full, channels = samples.shape[0], samples.shape[2]
    first = -((s - 1) // 2) if s % 2 else -(s // 2)
    count = 2 * s
    weights = np.zeros(count, np.float32)
    for k in range(count):
        weights[k] = max(1.0 - abs((first + k + 0.5) / s - 0.5), 0.0)
    weights /= weights.sum()
    rows = np.zeros((size, full, channels), np.float32)
    for y in range(size):
        for k in range(count):
            sy = min(max(y * s + first + k, 0), full - 1)
            w = weights[k]
            for x in range(full):
                for c in range(channels):
                    rows[y, x, c] += w * samples[sy, x, c]
    out = np.zeros((size, size, channels), np.float32)
    for y in range(size):
        for x in range(size):
            for k in range(count):
                sx = min(max(x * s + first + k, 0), full - 1)
                w = weights[k]
                for c in range(channels):
                    out[y, x, c] += w * rows[y, sx, c]
    return out
