"""Surfaces around the middle of the skull, by direction."""

from __future__ import annotations

import numpy as np

from models.heads.meshes import Floats
from models.heads.source import HAIR_CENTRE, Source

_SHARPNESS = 700
"""Sharpness of lookups by direction: a Gaussian of about 1/sqrt(700) = 2 degrees."""
_MIN_WEIGHT = 1e-30
"""Keeps directions far from all known ones from dividing by 0."""
_BLOCK = 1000
"""Directions whose weights are in memory at once."""
_NEAR_M, _LOWEST_M = 0.17, -0.12
"""Limits of the skin that carries hair: distance from the middle of the skull, and height."""
EAR = 0.3
"""Value of the mask "ears" from which skin belongs to an ear."""


def directions(points: Floats) -> tuple[Floats, Floats]:
    """Return unit vectors (n, 3) and distances (n,) from the middle of the skull."""
    offset = points - HAIR_CENTRE
    radius = np.linalg.norm(offset, axis=1)
    return offset / radius[:, None], radius


def interpolate(at: Floats, known: Floats, values: Floats) -> Floats:
    """Interpolate `values` (m,) of directions `known` (m, 3) at directions `at` (n, 3)."""
    blocks = []
    for i in range(0, len(at), _BLOCK):
        weight = np.exp((at[i : i + _BLOCK] @ known.T - 1) * _SHARPNESS) + _MIN_WEIGHT
        blocks.append(weight @ values / weight.sum(1))
    return np.concatenate(blocks)


class Skull:
    """Radius of a person's skin around `HAIR_CENTRE`, without the ears, in metres."""

    def __init__(self, source: Source) -> None:
        body = np.unique(source.quads["body"])
        skin = source.verts[body]
        near = np.linalg.norm(skin - HAIR_CENTRE, axis=1) < _NEAR_M
        near &= (skin[:, 1] > _LOWEST_M) & (source.masks["ears"][body] < EAR)
        self._known = directions(skin[near])

    def radius(self, at: Floats) -> Floats:
        """Return the radius (n,) in unit directions (n, 3)."""
        return interpolate(at, *self._known)
