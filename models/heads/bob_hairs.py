"""Grows the hairs of a bob: they fall in locks from the crown, on the surface that `bob` models.

Angles are radians, layers shares from inside (0) to outside (1); distributions are chosen by eye,
on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from models.geometry.smoothstep import smoothstep
from models.heads.bob import Bob
from models.heads.locks import layers, open_sky, tones, widths
from models.heads.meshes import Floats
from models.heads.source import Source
from models.heads.tufts import Tuft, waves
from models.studio.strands import HAIR

_STEPS = 16
"""Segments of a hair."""
_ROOTS_RAD = np.radians(72)
"""Hairs grow up to this angle from the crown."""
_SWEEP_RAD, _SWEPT_RAD = 0.55, 0.75
"""Angle by which the ends of the fringe are swept to the left, and azimuth at which that fades."""
_SWEEP_SHARE = (0.1, 1.0)
"""Shares of the length over which the fringe is swept."""
_LOWEST_ROOT, _SHORTEST = 0.62, 0.25
"""Lowest root and shortest hair, as shares of the way from the crown to the ends."""
_POLAR_NOISE = 0.5
"""Scale of the angle from the crown in the noise of locks: below 1, so that locks are longer than
wide."""
_RIDGE_SEED, _RIDGES_PER_RAD, _LOCK_SEED, _LOCKS_PER_RAD = 8, 14, 9, 9
"""Seeds and frequencies (per radian around the crown) of the noise of the heights of locks and of
their bends."""
_LOCK_BEND_RAD, _STRAY_BEND_RAD = 0.030, 0.012
"""Azimuths by which the tips of locks and of single hairs in them lean aside."""
_WAVE_RAD, _WAVE_SHARE, _WAVES_RAD, _WAVE_SHIFT = 0.030, (0.25, 0.8), 9, 2
"""Azimuth of the waves of a lock; shares of the length over which they begin; their phase from the
crown to the ends; and how much it differs between locks."""
_ROOT_DEPTH, _GROWN_LENGTH = 0.5, (0.0, 0.2)
"""Hairs begin at this share of their layer, and reach it over these shares of their length."""
_STRAY_LAYER = 0.05
"""Deviation of the layer at the tips of single hairs."""
_STOPS, _LAYERED_SHARE, _LAYERED_STOPS = (0.88, 1.02), 0.25, (0.55, 1.0)
"""Shares of the way at which hairs end; share of hairs cut in layers, and where these end."""
_RIDGE_LAYER, _LAYER_RANGE = 0.06, (0, 1.05)
"""How much higher ridges of locks lie, and the limits of layers."""
_LOOSE_SHARE, _LOOSE_LAYERS = 0.012, (1.0, 1.3)
"""Share of the hairs that lie above the others, and their layers."""


def bob_tuft(source: Source, random: Generator) -> Tuft:
    """Return hairs that fall in locks from the crown, those of the fringe swept to the left."""
    bob, count = Bob(source), source.recipe.hair.strands
    azimuth = random.uniform(-np.pi, np.pi, count)
    polar = np.arccos(1 - random.uniform(0, 1, count) * (1 - np.cos(_ROOTS_RAD)))
    root = np.stack([np.cos(azimuth), np.sin(azimuth), _POLAR_NOISE * polar], axis=1)
    ridge = waves(np.random.default_rng(_RIDGE_SEED), root, _RIDGES_PER_RAD, 1)[:, 0]
    lock = waves(np.random.default_rng(_LOCK_SEED), root, _LOCKS_PER_RAD, 2)
    stray = random.normal(0, 1, (count, 2))
    start = np.minimum(bob.share(azimuth, polar), _LOWEST_ROOT)
    stop = _stops(random, start)
    layer = _layers(random, ridge)
    path = []
    for i in range(_STEPS + 1):
        along = i / _STEPS
        share = start + (stop - start) * along
        swept = np.exp(-((azimuth / _SWEPT_RAD) ** 2)) * smoothstep(*_SWEEP_SHARE, share)
        bend = (_LOCK_BEND_RAD * lock[:, 0] + _STRAY_BEND_RAD * stray[:, 0]) * along
        phase = _WAVES_RAD * share + _WAVE_SHIFT * lock[:, 1]
        wave = _WAVE_RAD * smoothstep(*_WAVE_SHARE, share) * np.sin(phase)
        length = np.full(count, along)
        grown = _ROOT_DEPTH + (1 - _ROOT_DEPTH) * smoothstep(*_GROWN_LENGTH, length)
        depth = grown * (layer + _STRAY_LAYER * stray[:, 1] * along)
        path.append(bob.at(azimuth + _SWEEP_RAD * swept + bend + wave, share, depth))
    points = np.stack(path, axis=1)
    tone = tones(random, ridge)
    sky = np.repeat(open_sky(layer, ridge)[:, None], _STEPS + 1, axis=1)
    return Tuft(HAIR, points, points[:, 0], widths(random, count), tone, sky)


def _stops(random: Generator, start: Floats) -> Floats:
    """Return the share (n,) at which hairs end: most at the ends of the bob, a quarter earlier."""
    count = len(start)
    stop = random.uniform(*_STOPS, count)
    layered = random.uniform(0, 1, count) < _LAYERED_SHARE
    stop = np.where(layered, random.uniform(*_LAYERED_STOPS, count), stop)
    return np.maximum(stop, start + _SHORTEST)


def _layers(random: Generator, ridge: Floats) -> Floats:
    """Return the layer (n,) of hairs: most near the outside, a few above it."""
    count = len(ridge)
    layer = np.clip(layers(random, count) + _RIDGE_LAYER * ridge, *_LAYER_RANGE)
    loose = random.uniform(0, 1, count) < _LOOSE_SHARE
    return np.where(loose, random.uniform(*_LOOSE_LAYERS, count), layer)
