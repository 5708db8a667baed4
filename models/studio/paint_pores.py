"""Paints the surface of skin: pores, fine furrows, gloss, and where light shines through.

Positions are metres on the neutral head, origin between the eyes; amounts are chosen by eye, on
renders of the shipped heads at 384x384.
"""

from __future__ import annotations

import numpy as np

from models.geometry.smoothstep import smoothstep
from models.studio.appearance import Appearance
from models.studio.brush import Brush, Floats, Grain, Spot, vector
from models.studio.noise import noise_gradient

_OILY = (
    # spot: x, y, z, radius (metres); amount
    (Spot(0.0, -0.026, 0.048, 0.0125), 1.0),  # nose
    (Spot(0.0, 0.045, 0.03, 0.026), 0.5),  # forehead
    (Spot(0.0, -0.098, 0.026, 0.010), 0.5),  # chin
    (Spot(0.036, -0.020, 0.024, 0.011), 0.10),  # cheeks
)
"""Where glands give oil: there skin shines more, and its pores are open."""

_OPEN_PORES, _OPEN_PORE_RANGE = Grain(1050, 1), (0.15, 0.75)
"""Pores about 1 mm apart: noise, and its values at the rim of a pore and inside."""
_PORE_FACTOR, _PORE_AMOUNT, _DRY_PORES = (0.90, 0.86, 0.84), 0.6, 0.35
"""Colour in a pore, how much of it shows, and the share of it that shows where skin is dry."""

_COARSE_RELIEF, _COARSE_TANGENT, _OILY_COARSE_TANGENT = Grain(1350, 1), 0.09, 0.07
"""Relief of the pores, in oily skin deeper by the second."""
_FINE_RELIEF, _FINE_TANGENT = Grain(2100, 1), 0.08
_FURROWS, _FURROW_TANGENT = Grain(760, 2), np.float32(0.045)
_FURROW_STRETCH = vector(1.0, 1.7, 1.0)
"""The fine furrows of skin have a direction, level on the face: noise is denser along y."""
_UNEVEN_RELIEF, _UNEVEN_TANGENT = Grain(150, 2), 0.022

_ROUGHNESS, _OILY_SMOOTHER = 0.49, 0.13
"""Roughness of dry skin, and how much smoother oil makes it."""
_ROUGHNESS_GRAIN, _ROUGHNESS_VARIES, _PORE_ROUGHER = Grain(600, 2), 0.06, 0.07
_MATT_ROUGHER = 0.12
"""How much rougher skin is that does not shine (`Appearance.shine` 0)."""
_SPECULAR, _OILY_SPECULAR, _PORE_MATT = 1.05, 0.45, 0.45
_NECK_Y_M, _NECK_MATT = (-0.11, -0.15), 0.35
"""Heights at which the neck, which has few glands, begins and is fully matt."""
_UNDER_EYES, _UNDER_EYES_MATT = Spot(0.031, -0.019, 0.02, 0.009), 0.45
"""Under the eyes the skin is thin and matt: without this it would look swollen."""

_EAR_THINNESS = 0.4
_NOSE_WINGS, _NOSE_WING_THINNESS = Spot(0.0155, -0.040, 0.034, 0.005), 0.2


def paint_pores(brush: Brush, appearance: Appearance) -> None:
    """Add relief and gloss: oily, with open pores, on nose and forehead; finer on the cheeks."""
    oily = _oiliness(brush)
    open_pores = smoothstep(*_OPEN_PORE_RANGE, brush.noise(_OPEN_PORES))
    shown = _DRY_PORES + (1 - _DRY_PORES) * oily
    brush.tint(_PORE_FACTOR, _PORE_AMOUNT * open_pores * shown)
    brush.bump(_COARSE_RELIEF, _COARSE_TANGENT + _OILY_COARSE_TANGENT * oily)
    brush.bump(_FINE_RELIEF, _FINE_TANGENT)
    brush.relief -= noise_gradient(brush.position * _FURROW_STRETCH, *_FURROWS) * _FURROW_TANGENT
    brush.bump(_UNEVEN_RELIEF, _UNEVEN_TANGENT)
    _gloss(brush, appearance, oily, open_pores)


def _oiliness(brush: Brush) -> Floats:
    """Return (N,) how oily the skin is, 0..1."""
    oily = np.zeros(len(brush.position), np.float32)
    for spot, amount in _OILY:
        oily += amount * brush.near(spot)
    return np.clip(oily, 0, 1)


def _gloss(brush: Brush, appearance: Appearance, oily: Floats, open_pores: Floats) -> None:
    """Set roughness and highlights; `oily` and `open_pores` are (N,), 0..1."""
    varied = _ROUGHNESS_VARIES * brush.noise(_ROUGHNESS_GRAIN)
    brush.roughness[:] = _ROUGHNESS - _OILY_SMOOTHER * oily + varied + _PORE_ROUGHER * open_pores
    brush.roughness += _MATT_ROUGHER * (1 - appearance.shine)
    oil = _SPECULAR + _OILY_SPECULAR * oily
    brush.specular[:] = appearance.shine * oil * (1 - _PORE_MATT * open_pores)
    brush.specular *= 1 - _NECK_MATT * smoothstep(*_NECK_Y_M, brush.position[:, 1])
    brush.specular *= 1 - _UNDER_EYES_MATT * brush.near(_UNDER_EYES)


def paint_thinness(brush: Brush) -> None:
    """Mark where light comes through from behind: ears, and a little the wings of the nose."""
    wings = _NOSE_WING_THINNESS * brush.near(_NOSE_WINGS)
    brush.thinness[:] = np.clip(_EAR_THINNESS * brush.masks["ears"] + wings, 0, 1)
