"""Models a bob: hair that falls from the crown over forehead and ears, and ends at the jaw.

The surface has profiles, which run from the crown down, one for each azimuth around it. The hull of
the hair is a grid over this surface, and single hairs are traced on it. All shapes are chosen by
eye; their numbers are metres, radians, and shares of the way from the crown to the ends.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.random import Generator

from models.heads.meshes import Floats, Ints, fan_and_rings, smoothstep
from models.heads.parts import MASKS, Part, rigid_part
from models.heads.recipe import HairCut
from models.heads.skull import Skull
from models.heads.source import HAIR_CENTRE, Source
from models.heads.tufts import Tuft, unit, waves
from models.studio.strands import HAIR

COLUMNS, ROWS, INNER_ROWS = 52, 15, 4
"""Columns and rows of the outside of the hull, and rows of its inside, which is seen where hair
hangs free."""
_INNER_SHARE = 0.55
"""Part of the way from the ends up to the crown that the inside of the hull covers."""
_INNER_TEXTURE = 0.04
"""Part of the texture's radius for each row of the inside, which is dark."""
_RISE_M = 0.05
"""Value of the mask "hair" for the hull: all of it lies well above the hairline."""

_CROWN, _FRONT, _LEFT = (
    unit(np.array(axis)) for axis in ([0.0, 1.0, -0.30], [0.0, 0.30, 1.0], [1.0, 0.0, 0.0])
)
"""Directions from the middle of the skull to the crown, where all hairs begin, and to the azimuths
0 and 90 degrees around it."""
_AZIMUTHS = np.linspace(-np.pi, np.pi, 145)
_SAMPLE_M, _SAMPLES, _SMOOTHED = 0.002, 220, 21
"""Distance and number of the points of a profile, and how many points its bends extend over."""
_POLAR_RAD, _DROP_M = np.radians(140), 0.25
"""Angle from the crown up to which a profile follows the skull, and the distance it then falls."""
_HANGS_M = (0.085, 0.035)
"""Heights between which hair stops following the skull and hangs from its widest place."""
_TOP_M = (0.03, 0.10)
"""Heights between which the volume of the sides becomes that of the top."""

_FRINGE_M, _FRINGE_SLANT_M = 0.042, 0.024
"""Height of the ends above the middle of the forehead, where eyes are at 0, and how much lower they
are per radian to the left."""
_FRINGE_OFF_M = 0.0065
"""Distance of the fringe from the forehead; more would look like a brim."""
_HEM_M, _NAPE_M = -0.086, -0.094
"""Height of the ends beside the jaw and at the back."""
_CURTAIN_RAD = (0.50, 0.96)
"""Azimuths between which the ends fall from the fringe to the jaw."""
_RAGGED_M = 0.003
"""Differences of the heights of ends of locks beside the jaw; a third of it in the fringe."""
_DEPTH_M = 0.012
"""Distance from the inside of the hair to its outside; less at its ends."""
_TURN_UNDER_M = 0.009
"""Distance by which ends beside the jaw turn in towards the neck."""

_STEPS = 16
"""Segments of a hair."""
_ROOTS_RAD = np.radians(72)
"""Hairs grow up to this angle from the crown."""
_SWEEP_RAD, _SWEPT_RAD = 0.55, 0.75
"""Angle by which the ends of the fringe are swept to the left, and azimuth at which that fades."""
_CROWN_RADIUS_M = 0.105
"""Approximate metres of a profile per radian from the crown."""


class Bob:
    """The surface of a bob over a person's skull.

    A point of it has an azimuth around the crown, radians, positive to the person's left; a share
    of the way from the crown (0) to the ends (1); and a layer from inside (0) to outside (1).
    """

    def __init__(self, source: Source) -> None:
        skull = Skull(source)
        cut = source.recipe.hair
        self._profiles = np.stack([_profile(skull, cut, azimuth) for azimuth in _AZIMUTHS])
        below = self._profiles[:, :, 1] < ends(_AZIMUTHS)[:, None]
        self._lengths = below.argmax(1) * _SAMPLE_M

    def share(self, azimuth: Floats, polar: Floats) -> Floats:
        """Return the share (n,) of the way to the ends at `polar` radians from the crown."""
        length = np.interp(_wrapped(azimuth), _AZIMUTHS, self._lengths)
        share: Floats = polar * _CROWN_RADIUS_M / length
        return share

    def at(self, azimuth: Floats, share: Floats, layer: Floats) -> Floats:
        """Return points (n, 3), metres."""
        azimuth = _wrapped(azimuth)
        column = (azimuth + np.pi) / (2 * np.pi) * (len(_AZIMUTHS) - 1)
        left = np.clip(column.astype(int), 0, len(_AZIMUTHS) - 2)
        between = (column - left)[:, None]
        outside = (1 - between) * self._on_profile(left, share)
        outside += between * self._on_profile(left + 1, share)
        # Towards the middle of the skull above it, and horizontally below.
        middle = np.tile(HAIR_CENTRE, (len(outside), 1))
        middle[:, 1] = np.minimum(outside[:, 1], HAIR_CENTRE[1])
        beside = smoothstep(*_CURTAIN_RAD, np.abs(azimuth))
        under = _TURN_UNDER_M * beside * smoothstep(0.72, 1.05, share) ** 1.5
        depth = _DEPTH_M * (1 - 0.6 * smoothstep(0.6, 1.0, share))
        inwards = unit(middle - outside) * (under + (1 - layer) * depth)[:, None]
        moved: Floats = outside + inwards
        return moved

    def _on_profile(self, index: Ints, share: Floats) -> Floats:
        """Return the points (n, 3) of profiles at shares (n,) of their lengths."""
        sample = np.clip(share * self._lengths[index] / _SAMPLE_M, 0, _SAMPLES - 1.001)
        low = sample.astype(int)
        between = (sample - low)[:, None]
        before, after = self._profiles[index, low], self._profiles[index, low + 1]
        points: Floats = (1 - between) * before + between * after
        return points


