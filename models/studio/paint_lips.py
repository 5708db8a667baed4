"""Paints lips: creased, glossy, with a pale line around them.

Edges are values of the mask "lips", 0..1; they and all amounts are chosen by eye, on renders of the
shipped heads at 384x384.
"""

from __future__ import annotations

from models.geometry.smoothstep import smoothstep
from models.studio.appearance import Appearance
from models.studio.brush import Brush, Grain, vector
from models.studio.noise import fractal_noise, noise_gradient

_EDGE = (0.20, 0.85)
"""The red of the lips fades in over these values of the mask."""
_COLOUR_AMOUNT = 0.85
_MOTTLED, _MOTTLED_FACTOR, _MOTTLED_AMOUNT = Grain(320, 2), (1.05, 0.93, 0.91), 1.2

_CREASES = Grain(820, 2)
_CREASE_STRETCH = vector(1.0, 0.20, 0.20)
"""Creases run across the lips, from the mouth outwards: noise changes slowly along y and z."""
_CREASE_RANGE, _CREASE_FACTOR, _CREASE_AMOUNT = (-0.05, 0.6), (0.80, 0.68, 0.68), 0.8
_PORES_LEFT_OUT = 0.6
"""Share of the skin's relief that lips lack: they have no pores."""
_CREASE_TANGENT, _CREASE_ROUGHNESS = 0.30, 0.06

_ROUGHNESS, _GLOSS_SMOOTHER = 0.44, 0.16
"""Roughness of bare lips, and how much smoother `Appearance.lip_gloss` makes them."""
_SPECULAR = 0.5
"""Strength of highlights on lips without gloss."""

_BORDER_OUTSIDE, _BORDER_INSIDE = (0.02, 0.14), (0.38, 0.18)
"""The edge of the red catches a pale line of light, between these values of the mask."""
_BORDER_FACTOR, _BORDER_AMOUNT = (1.03, 1.04, 1.04), 0.5


def paint_lips(brush: Brush, appearance: Appearance) -> None:
    """Paint lips: creased, glossy, darker towards the line between them."""
    lips = smoothstep(*_EDGE, brush.masks["lips"])
    brush.mix(appearance.lips, _COLOUR_AMOUNT * lips)
    brush.tint(_MOTTLED_FACTOR, _MOTTLED_AMOUNT * lips * brush.noise(_MOTTLED))
    stretched = brush.position * _CREASE_STRETCH
    creases = fractal_noise(stretched, *_CREASES)
    brush.tint(_CREASE_FACTOR, _CREASE_AMOUNT * lips * smoothstep(*_CREASE_RANGE, creases))
    brush.relief *= (1 - _PORES_LEFT_OUT * lips)[:, None]
    brush.relief -= noise_gradient(stretched, *_CREASES) * (_CREASE_TANGENT * lips)[:, None]
    brush.gloss(_ROUGHNESS - _GLOSS_SMOOTHER * appearance.lip_gloss, lips)
    brush.roughness += _CREASE_ROUGHNESS * lips * creases
    brush.specular += lips * (_SPECULAR + appearance.lip_gloss - brush.specular)
    edge = smoothstep(*_BORDER_OUTSIDE, brush.masks["lips"])
    edge = edge * smoothstep(*_BORDER_INSIDE, brush.masks["lips"])
    brush.tint(_BORDER_FACTOR, _BORDER_AMOUNT * edge)
