"""Grows cropped hair: short, tight curls that stand in clumps.

Distances are metres; distributions are chosen by eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from models.geometry.smoothstep import smoothstep
from models.heads.hair import hair_thickness
from models.heads.shell import TOP_OF_HEAD_M, Rise, random_roots
from models.heads.source import HAIR_CENTRE, Source, above_hairline
from models.heads.tufts import Tuft, greying, unit, waves
from models.studio.strands import HAIR

_STEPS = 6
_LOWEST_M = -0.0035
"""Height of the lowest roots below the hairline."""
_EVERYWHERE, _EDGE = Rise(_LOWEST_M, TOP_OF_HEAD_M), Rise(_LOWEST_M, 0.014)
_EDGE_PARTS = 4
"""Along the hairline, where gaps between roots are visible, a quarter as many hairs are added."""
_THINNED, _THINNED_RISE_M = 0.2, (_LOWEST_M, 0.007)
"""Share of hairs that grow at the lowest roots, and heights between which all of them do."""

_CLUMPS_PER_M = 260
"""Frequency of clumps across the scalp, radians per metre."""
_MIN_REACH_M, _LENGTHS, _CLUMP_LENGTH = 0.0022, (0.75, 1.15), 0.14
"""Least length; range of lengths relative to the hull's height; how much longer clumps are."""
_CLUMP_LEAN, _LEAN_VARIES = 0.55, 0.6
"""Tangents by which clumps and single hairs in them lean."""
_CURL_RADIUS_M, _CURL_RADII = 0.0010, (0.5, 1.3)
"""Radius of a curl, and its range relative to that."""
_CURL_TURNS_RAD = (4, 8)
"""Angle by which a curl winds from root to tip: around one turn."""
_DEPTH, _CLUMP_DEPTH, _DEPTH_RANGE = 0.62, 0.3, (0.2, 1)
"""Light that reaches the hairs of a clump, and how much more reaches longer clumps."""
_ROOT_SKY, _TIP_SKY = 0.22, 0.45
"""Share of that light at the roots, and how much more at the tips."""
_WIDTH_M = (0.00020, 0.00032)


def cropped(source: Source, random: Generator) -> Tuft:
    """Return short, tight curls that stand in clumps, thinner towards the hairline."""
    cut, steps = source.recipe.hair, _STEPS
    everywhere = random_roots(source, random, cut.strands, _EVERYWHERE)
    edge = random_roots(source, random, cut.strands // _EDGE_PARTS, _EDGE)
    roots = np.concatenate([everywhere, edge])
    rise = above_hairline(roots, cut)
    dense = _THINNED + (1 - _THINNED) * smoothstep(*_THINNED_RISE_M, rise)
    grown = random.uniform(0, 1, len(roots)) < dense
    roots, rise = roots[grown], rise[grown]
    count = len(roots)
    # Three channels tilt a clump, the fourth lengthens it.
    clump = waves(random, roots, _CLUMPS_PER_M, 4)
    tilt, longer = clump[:, :3], clump[:, 3]
    reach = np.maximum(hair_thickness(roots, rise, cut), _MIN_REACH_M)
    length = reach * random.uniform(*_LENGTHS, count) * (1 + _CLUMP_LENGTH * longer)
    out = unit(roots - HAIR_CENTRE)
    lean = _CLUMP_LEAN * tilt + random.normal(0, _LEAN_VARIES, (count, 3))
    axis = unit(out + lean - out * (lean * out).sum(1, keepdims=True))
    side = unit(np.cross(axis, random.normal(0, 1, (count, 3))))
    other = np.cross(axis, side)
    t = np.linspace(0, 1, steps + 1)
    # Full from half of the length on: a curl begins at its root, not beside it.
    radius = _CURL_RADIUS_M * random.uniform(*_CURL_RADII, count)[:, None] * np.minimum(2 * t, 1)
    start = random.uniform(0, 2 * np.pi, count)[:, None]
    phase = start + t * random.uniform(*_CURL_TURNS_RAD, count)[:, None]
    points = (
        roots[:, None]
        + axis[:, None] * (t * length[:, None])[..., None]
        + side[:, None] * (radius * np.cos(phase))[..., None]
        + other[:, None] * (radius * np.sin(phase))[..., None]
    )
    grey = greying(random, roots)
    depth = np.clip(_DEPTH + _CLUMP_DEPTH * longer, *_DEPTH_RANGE)
    sky = depth[:, None] * (_ROOT_SKY + _TIP_SKY * t)
    return Tuft(HAIR, points, roots, random.uniform(*_WIDTH_M, count), grey, sky)
