"""Where brows and beards grow: what paints their shade and what grows their hairs agree by this.

Places are metres on the neutral head, origin between the eyes.
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
"""From the middle of the face to a brow's inner end, and along it, seen from the front."""


def brow_height(along: Numbers, look: Appearance) -> Floats:
    """Height of the brow's middle line at 0 (inner end) .. 1 (outer end)."""
    line = np.interp(along, [0, 0.25, 0.5, 0.7, 0.85, 1], [168, 186, 212, 224, 216, 190]) / 1e4
    height: Floats = (look.brow_height_mm / 1000 + look.brow_arch * (line - 0.0196)).astype(
        np.float32
    )
    return height


def brow_width(along: Numbers, look: Appearance) -> Floats:
    """Half of the brow's width."""
    half = np.interp(along, [0, 0.15, 0.45, 0.75, 1], [26, 33, 30, 22, 9]) / 1e4
    width: Floats = (half * look.brow_breadth).astype(np.float32)
    return width


def bearded(points: Floats, lips: Floats) -> Floats:
    """How densely (N,) a full beard grows: moustache, chin, jaw up to the ears, throat.

    Args:
        points: (N, 3), those of the lips among them.
        lips: (N,) the mask of the lips.
    """
    mouth = points[(lips > 0.6) & (points[:, 2] > 0.02), 1].mean()
    x, y, z = np.abs(points[:, 0]), points[:, 1] - mouth, points[:, 2]
    # From the corner of the mouth the edge rises towards the ear.
    edge = np.interp(x, [0.0, 0.026, 0.036, 0.05, 0.062, 0.075], [-8, 1, 5, 21, 44, 78]) / 1e3
    ragged = 0.004 * fractal_noise(points, 110, 3)
    beard = smoothstep(0.006, -0.013, y - edge + ragged)
    beard = beard * smoothstep(-0.068, -0.044, y + ragged) * smoothstep(-0.078, -0.060, z)
    beside = smoothstep(0.005, 0.012, np.hypot(x - 0.012, 0.8 * (y + 0.0135)))
    moustache = smoothstep(0.026, 0.019, y + 0.25 * x) * smoothstep(0.034, 0.027, x) * (y > -0.004)
    where = np.maximum(beard * np.where(y > -0.026, beside, 1.0), moustache * (z > 0))
    grown: Floats = (where * (1 - smoothstep(0.05, 0.3, lips))).astype(np.float32)
    return grown
