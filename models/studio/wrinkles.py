"""Wrinkles that expressions fold into the skin: where they run, and which coefficients fold them.

Positions are metres on the neutral head, origin between the eyes. Lines and amounts are chosen by
eye, on renders of the two shipped heads.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.geometry.smoothstep import smoothstep
from models.studio.brush import Floats


class _Region(NamedTuple):
    """An area whose wrinkles the same coefficients fold; not mirrored."""

    middle_m: tuple[float, float, float]
    half_widths_m: tuple[float, float, float]
    folding: dict[str, float]
    """How far each coefficient folds it at 1."""


_REGIONS = (
    _Region(  # forehead
        (0.0, 0.047, 0.03),
        (0.042, 0.022, 0.05),
        {"browInnerUp": 0.45, "browOuterUpLeft": 0.2, "browOuterUpRight": 0.2},
    ),
    _Region(  # between the brows
        (0.0, 0.019, 0.035),
        (0.010, 0.013, 0.03),
        {"browDownLeft": 0.5, "browDownRight": 0.5, "noseSneerLeft": 0.2, "noseSneerRight": 0.2},
    ),
    *(
        _Region(  # outer corner of an eye
            (side * 0.058, -0.002, 0.005),
            (0.014, 0.018, 0.03),
            {f"cheekSquint{name}": 0.6, f"mouthSmile{name}": 0.45, f"eyeSquint{name}": 0.4},
        )
        for side, name in ((1, "Left"), (-1, "Right"))
    ),
    *(
        _Region(  # beside nose and mouth
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
_REGION_FALLOFF = 1.2
"""Falloff of a region's Gaussian, in half widths."""
_MIN_Z_M = -0.02
"""Wrinkles are on the front of the head: behind this there are none."""


class _ForeheadLine(NamedTuple):
    """A long, nearly level line across the forehead, which dips a little in the middle."""

    height_m: float
    reach_m: float
    """Distance from the middle at which it ends."""
    depth: float
    """Relative to `_DEPTH_M`."""


_FOREHEAD = (
    _ForeheadLine(0.0375, 0.034, 0.8),
    _ForeheadLine(0.0455, 0.038, 1),
    _ForeheadLine(0.0535, 0.036, 0.8),
)
_FOREHEAD_WIDTH_M, _FOREHEAD_FADE_M = 0.0016, 0.014
"""Half width of a line, and the length over which it ends."""
_WAVE_M, _WAVES_PER_M, _WAVE_SHIFT_PER_M = 0.0018, 110, 900
"""Height of a line's waves, their radians per metre along it, and how much they differ by height,
so that the lines are not parallel."""
_RISE_M, _RISE_AT_M = 0.0022, 0.03
"""How much higher a line is at that distance from the middle: it dips as a parabola."""

_FROWN_X_M, _FROWN_LEAN, _FROWN_LEAN_Y_M = 0.0062, 0.06, 0.018
"""Distance of the two upright lines from the middle at a height, and how it grows upwards."""
_FROWN_WIDTH_M, _FROWN_Y_M, _FROWN_HALF_HEIGHT_M, _FROWN_DEPTH = 0.0011, 0.020, 0.0085, 0.9
_FROWN_ENDS = 4
"""Power of the falloff along the lines: above 2, so that they keep their depth and end shortly."""


class _CrowsFoot(NamedTuple):
    """A line outwards from the corner of the eye."""

    direction_rad: float
    """At its inner end, above level."""
    reach_m: float


_CROWS_FEET = (
    _CrowsFoot(0.42, 0.014),
    _CrowsFoot(0.05, 0.017),
    _CrowsFoot(-0.34, 0.015),
    _CrowsFoot(-0.72, 0.012),
)
_EYE_CORNER_M = (0.0475, -0.001)
"""x and y from which the lines fan out."""
_BEND_RAD_PER_M, _FOOT_WIDTH_M, _FOOT_DEPTH = 9, 0.0009, 0.6
"""How much the lines bend up along their way, their half width, and depth."""
_FOOT_START_M, _FOOT_FADE = (0.0025, 0.006), 0.55
"""Distance from the corner at which lines begin, and the share of the reach where they fade."""

