"""Paints what shows between strands of hair: darkness, streaked along the way they are combed.

Scales and amounts are chosen by eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from models.studio.appearance import Appearance
from models.studio.brush import Brush, Floats, Grain, vector
from models.studio.noise import fractal_noise

HAIR_CENTRE_M, BUN_CENTRE_M = (0.0, 0.025, -0.075), (0.0, 0.018, -0.192)
"""Middle of the skull, and of the bun to which strands run from the hairline."""
_HAIR_CENTRE = np.array(HAIR_CENTRE_M, np.float32)
_BUN_CENTRE = np.array(BUN_CENTRE_M, np.float32)


class Strandwise(NamedTuple):
    """Scale of noise that follows strands."""

    cells_per_rad: float
    """Noise cells per radian across the strands, about the bun's axis."""
    along: float
    """Noise cells per radian along them, as a share of `_CELLS_ALONG`."""


_CELLS_ALONG = 3
_CURL_CELLS_PER_M, _CURL_OCTAVES = 9, 2
"""Curls have this many cells per metre for each cell per radian across combed strands: at the
scalp, some 10 cm from the middle, they are about as fine."""
_WAVE_RAD, _WAVE = 0.025, Grain(45, 2)
"""Waves of strands, without which they look drawn with a ruler."""
_STRAND_OCTAVES = 2

_FINE, _MEDIUM = Strandwise(110, 1.0), Strandwise(34, 0.7)
_MEAN_LIGHT, _FINE_LIGHT, _MEDIUM_LIGHT = 0.42, 0.34, 0.30
"""Brightness of the streaks, and how much strands and locks vary it."""
_LIGHT_AMOUNT, _CURLED_LESS = 0.3, 0.9
"""Share of the light colour in the brightest streak, and how much of it curls take away."""
_ROUGHNESS, _SPECULAR = 0.5, 0.12
_MIN_LENGTH = 1e-6  # of vectors that are normalised: none must divide by 0


def paint_hair(brush: Brush, appearance: Appearance) -> None:
    """Paint a dark ground for the strands that are drawn over it, and their direction."""
    fine = hair_noise(brush.position, _FINE, appearance.curl)
    medium = hair_noise(brush.position, _MEDIUM, appearance.curl)
    light = np.clip(_MEAN_LIGHT + _FINE_LIGHT * fine + _MEDIUM_LIGHT * medium, 0, 1)
    brush.colour[:] = appearance.hair_dark
    shown = _LIGHT_AMOUNT * light * (1 - _CURLED_LESS * appearance.curl)
    brush.mix(appearance.hair_light, shown)
    brush.roughness[:] = _ROUGHNESS
    brush.specular[:] = _SPECULAR * light
    towards = _BUN_CENTRE - brush.position
    tangent = towards - (towards * brush.normal).sum(1, keepdims=True) * brush.normal
    length = np.linalg.norm(tangent, axis=1, keepdims=True)
    brush.relief[:] = tangent / np.maximum(length, _MIN_LENGTH)


def _strand_coordinates(points: Floats) -> tuple[Floats, Floats]:
    """Return the angles about the bun's axis (which strand) and from it (how far along), (N,)."""
    axis = (_BUN_CENTRE - _HAIR_CENTRE) / np.linalg.norm(_BUN_CENTRE - _HAIR_CENTRE)
    side = vector(1, 0, 0)
    up = np.cross(side, axis)
    d = points - _HAIR_CENTRE
    d = d / np.maximum(np.linalg.norm(d, axis=1, keepdims=True), _MIN_LENGTH)
    turn = np.arctan2(d @ up, d @ side).astype(np.float32)
    angle = np.arccos(np.clip(d @ axis, -1, 1)).astype(np.float32)
    return turn, angle


def hair_noise(points: Floats, scale: Strandwise, curl: float) -> Floats:
    """Return noise (N,): along the strands in combed hair, isotropic in curls.

    Args:
        points: (N, 3) metres.
        scale: Cells of the noise across and along the strands.
        curl: How curly the hair is, 0..1, as `Appearance.curl`.
    """
    combed = _strand_noise(points, scale)
    if curl == 0:
        return combed
    cells_per_m = _CURL_CELLS_PER_M * scale.cells_per_rad
    curled = fractal_noise(points, cells_per_m, _CURL_OCTAVES)
    curls: Floats = combed + curl * (curled - combed)
    return curls


def _strand_noise(points: Floats, scale: Strandwise) -> Floats:
    """Return noise (N,) that changes fast across strands, slowly along them."""
    turn, angle = _strand_coordinates(points)
    wave = turn + _WAVE_RAD * fractal_noise(points, *_WAVE)
    cells, along = scale.cells_per_rad, angle * scale.along * _CELLS_ALONG
    circle = np.stack([np.cos(wave) * cells, np.sin(wave) * cells, along], axis=1)
    # The points are in noise cells already.
    return fractal_noise(circle.astype(np.float32), 1.0, _STRAND_OCTAVES)
