"""Wrinkles that expressions fold into the skin: where they run, and which coefficients fold them.

Positions are metres on the neutral head, origin between the eyes. Lines and amounts are chosen by
eye, on renders of the two shipped heads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from models.geometry.smoothstep import smoothstep
from models.studio.brush import Floats

# Middle of the region (x, y, z; None: on both sides of the face), its half widths, and how much
# each coefficient folds it.
_REGIONS: tuple[
    tuple[float, tuple[float, float, float], tuple[float, float, float], dict[str, float]], ...
] = (
    (
        0,
        (0.0, 0.047, 0.03),
        (0.042, 0.022, 0.05),
        {"browInnerUp": 0.45, "browOuterUpLeft": 0.2, "browOuterUpRight": 0.2},
    ),
    (
        0,
        (0.0, 0.019, 0.035),
        (0.010, 0.013, 0.03),
        {"browDownLeft": 0.5, "browDownRight": 0.5, "noseSneerLeft": 0.2, "noseSneerRight": 0.2},
    ),
    *(
        (
            side,
            (side * 0.058, -0.002, 0.005),
            (0.014, 0.018, 0.03),
            {f"cheekSquint{name}": 0.6, f"mouthSmile{name}": 0.45, f"eyeSquint{name}": 0.4},
        )
        for side, name in ((1, "Left"), (-1, "Right"))
    ),
    *(
        (
            side,
            (side * 0.030, -0.050, 0.025),
            (0.020, 0.028, 0.04),
            {
                f"mouthSmile{name}": 0.8,
                f"cheekSquint{name}": 0.25,
                f"noseSneer{name}": 0.4,
                f"mouthStretch{name}": 0.3,
            },
        )
        for side, name in ((1, "Left"), (-1, "Right"))
    ),
)

_DEPTH_M = 0.00055
"""Depth of a fully folded wrinkle."""
_STEP_M = 0.0004
"""Step of the central differences: about a third of a wrinkle's half width."""


class Wrinkles:
    """How far the wrinkles at each vertex are folded.

    Args:
        neutral: (V, 3) metres.
        names: Names of the expression coefficients.
    """

    def __init__(self, neutral: Floats, names: tuple[str, ...]) -> None:
        spread = []
        folding = np.zeros((len(names), len(_REGIONS)), np.float32)
        for index, (_, middle, widths, coefficients) in enumerate(_REGIONS):
            offset = (neutral - np.asarray(middle)) / np.asarray(widths)
            spread.append(np.exp(-(offset**2).sum(1) * 1.2))
            for name, amount in coefficients.items():
                if name in names:
                    folding[names.index(name), index] = amount
        self._spread = np.asarray(spread, np.float32)
        self._folding = folding

    def fold(self, expression: NDArray[np.float32]) -> Floats:
        """Return (V,) 0 where the skin is smooth to 1 where it is fully folded."""
        amounts = np.clip(expression[:, None] * self._folding, 0, None).sum(0).clip(0, 1)
        folded: Floats = (amounts[:, None] * self._spread).sum(0).astype(np.float32)
        return folded


def crease_depth(points: Floats) -> Floats:
    """Return the depth (N,) of all wrinkles when fully folded, 0..1.

    Forehead lines, frown lines, crow's feet and nasolabial folds, at `points` (N, 3).
    """
    x, y = np.abs(points[:, 0]), points[:, 1]
    depth = np.zeros(len(points), np.float32)
    # Across the forehead: long, nearly level lines that dip a little in the middle.
    for height, reach, strength in ((0.0375, 0.034, 0.8), (0.0455, 0.038, 1), (0.0535, 0.036, 0.8)):
        wave = height + 0.0018 * np.cos(points[:, 0] * 110 + height * 900)
        wave += 0.0022 * (x / 0.03) ** 2
        line = np.exp(-(((y - wave) / 0.0016) ** 2)) * smoothstep(reach, reach - 0.014, x)
        depth = np.maximum(depth, strength * line)
    # Two short upright lines between the brows.
    lean = 0.0062 + 0.06 * (y - 0.018)
    frown = np.exp(-(((x - lean) / 0.0011) ** 2)) * np.exp(-(((y - 0.020) / 0.0085) ** 4))
    depth = np.maximum(depth, 0.9 * frown)
    # A fan outwards from the corner of the eye.
    out, rise = x - 0.0475, y + 0.001
    along = np.hypot(out, rise)
    angle = np.arctan2(rise, out)
    for direction, reach in ((0.42, 0.014), (0.05, 0.017), (-0.34, 0.015), (-0.72, 0.012)):
        line = np.exp(-(((angle - direction - along * 9) * along / 0.0009) ** 2))
        line = line * smoothstep(0.0025, 0.006, along) * smoothstep(reach, reach * 0.55, along)
        depth = np.maximum(depth, 0.6 * line * (out > 0))
    # From the wing of the nose around the mouth.
    path = np.interp(y, [-0.078, -0.066, -0.052, -0.041, -0.034], [351, 345, 290, 222, 190]) / 1e4
    line = np.exp(-(((x - path) / 0.0022) ** 2))
    line = line * smoothstep(-0.078, -0.066, y) * smoothstep(-0.033, -0.040, y)
    depth = np.maximum(depth, 0.8 * line)
    front: Floats = (depth * (points[:, 2] > -0.02)).astype(np.float32)
    return front


def crease_relief(points: Floats) -> Floats:
    """Return what fully folded wrinkles add to the normal, (N, 3), in head space."""
    slopes = []
    for axis in range(3):
        offset = np.zeros(3, np.float32)
        offset[axis] = _STEP_M
        slopes.append(crease_depth(points + offset) - crease_depth(points - offset))
    relief: Floats = np.stack(slopes, axis=1) * np.float32(_DEPTH_M / (2 * _STEP_M))
    return relief
