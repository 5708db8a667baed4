"""Colour, width and light of long hair, which lies in locks: shared by the bun and the bob.

Amounts are chosen by eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from models.heads.meshes import Floats

_DEEPEST_LAYER, _LAYER_POWER = 0.25, 0.7
"""Hairs lie between this share of the hull's thickness, to this power, and its outside; a power
below 1 makes them denser there, where they are seen."""
_TONE, _LOCK_TONE, _TONE_VARIES = 0.42, 0.20, 0.16
"""Mean tone, how much lighter the ridge of a lock is, and the deviation of single hairs."""
_DEEP_SKY, _LAYER_SKY, _LOCK_SKY, _SKY_RANGE = 0.30, 0.75, 0.16, (0.1, 1.0)
"""Light that reaches the deepest hairs, how much more the outermost get, and ridges of locks."""
_WIDTH_M = (0.00022, 0.00042)
"""A human hair is 0.05 to 0.1 mm thick; wider strands cover the hull with fewer of them."""


def layers(random: Generator, count: int) -> Floats:
    """Return the layer (count,) of hairs: 0 on the scalp to 1 on the outside, most of them near."""
    layer: Floats = random.uniform(_DEEPEST_LAYER, 1.0, count) ** _LAYER_POWER
    return layer


def tones(random: Generator, ridge: Floats) -> Floats:
    """Return the tone (n,) of hairs, 0 dark to 1 light; `ridge` (n,) is noise of their locks."""
    varied = random.normal(0, _TONE_VARIES, len(ridge))
    return np.clip(_TONE + _LOCK_TONE * ridge + varied, 0, 1)


def open_sky(layer: Floats, ridge: Floats) -> Floats:
    """Return the share (n,) of the light that other hairs let through to hairs in a layer."""
    return np.clip(_DEEP_SKY + _LAYER_SKY * layer + _LOCK_SKY * ridge, *_SKY_RANGE)


def widths(random: Generator, count: int) -> Floats:
    """Return the width (count,) of hairs at their root, metres."""
    return random.uniform(*_WIDTH_M, count)
