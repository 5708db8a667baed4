"""Grows the hair of the head: combed into a bun, cut as a bob, or cropped and curled."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator

from models.heads.bob import bob_tuft
from models.heads.hair import BUN_RADII, PARTING_X, cap_base, hair_thickness, scalp
from models.heads.meshes import Floats, smoothstep, triangulate
from models.heads.skull import directions as directions_of
from models.heads.skull import interpolate
from models.heads.source import BUN_CENTRE, HAIR_CENTRE, Source, above_hairline
from models.heads.tufts import Tuft, greying, unit, waves
from models.studio.strands import HAIR

STEP_M, STEPS = 0.0145, 14
"""Length and number of the segments of long hair: 20 cm reach from the forehead to the bun."""


class Shell:
    """Radii of scalp and hull around `HAIR_CENTRE`, by direction (n, 3), in metres."""

    def __init__(self, source: Source) -> None:
        base, thickness = cap_base(source)
        # Where no hair grows the skin goes on, so that strands may lie on the forehead.
        body = np.unique(source.quads["body"])
        skin = source.verts[body]
        near = (np.linalg.norm(skin - HAIR_CENTRE, axis=1) < 0.16) & (skin[:, 1] > -0.09)
        near &= source.masks["ears"][body] < 0.3
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


def scalp_tufts(source: Source, random: Generator) -> list[Tuft]:
    """Return all hairs of the head: tied back, cut as a bob, or cropped."""
    cut = source.recipe.hair
    if cut.style == "cropped":
        return [cropped(source, random)]
    if cut.style == "bob":
        return [bob_tuft(source, random)]
    shell = Shell(source)
    tufts = [swept(source, shell, random, cut.strands), fine_hairs(source, shell, random)]
    return [*tufts, loose_hairs(source, shell, random), bun_tuft(random)]


def _roots(source: Source, random: Generator, count: int, low: float, high: float) -> Floats:
    """Return random points (count, 3) on the scalp, `low` to `high` metres above the hairline."""
    used, local = scalp(source)
    faces = triangulate(local)
    corners = source.verts[used][faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    rise = above_hairline(corners.mean(1), source.recipe.hair)
    area = area * ((rise > low - 0.008) & (rise < high + 0.008))
    found: list[Floats] = []
    while sum(map(len, found)) < count:
        chosen = random.choice(len(faces), count, p=area / area.sum())
        weight = random.dirichlet([1, 1, 1], count)
        points = np.einsum("nk,nkc->nc", weight, corners[chosen])
        rise = above_hairline(points, source.recipe.hair)
        found.append(points[(rise > low) & (rise < high)])
    return np.concatenate(found)[:count]


def _comb(
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
        forward = unit(forward - d * (forward * d).sum(1, keepdims=True))
        d = unit(points + forward * np.reshape(step_m, (-1, 1)) - HAIR_CENTRE)
    return np.stack(path, axis=1)


def _swept_flow(points: Floats) -> Floats:
    """Return directions (n, 3): off the parting on top, down and back at the sides, to the bun."""
    towards = unit(BUN_CENTRE + np.array([0, 0.02, 0.02]) - points)
    side = np.sign(points[:, 0] - PARTING_X)
    off = np.abs(points[:, 0] - PARTING_X)
    front = smoothstep(-0.11, -0.02, points[:, 2])
    top = smoothstep(0.035, 0.085, points[:, 1])
    push = (0.75 * np.exp(-((off / 0.022) ** 2)) + 0.34) * top * front
    temple = smoothstep(0.045, 0.075, np.abs(points[:, 0])) * smoothstep(-0.10, -0.04, points[:, 2])
    return towards + np.stack([side * push, -0.25 * temple, 0 * push], axis=1)


def swept(source: Source, shell: Shell, random: Generator, count: int) -> Tuft:
    """Return long hair, swept in locks from the parting and the hairline back to the bun."""
    edge = _roots(source, random, count * 45 // 100, -0.001, 0.012)
    rest = _roots(source, random, count - len(edge), 0.008, 0.3)
    roots = np.concatenate([edge, rest])
    layer = random.uniform(0.25, 1.0, count) ** 0.7
    lock = np.random.default_rng(5)
    waves_state = lock.bit_generator.state

    def flow(points: Floats, along: float) -> Floats:
        lock.bit_generator.state = waves_state
        bend = waves(lock, points, 45, 3) * 0.08 + waves(lock, points, 110, 3) * 0.05
        return _swept_flow(points) + bend

    ridge = waves(np.random.default_rng(8), roots, 120, 1)[:, 0]
    stray = random.normal(0, 1, count)

    def height(along: float) -> Floats:
        grown = 0.55 + 0.45 * smoothstep(0.0, 0.2, np.full(count, along))
        return grown * (layer + 0.08 * ridge + 0.04 * stray * along)

    points = _comb(shell, roots, height, flow, STEPS, STEP_M * random.uniform(0.75, 1.05, count))
    points = _into_bun(points)
    tone = np.clip(0.42 + 0.20 * ridge + random.normal(0, 0.16, count), 0, 1)
    depth = np.clip(0.30 + 0.75 * layer + 0.16 * ridge, 0.1, 1.0)
    sky = np.repeat(depth[:, None], STEPS + 1, axis=1)
    width = random.uniform(0.00022, 0.00042, count)
    return Tuft(HAIR, points, roots, width, tone, sky)


def _into_bun(points: Floats) -> Floats:
    """Keep points of strands on the surface of the bun instead of inside it."""
    offset = (points - BUN_CENTRE) / BUN_RADII
    reach = np.linalg.norm(offset, axis=-1, keepdims=True)
    return np.where(reach < 1, BUN_CENTRE + offset / np.maximum(reach, 1e-6) * BUN_RADII, points)


def fine_hairs(source: Source, shell: Shell, random: Generator) -> Tuft:
    """Return short, thin hairs along the hairline, so that the hair has no hard edge."""
    count, steps = 2600, 5
    roots = _roots(source, random, count, -0.0035, 0.006)
    roots = roots + random.normal(0, 0.0012, (count, 3))
    scatter = random.normal(0, 0.45, (count, 3))
    lift = random.gamma(2.0, 0.0006, count)

    def flow(points: Floats, along: float) -> Floats:
        return _swept_flow(points) + scatter * (1 - 0.3 * along)

    length = random.uniform(0.004, 0.015, count)
    points = _comb(shell, roots, lambda along: np.full(count, 0.35), flow, steps, length / steps)
    out = unit(points - HAIR_CENTRE)
    points = points + out * (0.0002 + lift[:, None, None] * np.linspace(0, 1, steps + 1)[:, None])
    tone = np.clip(random.normal(0.5, 0.2, count), 0, 1)
    width = random.uniform(0.00007, 0.00016, count)
    return Tuft(HAIR, points, roots, width, tone, np.full((count, steps + 1), 0.9))


def loose_hairs(source: Source, shell: Shell, random: Generator) -> Tuft:
    """Return single hairs that stand off the hull."""
    count, steps = 260, 12
    roots = _roots(source, random, count, 0.006, 0.3)
    scatter = random.normal(0, 0.28, (count, 3))
    rise = random.gamma(1.6, 0.0016, count)

    def flow(points: Floats, along: float) -> Floats:
        return _swept_flow(points) + scatter * along

    points = _comb(shell, roots, lambda along: np.ones(count), flow, steps, 0.009)
    bow = np.sin(np.linspace(0, np.pi, steps + 1))[:, None]
    points = points + unit(points - HAIR_CENTRE) * rise[:, None, None] * bow
    tone = np.clip(random.normal(0.65, 0.15, count), 0, 1)
    width = random.uniform(0.00008, 0.00014, count)
    return Tuft(HAIR, points, roots, width, tone, np.ones((count, steps + 1)))


def bun_tuft(random: Generator) -> Tuft:
    """Return hairs wound around the bun."""
    count, steps = 1500, 10
    # Three twisted locks: each hair runs around an axis that leans with its lock.
    lock = random.integers(0, 3, count)
    lean = np.array([[0.5, 0.2], [-0.45, 0.3], [0.0, -0.55]])[lock] + random.normal(
        0, 0.05, (count, 2)
    )
    turn = random.uniform(0, 2 * np.pi, count)[:, None] + np.linspace(0, 2.1, steps + 1)
    polar = random.uniform(0.5, np.pi / 2 + 0.3, count)[:, None]
    layer = random.uniform(0.90, 1.03, count)[:, None]
    sphere = np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), -np.cos(polar) + 0 * turn],
        axis=-1,
    )
    sphere[..., :2] += lean[:, None] * -sphere[..., 2:]
    points = BUN_CENTRE + unit(sphere) * BUN_RADII * layer[..., None]
    tone = np.clip(random.normal(0.42, 0.2, count), 0, 1)
    sky = np.repeat(np.clip((layer - 0.86) * 6, 0.2, 1), steps + 1, axis=1)
    return Tuft(HAIR, points, points[:, 0], random.uniform(0.0002, 0.0004, count), tone, sky)


def cropped(source: Source, random: Generator) -> Tuft:
    """Return short, tight curls that stand in clumps, thinner towards the hairline."""
    cut, steps = source.recipe.hair, 6
    roots = np.concatenate(
        [
            _roots(source, random, cut.strands, -0.0035, 0.3),
            _roots(source, random, cut.strands // 4, -0.0035, 0.014),
        ]
    )
    rise = above_hairline(roots, cut)
    grown = random.uniform(0, 1, len(roots)) < 0.2 + 0.8 * smoothstep(-0.0035, 0.007, rise)
    roots, rise = roots[grown], rise[grown]
    count = len(roots)
    clump = waves(random, roots, 260, 4)
    reach = np.maximum(hair_thickness(roots, rise, cut), 0.0022)
    length = reach * random.uniform(0.75, 1.15, count) * (1 + 0.14 * clump[:, 3])
    out = unit(roots - HAIR_CENTRE)
    lean = 0.55 * clump[:, :3] + random.normal(0, 0.6, (count, 3))
    axis = unit(out + lean - out * (lean * out).sum(1, keepdims=True))
    side = unit(np.cross(axis, random.normal(0, 1, (count, 3))))
    other = np.cross(axis, side)
    t = np.linspace(0, 1, steps + 1)
    curl = 0.0010 * random.uniform(0.5, 1.3, count)[:, None] * np.minimum(2 * t, 1)
    phase = random.uniform(0, 2 * np.pi, count)[:, None] + t * random.uniform(4, 8, count)[:, None]
    points = (
        roots[:, None]
        + axis[:, None] * (t * length[:, None])[..., None]
        + side[:, None] * (curl * np.cos(phase))[..., None]
        + other[:, None] * (curl * np.sin(phase))[..., None]
    )
    grey = greying(random, roots)
    depth = np.clip(0.62 + 0.3 * clump[:, 3], 0.2, 1)
    sky = depth[:, None] * (0.22 + 0.45 * t)
    return Tuft(HAIR, points, roots, random.uniform(0.00020, 0.00032, count), grey, sky)
