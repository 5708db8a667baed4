"""Models a bun: a flattened ball at the back of the head, and the hairs wound around it.

Shapes are metres, angles radians; they and all distributions are chosen by eye, on renders of the
shipped heads.
"""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi, sin

import numpy as np
from numpy.random import Generator

from models.heads.meshes import Floats, fan_and_rings
from models.heads.parts import MASKS, Part, rigid_part
from models.heads.source import BUN_CENTRE
from models.heads.tufts import Tuft, unit
from models.studio.strands import HAIR

_RADII_M = np.array([0.036, 0.033, 0.027])
"""Half axes: across, up, and back."""
_RINGS, _SEGMENTS = 5, 14
_RISE_M = 0.05
"""Value of the mask "hair" for the hull: all of it lies well above the hairline."""

_COUNT, _STEPS = 1500, 10
_LOCK_LEANS = np.array([[0.5, 0.2], [-0.45, 0.3], [0.0, -0.55]])
_LEAN_VARIES = 0.05
"""Tangents, to the side and up, by which the axes of three twisted locks lean from the bun's axis,
which points backwards; and the deviation of single hairs."""
_WOUND_RAD = 2.1
"""Length of a hair around its axis: a third of a turn."""
_POLAR_RAD = (0.5, np.pi / 2 + 0.3)
"""Angle of hairs from the back of the bun; beyond a right angle they lie on its front."""
_LAYER = (0.90, 1.03)
"""Radius of hairs relative to the bun's."""
_TONE, _WIDTH_M = (0.42, 0.2), (0.0002, 0.0004)
"""Mean and deviation of the tone; range of the width."""
_DARK_LAYER, _SKY_PER_LAYER, _SKY_RANGE = 0.86, 6, (0.2, 1)
"""Layer that no light reaches, and how fast it gets lighter outwards."""
_MIN_REACH = 1e-6  # of points that are pushed outwards: none must divide by 0


def bun_part() -> Part:
    """Return the hull of the bun."""
    theta = np.linspace(0, pi, _RINGS + 1)[1:]
    around = np.arange(_SEGMENTS) * 2 * pi / _SEGMENTS
    verts = [[0.0, 0.0, -1.0]]
    uvs = [[0.0, 0.0]]
    for t in theta:
        verts += [[-sin(t) * cos(a), sin(t) * sin(a), -cos(t)] for a in around]
        uvs += [[t * cos(a), t * sin(a)] for a in around]
    placed = np.array(verts) * _RADII_M + BUN_CENTRE
    part = rigid_part("bun", "hair", placed, fan_and_rings(_RINGS, _SEGMENTS), np.array(uvs))
    masks = part.masks.copy()
    masks[:, MASKS.index("hair")] = _RISE_M
    masks[:, MASKS.index("detail")] = 1
    return replace(part, masks=masks)


def bun_tuft(random: Generator) -> Tuft:
    """Return hairs wound around the bun, each around the axis of its lock."""
    lock = random.integers(0, len(_LOCK_LEANS), _COUNT)
    lean = _LOCK_LEANS[lock] + random.normal(0, _LEAN_VARIES, (_COUNT, 2))
    start = random.uniform(0, 2 * np.pi, _COUNT)[:, None]
    turn = start + np.linspace(0, _WOUND_RAD, _STEPS + 1)
    polar = random.uniform(*_POLAR_RAD, _COUNT)[:, None]
    layer = random.uniform(*_LAYER, _COUNT)[:, None]
    sphere = np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), -np.cos(polar) + 0 * turn],
        axis=-1,
    )
    sphere[..., :2] += lean[:, None] * -sphere[..., 2:]
    points = BUN_CENTRE + unit(sphere) * _RADII_M * layer[..., None]
    tone = np.clip(random.normal(*_TONE, _COUNT), 0, 1)
    light = np.clip((layer - _DARK_LAYER) * _SKY_PER_LAYER, *_SKY_RANGE)
    sky = np.repeat(light, _STEPS + 1, axis=1)
    return Tuft(HAIR, points, points[:, 0], random.uniform(*_WIDTH_M, _COUNT), tone, sky)


def into_bun(points: Floats) -> Floats:
    """Keep points (..., 3) of strands on the surface of the bun instead of inside it."""
    offset = (points - BUN_CENTRE) / _RADII_M
    reach = np.linalg.norm(offset, axis=-1, keepdims=True)
    on_surface = BUN_CENTRE + offset / np.maximum(reach, _MIN_REACH) * _RADII_M
    return np.where(reach < 1, on_surface, points)
