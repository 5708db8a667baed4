"""Hairs of one kind while they are grown, and functions that all kinds share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from models.heads.meshes import Floats, smoothstep


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
    return v / np.maximum(length, 1e-9)


def waves(random: Generator, points: Floats, frequency: float, channels: int) -> Floats:
    """Return smooth noise (n, channels) of about unit variance: a sum of random plane waves."""
    count = 14
    k = random.normal(0, frequency, (channels, count, 3))
    phase = random.uniform(0, 2 * np.pi, (channels, count))
    waves = np.sin(np.einsum("nc,kwc->nkw", points, k) + phase)
    result: Floats = waves.sum(-1) * (2 / count) ** 0.5
    return result


def greying(random: Generator, roots: Floats) -> Floats:
    """Return the tone (n,) of each hair: some are grey, more at the temples and on the chin."""
    temples = smoothstep(0.075, 0.045, roots[:, 1]) * smoothstep(0.045, 0.06, np.abs(roots[:, 0]))
    chin = smoothstep(-0.080, -0.095, roots[:, 1]) * smoothstep(0.03, 0.01, np.abs(roots[:, 0]))
    share = 0.17 + 0.30 * np.maximum(temples, chin)
    grey = random.uniform(0, 1, len(roots)) < share
    return np.where(grey, random.uniform(0.45, 1, len(roots)), random.uniform(0, 0.06, len(roots)))
