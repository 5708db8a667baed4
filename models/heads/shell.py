"""The space in which hair grows, between scalp and hull: where roots are, and strands combed in it.

Distances are metres; those without a source are chosen by eye.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from models.heads.hair import cap_base, scalp
from models.heads.meshes import Floats, triangulate
from models.heads.skull import EAR, interpolate
from models.heads.skull import directions as directions_of
from models.heads.source import HAIR_CENTRE, Source, above_hairline
from models.heads.tufts import unit

_NEAR_M, _LOWEST_M = 0.16, -0.09
"""Limits of the skin that strands may lie on: distance from the middle of the skull, and height."""
_TRIANGLE_M = 0.008
"""Triangles whose middle lies outside by less may still hold roots."""


class Rise(NamedTuple):
    """Heights above the hairline between which roots lie, metres."""

    low_m: float
    high_m: float


TOP_OF_HEAD_M = 0.3
"""Above every point of the scalp: a `Rise` without an upper limit."""


class Shell:
    """Radii of scalp and hull around `HAIR_CENTRE`, by direction (n, 3), in metres."""

    def __init__(self, source: Source) -> None:
        base, thickness = cap_base(source)
        # Where no hair grows the skin goes on, so that strands may lie on the forehead.
        body = np.unique(source.quads["body"])
        skin = source.verts[body]
        near = np.linalg.norm(skin - HAIR_CENTRE, axis=1) < _NEAR_M
        near &= (skin[:, 1] > _LOWEST_M) & (source.masks["ears"][body] < EAR)
        near &= above_hairline(skin, source.recipe.hair) < 0
        points = np.concatenate([base, skin[near]])
        self._scalp = directions_of(points)
        self._hull = directions_of(base)
        self._thick = thickness

    def scalp_radius(self, directions: Floats) -> Floats:
        """Return (n,) the radius of the scalp."""
        return interpolate(directions, *self._scalp)

    def thickness(self, directions: Floats) -> Floats:
        """Return (n,) how far the hull stands off the scalp."""
        return np.maximum(interpolate(directions, self._hull[0], self._thick), 0.0)


def random_roots(source: Source, random: Generator, count: int, where: Rise) -> Floats:
    """Return random points (count, 3) on the scalp, evenly spread over its area."""
    used, local = scalp(source)
    faces = triangulate(local)
    corners = source.verts[used][faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    rise = above_hairline(corners.mean(1), source.recipe.hair)
    area = area * ((rise > where.low_m - _TRIANGLE_M) & (rise < where.high_m + _TRIANGLE_M))
    found: list[Floats] = []
    while sum(map(len, found)) < count:
        chosen = random.choice(len(faces), count, p=area / area.sum())
        weight = random.dirichlet([1, 1, 1], count)
        points = np.einsum("nk,nkc->nc", weight, corners[chosen])
        rise = above_hairline(points, source.recipe.hair)
        found.append(points[(rise > where.low_m) & (rise < where.high_m)])
    return np.concatenate(found)[:count]


def comb(
    shell: Shell,
    roots: Floats,
    height: Callable[[float], Floats],
    flow: Callable[[Floats, float], Floats],
    steps: int,
    step_m: Floats | float,
) -> Floats:
    """Trace strands over the head.

    Args:
        shell: Radii of scalp and hull.
        roots: (n, 3) points on the scalp, metres.
        height: Share (n,) of the hull's thickness at which strands lie, by the share of the length.
        flow: Directions (n, 3) at points, by the share of the length; any length.
        steps: Segments of each strand.
        step_m: Length of a segment, of all or of each (n,).

    Returns:
        (n, steps + 1, 3) points.
    """
    d = unit(roots - HAIR_CENTRE)
    path = []
    for i in range(steps + 1):
        radius = shell.scalp_radius(d) + shell.thickness(d) * height(i / steps)
        points = HAIR_CENTRE + d * radius[:, None]
        path.append(points)
        forward = flow(points, i / steps)
        # Along the scalp: the radius alone decides how high a strand lies.
        forward = unit(forward - d * (forward * d).sum(1, keepdims=True))
        d = unit(points + forward * np.reshape(step_m, (-1, 1)) - HAIR_CENTRE)
    return np.stack(path, axis=1)