def ends(azimuth: Floats) -> Floats:
    """Return the height (n,) of the ends of the hair, metres."""
    beside = smoothstep(*_CURTAIN_RAD, np.abs(azimuth))
    fringe = _FRINGE_M - _FRINGE_SLANT_M * azimuth
    hem = _HEM_M + (_NAPE_M - _HEM_M) * smoothstep(1.5, 2.8, np.abs(azimuth))
    around = np.stack([np.cos(azimuth), np.sin(azimuth), 0 * azimuth], axis=1)
    uneven = waves(np.random.default_rng(6), around, 12, 1)[:, 0]
    return fringe + (hem - fringe) * beside + _RAGGED_M * (0.35 + 0.65 * beside) * uneven


def _profile(skull: Skull, cut: HairCut, azimuth: float) -> Floats:
    """Return points (_SAMPLES, 3) of the outside from the crown down, `_SAMPLE_M` apart."""
    polar = np.linspace(0, _POLAR_RAD, 200)[:, None]
    away = np.cos(azimuth) * _FRONT + np.sin(azimuth) * _LEFT
    directions = np.cos(polar) * _CROWN + np.sin(polar) * away
    points = HAIR_CENTRE + directions * skull.radius(directions)[:, None]
    top = smoothstep(*_TOP_M, points[:, 1])
    fringe = smoothstep(0.9, 0.3, np.array([abs(azimuth)])) * smoothstep(0.6, 1.15, polar[:, 0])
    volume = (cut.sides_mm + (cut.volume_mm - cut.sides_mm) * top * (1 - fringe)) / 1000
    points += directions * (volume + (_FRINGE_OFF_M - volume) * fringe)[:, None]
    points = _hung(points)
    fall = np.linspace(0.002, _DROP_M, 60)[:, None] * np.array([0.0, -1.0, 0.0])
    points = np.concatenate([points, points[-1] + fall])
    # Where the chin or the shoulders turn the skin back up, hair falls on.
    lower = np.diff(np.minimum.accumulate(points[:, 1]), prepend=np.inf) < 0
    points = points[lower | (points[:, 1] > _TOP_M[0])]
    along = np.append(0, np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1)))
    wanted = np.arange(_SAMPLES) * _SAMPLE_M
    even = np.stack([np.interp(wanted, along, points[:, axis]) for axis in range(3)], axis=1)
    return _smoothed(even)


def _hung(points: Floats) -> Floats:
    """Move the points (n, 3) of a profile that lie below the widest place out, until they hang."""
    flat = (points - HAIR_CENTRE)[:, [0, 2]]
    across = np.linalg.norm(flat, axis=1)
    widest = np.maximum.accumulate(np.where(points[:, 1] < _HANGS_M[0], across, 0))
    out = smoothstep(-_HANGS_M[0], -_HANGS_M[1], -points[:, 1]) * np.maximum(widest - across, 0)
    hung = points.copy()
    hung[:, [0, 2]] += flat * (out / np.maximum(across, 1e-6))[:, None]
    return hung


def _smoothed(points: Floats) -> Floats:
    """Return the mean (n, 3) of `_SMOOTHED` neighbouring points."""
    side = _SMOOTHED // 2
    padded = np.pad(points, ((side + 1, side), (0, 0)), mode="edge")
    sums = np.cumsum(padded, axis=0)
    mean: Floats = (sums[_SMOOTHED:] - sums[:-_SMOOTHED]) / _SMOOTHED
    return mean


def _wrapped(azimuth: Floats) -> Floats:
    """Return azimuths (n,) from -pi to pi."""
    wrapped: Floats = (azimuth + np.pi) % (2 * np.pi) - np.pi
    return wrapped


