"""Grows long hair that is swept back from a side parting into a bun.

Positions are metres on the neutral head, origin between the eyes; they and all distributions are
chosen by eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from models.geometry.smoothstep import smoothstep
from models.heads.bun import into_bun
from models.heads.hair import PARTING_X
from models.heads.locks import layers, open_sky, tones, widths
from models.heads.meshes import Floats
from models.heads.shell import TOP_OF_HEAD_M, Rise, Shell, comb, random_roots
from models.heads.source import BUN_CENTRE, HAIR_CENTRE, Source
from models.heads.tufts import Tuft, unit, waves
from models.studio.strands import HAIR

_BUN_TOP_M = np.array([0, 0.02, 0.02])
"""From the middle of the bun: strands run to its upper front."""
_OFF_PARTING, _OFF_TOP, _PARTING_M = 0.75, 0.34, 0.022
"""Push away from the parting beside it, over a distance from it, and everywhere on top, both
relative to the pull towards the bun."""
_FRONT_Z_M, _TOP_Y_M = (-0.11, -0.02), (0.035, 0.085)
"""The push fades in between these, from back to front and from the sides to the top."""
_TEMPLE_DROP, _TEMPLE_X_M, _TEMPLE_Z_M = 0.25, (0.045, 0.075), (-0.10, -0.04)
"""Pull downwards at the temples, over the ears."""

_STEP_M, _STEPS = 0.0145, 14
"""Length and number of the segments of long hair: 20 cm reach from the forehead to the bun."""
_LENGTHS = (0.75, 1.05)
"""Shortest and longest hair, relative to that."""
_EDGE_PERCENT, _EDGE, _INSIDE = 45, Rise(-0.001, 0.012), Rise(0.008, TOP_OF_HEAD_M)
"""Percentage of the hairs that grow along the hairline, where gaps between roots are visible; where
these grow, and where the others do."""
_LOCK_SEED, _RIDGE_SEED = 5, 8
"""Seeds of the noise that forms locks: the same for every hair, whatever was drawn before."""
_BENDS = ((45, 0.08), (110, 0.05))
"""Frequency (radians per metre) and strength of the bends of locks, relative to the pull."""
_RIDGES_PER_M = 120
"""Frequency of locks across the scalp, radians per metre."""
_RIDGE_HEIGHT, _STRAY_HEIGHT = 0.08, 0.04
"""How much higher than their layer ridges of locks and ends of stray hairs lie."""
_ROOT_HEIGHT, _GROWN_LENGTH = 0.55, (0.0, 0.2)
"""Hairs leave the scalp at this share of their height, and reach it over these shares of their
length."""

_FINE_COUNT, _FINE_STEPS = 2600, 5
_FINE_RISE, _FINE_SCATTER_M = Rise(-0.0035, 0.006), 0.0012
_FINE_LENGTH_M, _FINE_WIDTH_M = (0.004, 0.015), (0.00007, 0.00016)
_FINE_TURN, _FINE_TURN_LOSS = 0.45, 0.3
"""How much the directions of fine hairs differ, and the share of it that is lost at their tips."""
_FINE_HEIGHT = 0.35
_FINE_OFF_M, _FINE_LIFT_SHAPE, _FINE_LIFT_M = 0.0002, 2.0, 0.0006
"""Distance from the skin; shape and scale of the gamma distribution by which tips stand off."""
_FINE_TONE, _FINE_SKY = (0.5, 0.2), 0.9
"""Mean and deviation of the tone; light that other hairs let through."""

_LOOSE_COUNT, _LOOSE_STEPS, _LOOSE_STEP_M = 260, 12, 0.009
_LOOSE_RISE = Rise(0.006, TOP_OF_HEAD_M)
_LOOSE_TURN = 0.28
_LOOSE_LIFT_SHAPE, _LOOSE_LIFT_M = 1.6, 0.0016
"""Shape and scale of the gamma distribution of the height of their bows over the hull."""
_LOOSE_TONE, _LOOSE_WIDTH_M = (0.65, 0.15), (0.00008, 0.00014)


def _swept_flow(points: Floats) -> Floats:
    """Return directions (n, 3): off the parting on top, down and back at the sides, to the bun."""
    towards = unit(BUN_CENTRE + _BUN_TOP_M - points)
    side = np.sign(points[:, 0] - PARTING_X)
    off = np.abs(points[:, 0] - PARTING_X)
    front = smoothstep(*_FRONT_Z_M, points[:, 2])
    top = smoothstep(*_TOP_Y_M, points[:, 1])
    push = (_OFF_PARTING * np.exp(-((off / _PARTING_M) ** 2)) + _OFF_TOP) * top * front
    temple = smoothstep(*_TEMPLE_X_M, np.abs(points[:, 0]))
    temple = temple * smoothstep(*_TEMPLE_Z_M, points[:, 2])
    return towards + np.stack([side * push, -_TEMPLE_DROP * temple, 0 * push], axis=1)


def swept(source: Source, shell: Shell, random: Generator, count: int) -> Tuft:
    """Return long hair, swept in locks from the parting and the hairline back to the bun."""
    edge = random_roots(source, random, count * _EDGE_PERCENT // 100, _EDGE)
    rest = random_roots(source, random, count - len(edge), _INSIDE)
    roots = np.concatenate([edge, rest])
    layer = layers(random, count)
    lock = np.random.default_rng(_LOCK_SEED)
    waves_state = lock.bit_generator.state

    def flow(points: Floats, along: float) -> Floats:
        # The same waves at every step: hairs that meet at a point bend alike, as locks do.
        lock.bit_generator.state = waves_state
        bend = sum(waves(lock, points, frequency, 3) * tilt for frequency, tilt in _BENDS)
        return _swept_flow(points) + bend

    ridge = waves(np.random.default_rng(_RIDGE_SEED), roots, _RIDGES_PER_M, 1)[:, 0]
    stray = random.normal(0, 1, count)

    def height(along: float) -> Floats:
        share = np.full(count, along)
        grown = _ROOT_HEIGHT + (1 - _ROOT_HEIGHT) * smoothstep(*_GROWN_LENGTH, share)
        return grown * (layer + _RIDGE_HEIGHT * ridge + _STRAY_HEIGHT * stray * along)

    step_m = _STEP_M * random.uniform(*_LENGTHS, count)
    points = into_bun(comb(shell, roots, height, flow, _STEPS, step_m))
    tone = tones(random, ridge)
    sky = np.repeat(open_sky(layer, ridge)[:, None], _STEPS + 1, axis=1)
    return Tuft(HAIR, points, roots, widths(random, count), tone, sky)


def fine_hairs(source: Source, shell: Shell, random: Generator) -> Tuft:
    """Return short, thin hairs along the hairline, so that the hair has no hard edge."""
    count, steps = _FINE_COUNT, _FINE_STEPS
    roots = random_roots(source, random, count, _FINE_RISE)
    roots = roots + random.normal(0, _FINE_SCATTER_M, (count, 3))
    scatter = random.normal(0, _FINE_TURN, (count, 3))
    lift = random.gamma(_FINE_LIFT_SHAPE, _FINE_LIFT_M, count)

    def flow(points: Floats, along: float) -> Floats:
        return _swept_flow(points) + scatter * (1 - _FINE_TURN_LOSS * along)

    def height(along: float) -> Floats:
        return np.full(count, _FINE_HEIGHT)

    length = random.uniform(*_FINE_LENGTH_M, count)
    points = comb(shell, roots, height, flow, steps, length / steps)
    out = unit(points - HAIR_CENTRE)
    rise = lift[:, None, None] * np.linspace(0, 1, steps + 1)[:, None]
    points = points + out * (_FINE_OFF_M + rise)
    tone = np.clip(random.normal(*_FINE_TONE, count), 0, 1)
    width = random.uniform(*_FINE_WIDTH_M, count)
    return Tuft(HAIR, points, roots, width, tone, np.full((count, steps + 1), _FINE_SKY))


def loose_hairs(source: Source, shell: Shell, random: Generator) -> Tuft:
    """Return single hairs that stand off the hull."""
    count, steps = _LOOSE_COUNT, _LOOSE_STEPS
    roots = random_roots(source, random, count, _LOOSE_RISE)
    scatter = random.normal(0, _LOOSE_TURN, (count, 3))
    rise = random.gamma(_LOOSE_LIFT_SHAPE, _LOOSE_LIFT_M, count)

    def flow(points: Floats, along: float) -> Floats:
        return _swept_flow(points) + scatter * along

    def height(along: float) -> Floats:
        return np.ones(count)

    points = comb(shell, roots, height, flow, steps, _LOOSE_STEP_M)
    bow = np.sin(np.linspace(0, np.pi, steps + 1))[:, None]
    points = points + unit(points - HAIR_CENTRE) * rise[:, None, None] * bow
    tone = np.clip(random.normal(*_LOOSE_TONE, count), 0, 1)
    width = random.uniform(*_LOOSE_WIDTH_M, count)
    return Tuft(HAIR, points, roots, width, tone, np.ones((count, steps + 1)))
