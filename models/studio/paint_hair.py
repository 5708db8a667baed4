"""Paints what shows between strands of hair: darkness, streaked along the way they are combed."""

from __future__ import annotations

import numpy as np

from models.studio.appearance import Appearance
from models.studio.brush import Brush, Floats, vector
from models.studio.noise import fractal_noise

HAIR_CENTRE_M, BUN_CENTRE_M = (0.0, 0.025, -0.075), (0.0, 0.018, -0.192)
"""Middle of the skull, and of the bun to which strands run from the hairline."""
_HAIR_CENTRE = np.array(HAIR_CENTRE_M, np.float32)
_BUN_CENTRE = np.array(BUN_CENTRE_M, np.float32)


def paint_hair(brush: Brush, appearance: Appearance) -> None:
    """Paint a dark ground for the strands that are drawn over it, and their direction."""
    fine = hair_noise(brush.position, 110, 1.0, appearance.curl)
    medium = hair_noise(brush.position, 34, 0.7, appearance.curl)
    light = np.clip(0.42 + 0.34 * fine + 0.30 * medium, 0, 1)
    brush.colour[:] = appearance.hair_dark
    brush.mix(appearance.hair_light, 0.3 * light * (1 - 0.9 * appearance.curl))
    brush.roughness[:] = 0.5
    brush.specular[:] = 0.12 * light
    towards = _BUN_CENTRE - brush.position
    tangent = towards - (towards * brush.normal).sum(1, keepdims=True) * brush.normal
    brush.relief[:] = tangent / np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-6)


def _strand_coordinates(points: Floats) -> tuple[Floats, Floats]:
    """Return the angles about the bun's axis (which strand) and from it (how far along), (N,)."""
    axis = (_BUN_CENTRE - _HAIR_CENTRE) / np.linalg.norm(_BUN_CENTRE - _HAIR_CENTRE)
    side = vector(1, 0, 0)
    up = np.cross(side, axis)
    d = points - _HAIR_CENTRE
    d = d / np.maximum(np.linalg.norm(d, axis=1, keepdims=True), 1e-6)
    turn = np.arctan2(d @ up, d @ side).astype(np.float32)
    angle = np.arccos(np.clip(d @ axis, -1, 1)).astype(np.float32)
    return turn, angle


def hair_noise(points: Floats, fineness: float, along: float, curl: float) -> Floats:
    """Return noise (N,): along the strands in combed hair, isotropic in curls.

    Args:
        points: (N, 3) metres.
        fineness: Noise cells per radian across the strands.
        along: Noise cells per radian along them, as a share of 3.
        curl: How curly the hair is, 0..1, as `Appearance.curl`.
    """
    combed = _strand_noise(points, fineness, along)
    if curl == 0:
        return combed
    curls: Floats = combed + curl * (fractal_noise(points, 9 * fineness, 2) - combed)
    return curls


def _strand_noise(points: Floats, fineness: float, along: float) -> Floats:
    """Return noise (N,) that changes `fineness` times per radian across strands, slowly along."""
    turn, angle = _strand_coordinates(points)
    # Waves of 0.025 rad, so that strands do not look drawn with a ruler.
    wave = turn + 0.025 * fractal_noise(points, 45, 2)
    circle = np.stack([np.cos(wave) * fineness, np.sin(wave) * fineness, angle * along * 3], axis=1)
    return fractal_noise(circle.astype(np.float32), 1.0, 2)
