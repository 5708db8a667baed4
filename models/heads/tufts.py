"""Hairs of one kind while they are grown, and functions that all kinds share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from models.geometry.smoothstep import smoothstep
from models.heads.meshes import Floats

_MIN_LENGTH = 1e-9  # of vectors that are normalised: none must divide by 0
_WAVES = 14
"""Plane waves in a sum: enough that no single direction shows."""

# Positions on the neutral head (metres) and amounts of grey hair are chosen by eye.
_TEMPLE_Y_M, _TEMPLE_X_M = (0.075, 0.045), (0.045, 0.06)
"""Below these heights and beside these distances from the middle lie the temples."""
_CHIN_Y_M, _CHIN_X_M = (-0.080, -0.095), (0.03, 0.01)
_GREY_SHARE, _MORE_GREY_SHARE = 0.17, 0.30
"""Share of grey hairs, and how much more at the temples and on the chin."""
_GREY_TONE, _DARK_TONE = (0.45, 1), (0, 0.06)


@dataclass(frozen=True)
class Tuft:
    """Hairs of one kind, each of `points.shape[1]` points from root to tip."""

    kind: int
    points: Floats  # (n, p, 3) metres on the neutral head
    roots: Floats  # (n, 3) nearest to the triangle they are anchored to
    width: Floats  # (n,) metres at the root
    tone: Floats  # (n,) 0 dark .. 1 light
    open_sky: Floats  # (n, p) share of the light that other hairs let through
    holder: str = "hair"  # material of the triangles they are anchored to


def unit(v: Floats) -> Floats:
    """Return vectors (..., 3) with unit length; 0 stays 0."""
    length: Floats = np.linalg.norm(v, axis=-1, keepdims=True)
    return v / np.maximum(length, _MIN_LENGTH)


def waves(random: Generator, points: Floats, frequency: float, channels: int) -> Floats:
    """Return smooth noise (n, channels) of about unit variance: a sum of random plane waves.

    Args:
        random: Source of the waves' directions and phases.
        points: (n, 3) in any unit.
        frequency: Deviation of each component of the wave vectors, radians per unit.
        channels: Independent noises.
    """
    k = random.normal(0, frequency, (channels, _WAVES, 3))
    phase = random.uniform(0, 2 * np.pi, (channels, _WAVES))
    waves = np.sin(np.einsum("nc,kwc->nkw", points, k) + phase)
    # A sine has a variance of 1/2.
    result: Floats = waves.sum(-1) * (2 / _WAVES) ** 0.5
    return result


def greying(random: Generator, roots: Floats) -> Floats:
    """Return the tone (n,) of each hair: some are grey, more at the temples and on the chin."""
    across, y = np.abs(roots[:, 0]), roots[:, 1]
    temples = smoothstep(*_TEMPLE_Y_M, y) * smoothstep(*_TEMPLE_X_M, across)
    chin = smoothstep(*_CHIN_Y_M, y) * smoothstep(*_CHIN_X_M, across)
    share = _GREY_SHARE + _MORE_GREY_SHARE * np.maximum(temples, chin)
    count = len(roots)
    grey = random.uniform(0, 1, count) < share
    return np.where(grey, random.uniform(*_GREY_TONE, count), random.uniform(*_DARK_TONE, count))
