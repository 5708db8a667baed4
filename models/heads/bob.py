"""Models a bob: hair that falls from the crown over forehead and ears, and ends at the jaw.

The surface has profiles, which run from the crown down, one for each azimuth around it. The hull of
the hair is a grid over this surface, and `bob_hairs` traces single hairs on it. All shapes are
chosen by eye; their numbers are metres, radians, and shares of the way from the crown to the ends.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.geometry.smoothstep import smoothstep
from models.heads.meshes import Floats, Ints, fan_and_rings
from models.heads.parts import MASKS, Part, rigid_part
from models.heads.recipe import HairCut
from models.heads.skull import Skull
from models.heads.source import HAIR_CENTRE, Source
from models.heads.tufts import unit, waves

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
"""Azimuths of the profiles, 2.5 degrees apart."""
_SAMPLE_M, _SAMPLES, _SMOOTHED = 0.002, 220, 21
"""Distance and number of the points of a profile, and how many points its bends extend over."""
_POLAR_RAD, _DROP_M = np.radians(140), 0.25
"""Angle from the crown up to which a profile follows the skull, and the distance it then falls."""
_HANGS_M = (0.085, 0.035)
"""Heights between which hair stops following the skull and hangs from its widest place."""
_TOP_M = (0.03, 0.10)
"""Heights between which the volume of the sides becomes that of the top."""
_POLAR_STEPS, _FALL_STEPS, _FALL_START_M = 200, 60, 0.002
"""Points of a profile along the skull and in its fall, which it is sampled from; the fall begins
one sample below the last point of the skull."""
_LAST = 1.001
"""Greater than 1, so that the point after a sampled one lies on the profile, too."""
_MIN_ACROSS_M = 1e-6  # of points that are moved outwards: none must divide by 0

_FRINGE_M, _FRINGE_SLANT_M = 0.042, 0.024
"""Height of the ends above the middle of the forehead, where eyes are at 0, and how much lower they
are per radian to the left."""
_FRINGE_OFF_M = 0.0065
"""Distance of the fringe from the forehead; more would look like a brim."""
_FRINGE_AZIMUTH_RAD, _FRINGE_POLAR_RAD = (0.9, 0.3), (0.6, 1.15)
"""Azimuths and angles from the crown over which the rest of the hair becomes the fringe."""
_HEM_M, _NAPE_M = -0.086, -0.094
"""Height of the ends beside the jaw and at the back."""
_NAPE_RAD = (1.5, 2.8)
"""Azimuths between which the ends fall from the jaw to the nape."""
_CURTAIN_RAD = (0.50, 0.96)
"""Azimuths between which the ends fall from the fringe to the jaw."""
_RAGGED_M, _FRINGE_RAGGED = 0.003, 0.35
"""Differences of the heights of ends of locks beside the jaw, and the share of them in the
fringe."""
_ENDS_SEED, _ENDS_PER_RAD = 6, 12
"""Seed and frequency of the noise of these differences: every call must see the same ends."""
_DEPTH_M, _THINNER, _THINNER_SHARE = 0.012, 0.6, (0.6, 1.0)
"""Distance from the inside of the hair to its outside; by which share it is less at the ends, and
over which shares of the length it decreases."""
_TURN_UNDER_M, _TURN_SHARE, _TURN_POWER = 0.009, (0.72, 1.05), 1.5
"""Distance by which ends beside the jaw turn in towards the neck, the shares of the length over
which they do, and a power above 1 that moves the bend towards the ends."""
_DENSER, _DENSER_RAD = 2.2, 0.22
"""How many more columns the hull has around the curtain, and within which azimuth of its middle."""
_COLUMN_STEPS = 2000
"""Steps in which the density of the columns is integrated."""
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
        under = _TURN_UNDER_M * beside * smoothstep(*_TURN_SHARE, share) ** _TURN_POWER
        depth = _DEPTH_M * (1 - _THINNER * smoothstep(*_THINNER_SHARE, share))
        inwards = unit(middle - outside) * (under + (1 - layer) * depth)[:, None]
        moved: Floats = outside + inwards
        return moved

    def _on_profile(self, index: Ints, share: Floats) -> Floats:
        """Return the points (n, 3) of profiles at shares (n,) of their lengths."""
        sample = np.clip(share * self._lengths[index] / _SAMPLE_M, 0, _SAMPLES - _LAST)
        low = sample.astype(int)
        between = (sample - low)[:, None]
        before, after = self._profiles[index, low], self._profiles[index, low + 1]
        points: Floats = (1 - between) * before + between * after
        return points


def ends(azimuth: Floats) -> Floats:
    """Return the height (n,) of the ends of the hair, metres."""
    beside = smoothstep(*_CURTAIN_RAD, np.abs(azimuth))
    fringe = _FRINGE_M - _FRINGE_SLANT_M * azimuth
    hem = _HEM_M + (_NAPE_M - _HEM_M) * smoothstep(*_NAPE_RAD, np.abs(azimuth))
    around = np.stack([np.cos(azimuth), np.sin(azimuth), 0 * azimuth], axis=1)
    uneven = waves(np.random.default_rng(_ENDS_SEED), around, _ENDS_PER_RAD, 1)[:, 0]
    ragged = _RAGGED_M * (_FRINGE_RAGGED + (1 - _FRINGE_RAGGED) * beside)
    height: Floats = fringe + (hem - fringe) * beside + ragged * uneven
    return height


def _profile(skull: Skull, cut: HairCut, azimuth: float) -> Floats:
    """Return points (_SAMPLES, 3) of the outside from the crown down, `_SAMPLE_M` apart."""
    polar = np.linspace(0, _POLAR_RAD, _POLAR_STEPS)[:, None]
    away = np.cos(azimuth) * _FRONT + np.sin(azimuth) * _LEFT
    directions = np.cos(polar) * _CROWN + np.sin(polar) * away
    points = HAIR_CENTRE + directions * skull.radius(directions)[:, None]
    top = smoothstep(*_TOP_M, points[:, 1])
    fringe = smoothstep(*_FRINGE_AZIMUTH_RAD, np.array([abs(azimuth)]))
    fringe = fringe * smoothstep(*_FRINGE_POLAR_RAD, polar[:, 0])
    volume = (cut.sides_mm + (cut.volume_mm - cut.sides_mm) * top * (1 - fringe)) / 1000
    points += directions * (volume + (_FRINGE_OFF_M - volume) * fringe)[:, None]
    points = _hung(points)
    drops = np.linspace(_FALL_START_M, _DROP_M, _FALL_STEPS)[:, None]
    points = np.concatenate([points, points[-1] + drops * np.array([0.0, -1.0, 0.0])])
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
    hung[:, [0, 2]] += flat * (out / np.maximum(across, _MIN_ACROSS_M))[:, None]
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
    even = np.linspace(-np.pi, np.pi, _COLUMN_STEPS)
    from_curtain = np.abs(even) - np.mean(_CURTAIN_RAD)
    density = 1 + _DENSER * np.exp(-((from_curtain / _DENSER_RAD) ** 2))
    total = np.append(0, np.cumsum((density[1:] + density[:-1]) / 2))
    wanted = (np.arange(COLUMNS) + 0.5) / COLUMNS * total[-1]
    columns: Floats = np.interp(wanted, total, even)
    return columns
