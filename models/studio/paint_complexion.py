"""Paints the colour of skin: where blood shows, uneven pigment, freckles and moles.

Positions are metres on the neutral head, origin between the eyes. Positions, colours and amounts
are chosen by eye, on renders of the shipped heads (MakeHuman's base mesh) at 384x384.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.geometry.smoothstep import smoothstep
from models.studio.appearance import Appearance, Rgb
from models.studio.brush import Brush, Grain, Spot

_USUAL_BLUSH, _USUAL_FRECKLES = 0.6, 0.3
"""Defaults of `Appearance`, at which the amounts below were chosen."""


class _Stain(NamedTuple):
    """A tint of one area."""

    spot: Spot
    factor: Rgb
    """Multiplies the colour."""
    amount: float


# Blood absorbs green and blue light, and hardly any red.
_BLOOD_FACTOR = (1.03, 0.76, 0.73)
_BLOOD = (
    # spot: x, y, z, radius (metres); amount
    (Spot(0.041, -0.034, 0.022, 0.017), 0.45),  # cheeks
    (Spot(0.046, -0.024, 0.012, 0.020), 0.18),  # cheekbones
    (Spot(0.0, -0.036, 0.048, 0.009), 0.50),  # tip of the nose
    (Spot(0.014, -0.038, 0.036, 0.006), 0.55),  # wings of the nose
    (Spot(0.0, -0.098, 0.024, 0.013), 0.35),  # chin
    (Spot(0.030, 0.008, 0.016, 0.010), 0.10),  # upper eyelids
    (Spot(0.0, -0.056, 0.040, 0.007), 0.25),  # upper lip
)
_EAR_FACTOR = (1.0, 0.82, 0.79)
_BONE = (
    # Paler and yellower where bone lies close: forehead, bridge of the nose.
    _Stain(Spot(0.0, 0.05, 0.03, 0.028), (1.03, 1.05, 0.97), 0.8),
    _Stain(Spot(0.0, -0.005, 0.035, 0.010), (1.03, 1.03, 0.97), 0.5),
)
_UNDER_EYES = _Stain(Spot(0.030, -0.0175, 0.018, 0.0075), (0.86, 0.83, 0.89), 0.28)
_UNDER_EYES_PER_AGE = 0.5
"""Thin, bluish skin, and how much more of it shows per unit of `Appearance.age`."""
_BESIDE_NOSE = _Stain(Spot(0.0165, -0.008, 0.018, 0.0055), (0.88, 0.80, 0.84), 0.5)
"""Violet skin under the eyes, towards the nose."""
_JAW = _Stain(Spot(0.026, -0.085, 0.022, 0.016), (0.95, 0.98, 0.98), 0.6)
"""Cooler skin around the mouth and on the jaw."""
_NECK_FACTOR = (0.96, 0.89, 0.87)
_NECK_Y_M = (-0.10, -0.15)
"""Heights at which the colour of the neck, warmer than the face, begins and is full."""

_UNEVEN, _UNEVEN_PER_AGE = 0.7, 1.2
"""How much the colour varies in young skin, and how much more per unit of `Appearance.age`."""
_BLOODLESS = 0.25
"""Variation that is left in skin that shows no blood."""
_PATCHES = (
    # grain, factor, amount; from large blotches to single vessels
    (Grain(38, 3), (1.07, 0.94, 0.90), 1.0),
    (Grain(170, 3), (1.06, 0.95, 0.93), 1.7),
    (Grain(310, 2), (0.94, 0.97, 1.0), 1.2),
)
_SPECKLES = (Grain(900, 2), (1.05, 0.99, 0.98), 1.1)
"""The finest variation, which does not grow with age."""

_FRECKLED = Spot(0.022, -0.024, 0.034, 0.016)
_FRECKLED_CHEEKS, _FRECKLED_CHEEKS_SHARE = Spot(0.04, -0.03, 0.02, 0.02), 0.6
_FRECKLED_FACE_Y_M, _FRECKLED_FACE_SHARE = (-0.06, 0.03), 0.18
"""Freckles are densest beside the nose; cheeks have fewer, and the face above the mouth the least,
where the sun reaches least."""
_FRECKLE_CLUSTERS, _CLUSTER_RANGE = Grain(60, 2), (-0.2, 0.5)
"""Freckles come in groups: noise, and its values at which groups begin and are full."""
_FRECKLES = ((Grain(420, 1), 0.60), (Grain(680, 1), 0.45))
"""Grain and strength of larger and smaller freckles."""
_FRECKLE_RANGE = (0.46, 0.8)
"""Values of the noise at the rim of a freckle and inside: high, so that freckles stay apart."""
_FRECKLE_FACTOR, _MAX_FRECKLE = (0.82, 0.68, 0.58), 1.4
"""Colour of a freckle, and how often it may be applied before freckles turn black."""

_MOLES_M = ((0.034, -0.052), (-0.047, -0.016), (-0.012, -0.088), (0.021, 0.052))
"""x (not mirrored) and y."""
_MOLE_RADII_M = (0.0011, 0.0006)
"""Radii at which the edge of a mole begins, and within which it is dark."""
_MOLE_FACTOR, _MOLE_AMOUNT = (0.52, 0.40, 0.34), 0.75
_FACE_MIN_Z_M = -0.02
"""Moles are given by x and y: only the front of the head gets them, not its back."""


def paint_complexion(brush: Brush, appearance: Appearance) -> None:
    """Paint the colour of skin; the steps multiply it, and each tints what is below."""
    brush.colour[:] = appearance.skin
    _blush(brush, appearance)
    _mottle(brush, appearance)
    _freckle(brush, appearance)


def _blush(brush: Brush, appearance: Appearance) -> None:
    """Redden cheeks, nose, chin and ears, where blood shows; forehead and jaw are paler."""
    blood = appearance.blush / _USUAL_BLUSH
    for spot, amount in _BLOOD:
        brush.tint(_BLOOD_FACTOR, blood * amount * brush.near(spot))
    brush.tint(_EAR_FACTOR, blood * brush.masks["ears"])
    for stain in _BONE:
        brush.tint(stain.factor, stain.amount * brush.near(stain.spot))
    shown = _UNDER_EYES.amount + _UNDER_EYES_PER_AGE * appearance.age
    brush.tint(_UNDER_EYES.factor, shown * brush.near(_UNDER_EYES.spot))
    for stain in (_BESIDE_NOSE, _JAW):
        brush.tint(stain.factor, stain.amount * brush.near(stain.spot))
    brush.tint(_NECK_FACTOR, smoothstep(*_NECK_Y_M, brush.position[:, 1]))


def _mottle(brush: Brush, appearance: Appearance) -> None:
    """Vary the colour at several scales."""
    blood = _BLOODLESS + (1 - _BLOODLESS) * appearance.blush / _USUAL_BLUSH
    uneven = (_UNEVEN + _UNEVEN_PER_AGE * appearance.age) * blood
    for grain, factor, amount in _PATCHES:
        brush.tint(factor, amount * uneven * brush.noise(grain))
    grain, factor, amount = _SPECKLES
    brush.tint(factor, amount * blood * brush.noise(grain))


def _freckle(brush: Brush, appearance: Appearance) -> None:
    """Add freckles, and a few moles."""
    freckled = appearance.freckles / _USUAL_FRECKLES
    where = brush.near(_FRECKLED) + _FRECKLED_CHEEKS_SHARE * brush.near(_FRECKLED_CHEEKS)
    face = smoothstep(*_FRECKLED_FACE_Y_M, brush.position[:, 1])
    where = np.clip(where + _FRECKLED_FACE_SHARE * face, 0, 1)
    clusters = smoothstep(*_CLUSTER_RANGE, brush.noise(_FRECKLE_CLUSTERS))
    for grain, strength in _FRECKLES:
        spots = smoothstep(*_FRECKLE_RANGE, brush.noise(grain)) * clusters
        amount = np.clip(strength * freckled * spots * where, 0, _MAX_FRECKLE)
        brush.tint(_FRECKLE_FACTOR, amount)
    for x, y in _MOLES_M:
        offset = np.hypot(brush.position[:, 0] - x, brush.position[:, 1] - y)
        mole = smoothstep(*_MOLE_RADII_M, offset) * (brush.position[:, 2] > _FACE_MIN_Z_M)
        brush.tint(_MOLE_FACTOR, _MOLE_AMOUNT * mole)