_NASOLABIAL_Y_M = (-0.078, -0.066, -0.052, -0.041, -0.034)
_NASOLABIAL_X_TENTHS_MM = (351, 345, 290, 222, 190)
"""The fold from the wing of the nose (last) around the mouth."""
_NASOLABIAL_WIDTH_M, _NASOLABIAL_DEPTH = 0.0022, 0.8
_NASOLABIAL_LOW_M, _NASOLABIAL_HIGH_M = (-0.078, -0.066), (-0.033, -0.040)
"""Heights over which it begins, from below and from above."""

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
        for index, region in enumerate(_REGIONS):
            offset = (neutral - np.asarray(region.middle_m)) / np.asarray(region.half_widths_m)
            spread.append(np.exp(-(offset**2).sum(1) * _REGION_FALLOFF))
            for name, amount in region.folding.items():
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
    depth = np.maximum(_forehead_lines(points), _frown_lines(points))
    depth = np.maximum(np.maximum(depth, _crows_feet(points)), _nasolabial_folds(points))
    front: Floats = (depth * (points[:, 2] > _MIN_Z_M)).astype(np.float32)
    return front


def _forehead_lines(points: Floats) -> Floats:
    """Return the depth (N,) of the lines across the forehead."""
    x, y = np.abs(points[:, 0]), points[:, 1]
    depth = np.zeros(len(points), np.float32)
    for line in _FOREHEAD:
        phase = points[:, 0] * _WAVES_PER_M + line.height_m * _WAVE_SHIFT_PER_M
        middle = line.height_m + _WAVE_M * np.cos(phase)
        middle += _RISE_M * (x / _RISE_AT_M) ** 2
        across = np.exp(-(((y - middle) / _FOREHEAD_WIDTH_M) ** 2))
        along = smoothstep(line.reach_m, line.reach_m - _FOREHEAD_FADE_M, x)
        depth = np.maximum(depth, line.depth * (across * along))
    return depth


def _frown_lines(points: Floats) -> Floats:
    """Return the depth (N,) of two short upright lines between the brows."""
    x, y = np.abs(points[:, 0]), points[:, 1]
    lean = _FROWN_X_M + _FROWN_LEAN * (y - _FROWN_LEAN_Y_M)
    across = np.exp(-(((x - lean) / _FROWN_WIDTH_M) ** 2))
    along = np.exp(-(((y - _FROWN_Y_M) / _FROWN_HALF_HEIGHT_M) ** _FROWN_ENDS))
    depth: Floats = _FROWN_DEPTH * (across * along)
    return depth


def _crows_feet(points: Floats) -> Floats:
    """Return the depth (N,) of a fan of lines outwards from the corner of the eye."""
    corner_x, corner_y = _EYE_CORNER_M
    out, rise = np.abs(points[:, 0]) - corner_x, points[:, 1] - corner_y
    along, angle = np.hypot(out, rise), np.arctan2(rise, out)
    depth = np.zeros(len(points), np.float32)
    for line in _CROWS_FEET:
        aside = (angle - line.direction_rad - along * _BEND_RAD_PER_M) * along
        across = np.exp(-((aside / _FOOT_WIDTH_M) ** 2))
        ends = across * smoothstep(*_FOOT_START_M, along)
        ends = ends * smoothstep(line.reach_m, line.reach_m * _FOOT_FADE, along)
        depth = np.maximum(depth, _FOOT_DEPTH * ends * (out > 0))
    return depth


def _nasolabial_folds(points: Floats) -> Floats:
    """Return the depth (N,) of the folds from the wings of the nose around the mouth."""
    x, y = np.abs(points[:, 0]), points[:, 1]
    path = np.interp(y, _NASOLABIAL_Y_M, _NASOLABIAL_X_TENTHS_MM) / 1e4
    fold = np.exp(-(((x - path) / _NASOLABIAL_WIDTH_M) ** 2))
    fold = fold * smoothstep(*_NASOLABIAL_LOW_M, y) * smoothstep(*_NASOLABIAL_HIGH_M, y)
    depth: Floats = _NASOLABIAL_DEPTH * fold
    return depth


def crease_relief(points: Floats) -> Floats:
    """Return what fully folded wrinkles add to the normal, (N, 3), in head space."""
    slopes = []
    for axis in range(3):
        offset = np.zeros(3, np.float32)
        offset[axis] = _STEP_M
        slopes.append(crease_depth(points + offset) - crease_depth(points - offset))
    relief: Floats = np.stack(slopes, axis=1) * np.float32(_DEPTH_M / (2 * _STEP_M))
    return relief