def bob_part(source: Source) -> Part:
    """Return the hull of a bob: its outside, and below it the inside, joined at the ends."""
    bob, azimuth, one = Bob(source), _columns(), np.ones(COLUMNS)
    outer = np.linspace(0, 1, ROWS + 1)[1:]
    inner = 1 - np.linspace(0, _INNER_SHARE, INNER_ROWS)
    rings = [bob.at(azimuth, share * one, one) for share in outer]
    rings += [bob.at(azimuth, share * one, 0 * one) for share in inner]
    verts = np.concatenate([bob.at(np.zeros(1), np.zeros(1), np.ones(1)), *rings])
    radius = np.append(outer, 1 + _INNER_TEXTURE * np.arange(1, INNER_ROWS + 1))
    around = np.stack([np.cos(azimuth), np.sin(azimuth)], axis=1)
    uvs = np.concatenate([np.zeros((1, 2)), (radius[:, None, None] * around).reshape(-1, 2)])
    part = rigid_part("hair", "hair", verts, fan_and_rings(len(rings), COLUMNS), uvs)
    masks = part.masks.copy()
    masks[:, MASKS.index("hair")] = _RISE_M
    masks[:, MASKS.index("detail")] = 1
    return replace(part, masks=masks)


def _columns() -> Floats:
    """Return azimuths (COLUMNS,), denser where the ends fall steeply beside the face."""
    even = np.linspace(-np.pi, np.pi, 2000)
    density = 1 + 2.2 * np.exp(-(((np.abs(even) - np.mean(_CURTAIN_RAD)) / 0.22) ** 2))
    total = np.append(0, np.cumsum((density[1:] + density[:-1]) / 2))
    wanted = (np.arange(COLUMNS) + 0.5) / COLUMNS * total[-1]
    columns: Floats = np.interp(wanted, total, even)
    return columns


def bob_tuft(source: Source, random: Generator) -> Tuft:
    """Return hairs that fall in locks from the crown, those of the fringe swept to the left."""
    bob, count = Bob(source), source.recipe.hair.strands
    azimuth = random.uniform(-np.pi, np.pi, count)
    polar = np.arccos(1 - random.uniform(0, 1, count) * (1 - np.cos(_ROOTS_RAD)))
    root = np.stack([np.cos(azimuth), np.sin(azimuth), 0.5 * polar], axis=1)
    ridge = waves(np.random.default_rng(8), root, 14, 1)[:, 0]
    lock = waves(np.random.default_rng(9), root, 9, 2)
    stray = random.normal(0, 1, (count, 2))
    start = np.minimum(bob.share(azimuth, polar), 0.62)
    stop = _stops(random, start)
    layer = _layers(random, ridge)
    path = []
    for i in range(_STEPS + 1):
        along = i / _STEPS
        share = start + (stop - start) * along
        sweep = _SWEEP_RAD * np.exp(-((azimuth / _SWEPT_RAD) ** 2)) * smoothstep(0.1, 1.0, share)
        bend = (0.030 * lock[:, 0] + 0.012 * stray[:, 0]) * along
        wave = 0.030 * smoothstep(0.25, 0.8, share) * np.sin(9 * share + 2 * lock[:, 1])
        grown = 0.5 + 0.5 * smoothstep(0.0, 0.2, np.full(count, along))
        depth = grown * (layer + 0.05 * stray[:, 1] * along)
        path.append(bob.at(azimuth + sweep + bend + wave, share, depth))
    points = np.stack(path, axis=1)
    tone = np.clip(0.42 + 0.20 * ridge + random.normal(0, 0.16, count), 0, 1)
    open_sky = np.clip(0.30 + 0.75 * layer + 0.16 * ridge, 0.1, 1.0)
    width = random.uniform(0.00022, 0.00042, count)
    sky = np.repeat(open_sky[:, None], _STEPS + 1, axis=1)
    return Tuft(HAIR, points, points[:, 0], width, tone, sky)


def _stops(random: Generator, start: Floats) -> Floats:
    """Return the share (n,) at which hairs end: most at the ends of the bob, a quarter earlier."""
    count = len(start)
    stop = random.uniform(0.88, 1.02, count)
    layered = random.uniform(0, 1, count) < 0.25
    stop = np.where(layered, random.uniform(0.55, 1.0, count), stop)
    return np.maximum(stop, start + 0.25)


def _layers(random: Generator, ridge: Floats) -> Floats:
    """Return the layer (n,) of hairs: most near the outside, a few above it."""
    count = len(ridge)
    layer = np.clip(random.uniform(0.25, 1.0, count) ** 0.7 + 0.06 * ridge, 0, 1.05)
    loose = random.uniform(0, 1, count) < 0.012
    return np.where(loose, random.uniform(1.0, 1.3, count), layer)
