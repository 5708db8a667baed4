"""Where brows and beards grow: shared by the paint of their shade and the growth of their hairs.

Positions are metres on the neutral head, origin between the eyes. Outlines are drawn by eye on
renders of the two shipped heads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.geometry.smoothstep import smoothstep
from models.studio.appearance import Appearance
from models.studio.brush import Floats, Grain
from models.studio.noise import fractal_noise

Numbers = NDArray[np.floating[Any]]

BROW_START_M, BROW_LENGTH_M = 0.0115, 0.040
"""Distance from the middle of the face to the inner end of a brow, and the length of a brow, seen
from the front."""

_ARCH_ALONG = (0, 0.25, 0.5, 0.7, 0.85, 1)
_ARCH_TENTHS_MM = (168, 186, 212, 224, 216, 190)
_ARCH_MEAN_M = 0.0196
"""Height of an arched brow above the middle of the eyes, and what counts as its mean height."""
_WIDTH_ALONG = (0, 0.15, 0.45, 0.75, 1)
_HALF_WIDTH_TENTHS_MM = (26, 33, 30, 22, 9)

_BEARD_EDGE_X_M = (0.0, 0.026, 0.036, 0.05, 0.062, 0.075)
_BEARD_EDGE_Y_MM = (-8, 1, 5, 21, 44, 78)
"""Upper edge of a beard on the cheek, from the mouth: it rises towards the ear."""
_LIPS, _LIPS_MIN_Z_M = 0.6, 0.02
"""Value of the mask "lips" above which skin is lip, and depth behind which it lies in the mouth."""
_RAGGED, _RAGGED_M = Grain(110, 3), 0.004
"""How ragged the edges of a beard are."""

# Heights from the mouth, and distances from the middle.
_CHEEK_FADE_M = (0.006, -0.013)
"""A beard fades in over these heights about its edge on the cheek."""
_THROAT_Y_M, _BACK_Z_M = (-0.068, -0.044), (-0.078, -0.060)
"""Where a beard begins on the throat, from below, and below the ears, from the back."""
_BARE_SPOT, _BARE_RADII_M = (0.012, -0.0135, 0.8), (0.005, 0.012)
"""Beside the tuft below the lip little grows: middle (x, y) of the spot, and its width by its
height; radii at which growth begins, and is full."""
_CHIN_Y_M = -0.026
"""Height of the chin, below which the spot ends."""
_MOUSTACHE_TOP_M, _MOUSTACHE_SLOPE = (0.026, 0.019), 0.25
"""Upper edge of a moustache, below the nose, and how fast it falls to the sides."""
_MOUSTACHE_END_M, _MOUSTACHE_BOTTOM_M = (0.034, 0.027), -0.004
_LIP_EDGE = (0.05, 0.3)
"""Values of the mask "lips" between which growth ends."""


def brow_height(along: Numbers, appearance: Appearance) -> Floats:
    """Return the height of a brow's middle line at 0 (inner end) .. 1 (outer end), in metres."""
    line = np.interp(along, _ARCH_ALONG, _ARCH_TENTHS_MM) / 1e4
    height: Floats = (
        appearance.brow_height_mm / 1000 + appearance.brow_arch * (line - _ARCH_MEAN_M)
    ).astype(np.float32)
    return height


def brow_width(along: Numbers, appearance: Appearance) -> Floats:
    """Return half of a brow's width at 0..1 along it, in metres."""
    half = np.interp(along, _WIDTH_ALONG, _HALF_WIDTH_TENTHS_MM) / 1e4
    width: Floats = (half * appearance.brow_breadth).astype(np.float32)
    return width


def bearded(points: Floats, lips: Floats) -> Floats:
    """Return (N,) how densely a full beard grows, 0..1: moustache, chin, jaw, throat.

    Args:
        points: (N, 3) metres; some of them must lie on the lips.
        lips: (N,) mask of the lips, 0..1.
    """
    on_lips = (lips > _LIPS) & (points[:, 2] > _LIPS_MIN_Z_M)
    mouth = points[on_lips, 1].mean()
    x, y, z = np.abs(points[:, 0]), points[:, 1] - mouth, points[:, 2]
    edge = np.interp(x, _BEARD_EDGE_X_M, _BEARD_EDGE_Y_MM) / 1e3
    ragged = _RAGGED_M * fractal_noise(points, *_RAGGED)
    beard = smoothstep(*_CHEEK_FADE_M, y - edge + ragged).astype(np.float32)
    beard = beard * smoothstep(*_THROAT_Y_M, y + ragged) * smoothstep(*_BACK_Z_M, z)
    aside, level, slimmer = _BARE_SPOT
    beside = smoothstep(*_BARE_RADII_M, np.hypot(x - aside, slimmer * (y - level)))
    moustache = smoothstep(*_MOUSTACHE_TOP_M, y + _MOUSTACHE_SLOPE * x)
    moustache = moustache * smoothstep(*_MOUSTACHE_END_M, x) * (y > _MOUSTACHE_BOTTOM_M)
    beside_chin = np.where(y > _CHIN_Y_M, beside, 1.0)
    where = np.maximum(beard * beside_chin, moustache * (z > 0))
    off_lips = 1 - smoothstep(*_LIP_EDGE, lips).astype(np.float32)
    grown: Floats = (where * off_lips).astype(np.float32)
    return grown
