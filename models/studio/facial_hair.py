"""Where brows and beards grow: shared by the paint of their shade and the growth of their hairs.

Positions are metres on the neutral head, origin between the eyes. Outlines are drawn by eye on
renders of the two shipped heads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.studio.appearance import Appearance
from models.studio.brush import Floats, smoothstep
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
    mouth = points[(lips > 0.6) & (points[:, 2] > 0.02), 1].mean()
    x, y, z = np.abs(points[:, 0]), points[:, 1] - mouth, points[:, 2]
    edge = np.interp(x, _BEARD_EDGE_X_M, _BEARD_EDGE_Y_MM) / 1e3
    ragged = 0.004 * fractal_noise(points, 110, 3)
    beard = smoothstep(0.006, -0.013, y - edge + ragged)
    beard = beard * smoothstep(-0.068, -0.044, y + ragged) * smoothstep(-0.078, -0.060, z)
    beside = smoothstep(0.005, 0.012, np.hypot(x - 0.012, 0.8 * (y + 0.0135)))
    moustache = smoothstep(0.026, 0.019, y + 0.25 * x) * smoothstep(0.034, 0.027, x) * (y > -0.004)
    where = np.maximum(beard * np.where(y > -0.026, beside, 1.0), moustache * (z > 0))
    grown: Floats = (where * (1 - smoothstep(0.05, 0.3, lips))).astype(np.float32)
    return grown
