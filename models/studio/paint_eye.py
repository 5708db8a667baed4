"""Paints eyes: sclera with veins, iris with fibres, pupil; and the ribbons of the lashes.

Angles are radians from the axis of the eye. Colours (linear RGB), scales and amounts are chosen by
eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.geometry.smoothstep import smoothstep
from models.studio.appearance import Appearance
from models.studio.brush import Brush, Floats, Grain, vector
from models.studio.eyeball import IRIS_RAD, PUPIL_RAD
from models.studio.noise import fractal_noise

_SCLERA_MOTTLED, _SCLERA_MOTTLED_FACTOR = Grain(220, 2), (1.0, 0.95, 0.92)


class _Veins(NamedTuple):
    """Veins lie where noise crosses 0."""

    grain: Grain
    width: float
    """Absolute value of the noise at the edge of a vein."""
    amount: float


_VEINS = (_Veins(Grain(260, 3), 0.05, 0.55), _Veins(Grain(520, 3), 0.07, 0.5))
_VEIN_STRETCH = vector(0.5, 1.7, 1)
"""Veins run level, from the corners of the eye towards the iris."""
_VEIN_PATCHES, _PATCH_RANGE = Grain(180, 1), (-0.2, 0.5)
"""Veins show in places: noise, and its values where they begin and are full."""
_VEIN_FACTOR = (0.98, 0.62, 0.56)
_VEINS_RAD = (0.42, 0.95)
"""Veins begin at the edge of the iris, and are full beside it."""
_REDDER_RAD, _REDDER_FACTOR = (0.50, 1.10), (0.90, 0.66, 0.58)
"""The sclera becomes redder towards the lids."""
_EYE_ROUGHNESS, _EYE_SPECULAR = 0.12, 1.0

_IRIS_EDGE_RAD = (IRIS_RAD + 0.020, IRIS_RAD - 0.030)
"""The iris ends softly, over 0.6 mm of an eyeball of 12 mm."""
_PUPIL_EDGE_RAD, _PUPIL = (PUPIL_RAD + 0.016, PUPIL_RAD - 0.006), (0.002, 0.002, 0.002)
_OTHER_EYE = 3.0
"""Shift between the noise of both eyes, in its own cells: their fibres differ."""


class _Fibres(NamedTuple):
    """Noise around the iris; its points are the cosine and sine of the angle, and the radius."""

    cells: float
    """Noise cells per radian around the pupil."""
    octaves: int
    stretch: float
    """Density along the radius against that around; small for long fibres."""


_FIBRES, _FINE_FIBRES, _BROAD = _Fibres(12, 3, 0.6), _Fibres(26, 2, 0.3), _Fibres(2.5, 2, 1)
_IRIS_FACTOR = (0.80, 0.80, 0.78)
"""The ground below the fibres is darker than the iris as a whole."""
_COLLAR_DEPTH, _COLLAR_AMOUNT = (0.52, 0.08), 0.9
_COLLAR_BROAD, _COLLAR_FIBRES = 0.20, 0.12
"""Share of the way from pupil to rim at which the inner ring ends, and how ragged its edge is."""
_FIBRE_RANGE, _FINE_RANGE, _STREAK_RANGE = (-0.5, 0.7), (-0.5, 0.6), (-0.6, 0.9)
"""Limits of the noises and of their sum, so that single fibres do not glare."""
_FINE_SHARE = 0.5
_STREAK_FACTOR, _STREAK_AMOUNT = (2.1, 2.0, 1.8), 0.85
_RING_DEPTH, _RING_WIDTH, _RING_FACTOR = 0.36, 0.10, (1.35, 1.35, 1.35)
"""A lighter ring, at this share of the way from the pupil to the rim."""
_LIMBUS_DARK = 0.16
"""Brightness of the limbal ring, as a share of the iris's."""
_LIMBUS_DEPTH, _LIMBUS_RAGGED, _LIMBUS_AMOUNT = (0.62, 1.0), 0.05, 0.9

_LASH_ROUGHNESS, _LASH_SPECULAR = 0.5, 0.4


def paint_eye(brush: Brush, eyes: Floats, appearance: Appearance) -> None:
    """Paint the sclera with faint veins, the limbal ring, the fibres of the iris, the pupil.

    Args:
        brush: The eyes' texels.
        eyes: (2, 3) middles of the eyeballs, metres.
        appearance: Colours of the person.
    """
    theta = brush.masks["detail"]
    side = (brush.position[:, 0] < 0).astype(np.int64)
    offset = brush.position - eyes[side]
    around = np.arctan2(offset[:, 1], offset[:, 0])
    brush.colour[:] = appearance.sclera
    brush.tint(_SCLERA_MOTTLED_FACTOR, brush.noise(_SCLERA_MOTTLED))
    away = smoothstep(*_VEINS_RAD, theta)
    patchy = smoothstep(*_PATCH_RANGE, brush.noise(_VEIN_PATCHES))
    for vein in _VEINS:
        veins = np.abs(fractal_noise(brush.position * _VEIN_STRETCH, *vein.grain))
        shown = vein.amount * smoothstep(vein.width, 0.0, veins) * away * patchy
        brush.tint(_VEIN_FACTOR, shown)
    brush.tint(_REDDER_FACTOR, smoothstep(*_REDDER_RAD, theta))
    _paint_iris(brush, theta, around.astype(np.float32), side, appearance)
    brush.roughness[:] = _EYE_ROUGHNESS
    brush.specular[:] = _EYE_SPECULAR


def _paint_iris(
    brush: Brush, theta: Floats, around: Floats, side: NDArray[np.int64], appearance: Appearance
) -> None:
    """Paint iris and pupil.

    Args:
        brush: The eyes' texels.
        theta: (N,) angle from the axis of the eye.
        around: (N,) angle around the axis.
        side: (N,) 0 left, 1 right: gives both eyes different fibres.
        appearance: Colours of the person.
    """
    inside = smoothstep(*_IRIS_EDGE_RAD, theta)
    depth = np.clip((theta - PUPIL_RAD) / (IRIS_RAD - PUPIL_RAD), 0, 1)
    radial = side * _OTHER_EYE + theta
    ring = np.stack([np.cos(around), np.sin(around), radial], axis=1).astype(np.float32)
    fibres, fine, broad = (_noise_around(ring, kind) for kind in (_FIBRES, _FINE_FIBRES, _BROAD))
    # From the ground up: iris, inner ring, fibres, lighter ring, limbal ring, pupil.
    brush.mix(appearance.iris, inside)
    brush.tint(_IRIS_FACTOR, inside)
    collar = smoothstep(*_COLLAR_DEPTH, depth + _COLLAR_BROAD * broad + _COLLAR_FIBRES * fibres)
    brush.mix(appearance.iris_inner, _COLLAR_AMOUNT * inside * collar)
    streaks = np.clip(fibres, *_FIBRE_RANGE) + _FINE_SHARE * np.clip(fine, *_FINE_RANGE)
    brush.tint(_STREAK_FACTOR, inside * np.clip(streaks, *_STREAK_RANGE) * _STREAK_AMOUNT)
    brush.tint(_RING_FACTOR, inside * np.exp(-(((depth - _RING_DEPTH) / _RING_WIDTH) ** 2)))
    ring_dark = np.asarray(appearance.iris) * _LIMBUS_DARK
    limbus = smoothstep(*_LIMBUS_DEPTH, depth + _LIMBUS_RAGGED * broad)
    brush.mix((ring_dark[0], ring_dark[1], ring_dark[2]), _LIMBUS_AMOUNT * inside * limbus)
    brush.mix(_PUPIL, smoothstep(*_PUPIL_EDGE_RAD, theta))


def _noise_around(ring: Floats, kind: _Fibres) -> Floats:
    """Return noise (N,) at points `ring` (N, 3) around the pupil."""
    return fractal_noise(ring * vector(1, 1, kind.stretch), kind.cells, kind.octaves)


def paint_lash(brush: Brush, appearance: Appearance) -> None:
    """Paint the ribbons of the lashes."""
    brush.colour[:] = appearance.lash
    brush.roughness[:] = _LASH_ROUGHNESS
    brush.specular[:] = _LASH_SPECULAR
