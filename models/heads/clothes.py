"""Models a jumper with or without a collar, so that the head does not float.

Distances are metres; those without a source are chosen by eye on renders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import pi

import numpy as np
from numpy.typing import NDArray

from models.geometry.smoothstep import smoothstep
from models.heads.meshes import Floats, Ints, relax, smooth_normals, triangulate
from models.heads.parts import Part, joint_weights, rigid_part, source_part
from models.heads.recipe import Neckline, Recipe
from models.heads.source import Source, above_collar, collar_height
from models.studio.paint_cloth import COLLAR_DETAIL

_PROFILES: Mapping[Neckline, list[tuple[float, float]]] = {
    # metres above the collar's plane, and outwards from the skin
    "rolled": [
        (-0.036, 0.001),
        (-0.024, 0.0062),
        (-0.010, 0.0086),
        (0.002, 0.0085),
        (0.010, 0.0064),
        (0.012, 0.003),
        (0.004, 0.0005),
    ],
    "crew": [
        (-0.040, 0.000),
        (-0.026, 0.0040),
        (-0.012, 0.0064),
        (-0.001, 0.0062),
        (0.003, 0.0045),
        (0.004, 0.0025),
        (0.000, 0.0005),
    ],
}
NECK_AXIS = np.array([0.0, 0.0, -0.085])
"""A point on the axis of the neck, around which the collar is laid."""
_CLOTH_M = 0.0045
"""How far the jumper stands off the skin."""
_TORSO_SMOOTH_M = (0.01, 0.06)
"""Below the collar's plane, between which a torso without collar turns into cloth."""
_COVERED_M = -0.016
"""Height above the collar's plane down to which skin is kept: the collar covers its edge."""
_UNDER_COLLAR_M = 0.004
"""The jumper ends this far below the collar's plane, under the collar."""
_WIDTH_M, _ARM_M, _ARM_BOTTOM_M, _CHEST_BOTTOM_M = 0.56, 0.16, -0.56, -0.37
"""Bounds of clothes to the side and downwards, where no view shows their hem: beside the chest,
from the second on, they reach further down."""
_BACK_Y_M = -0.2
"""Below this height quads that face no viewer are left out."""
_SMOOTHED_ROUNDS, _SMOOTHED_SHARE = 4, 0.5
"""Smoothing of the body into cloth."""
_VIEW_YAWS_DEG, _VIEW_PITCHES_DEG = np.arange(-60, 61, 20), np.arange(-40, 41, 20)
"""Directions of viewers in front of the body."""
_SEGMENTS = 32
"""Segments of the collar, around the neck."""
_NECK_LEVEL_M, _NECK_WIDTH_M = 0.06, 0.13
"""Skin that the collar follows: distance from its plane, and from the middle to the side."""
_OUTSIDE_ROWS = 4
"""Rows of the collar's profile, from below, that lie on its outside."""
_SMOOTHING = np.array([1, 4, 6, 4, 1]) / 16
"""Binomial weights along the rings of the collar, which follow the coarse mesh otherwise."""


def above_clothes(source: Source) -> NDArray[np.bool_]:
    """Return (Q,) which quads of the body clothes leave bare.

    A collar covers the edge of the skin; without one the skin ends exactly where the cloth begins.
    """
    above = above_collar(source.verts, source.recipe)[source.quads["body"]]
    bare: NDArray[np.bool_] = (
        above.mean(1) > 0 if _is_painted(source) else above.max(1) > _COVERED_M
    )
    return bare


def cloth_parts(source: Source) -> list[Part]:
    """Return a jumper, the surface of the torso, and a ribbed collar unless it is painted."""
    return [_torso(source)] if _is_painted(source) else [_jumper(source), collar_part(source)]


def _is_painted(source: Source) -> bool:
    return source.recipe.neckline == "painted"


def _torso(source: Source) -> Part:
    """Return the torso below the neck, which continues the neck's surface without a step.

    It moves with the neck's own weights, and is smoothed and pushed outwards like cloth only
    further down, so that it meets the skin in every pose.
    """
    torso = _cut(source, ~above_clothes(source))
    below = -above_collar(torso.verts, source.recipe)
    amount = smoothstep(*_TORSO_SMOOTH_M, below)
    smooth = relax(torso.verts, torso.faces, _SMOOTHED_ROUNDS, _SMOOTHED_SHARE * amount)
    push = smooth_normals(smooth, torso.faces) * _CLOTH_M * amount[:, None]
    return replace(torso, verts=smooth + push, masks=torso.masks * 0)


def _cut(source: Source, chosen: NDArray[np.bool_]) -> Part:
    """Return the chosen quads (Q,) of the body, down and out to where no view shows their hem."""
    quads, uv_quads = source.quads["body"], source.uv_quads["body"]
    points = source.verts[quads]
    aside = np.abs(points[..., 0]).max(1)
    bottom = np.where(aside > _ARM_M, _ARM_BOTTOM_M, _CHEST_BOTTOM_M)
    keep = chosen & (points[..., 1].min(1) > bottom) & (aside < _WIDTH_M)
    keep &= (points[..., 1].max(1) > _BACK_Y_M) | _faces_any_viewer(points)
    return source_part(source, "cloth", "cloth", quads[keep], uv_quads[keep], source.uvs * [1, -1])


def _jumper(source: Source) -> Part:
    """Return the torso below the collar, pushed outwards."""
    above = above_collar(source.verts, source.recipe)[source.quads["body"]]
    jumper = _cut(source, above.min(1) < -_UNDER_COLLAR_M)
    # Where the collar's plane cuts through a quad it ends at the plane, not above.
    top = collar_height(jumper.verts[:, 2], source.recipe) - _UNDER_COLLAR_M
    jumper.verts[:, 1] = np.minimum(jumper.verts[:, 1], top)
    push = smooth_normals(jumper.verts, jumper.faces) * _CLOTH_M
    share = np.full(len(jumper.verts), _SMOOTHED_SHARE)
    smooth = relax(jumper.verts, jumper.faces, _SMOOTHED_ROUNDS, share)
    weights = joint_weights(np.ones(len(push)))
    empty = np.zeros_like(jumper.deltas)
    return replace(
        jumper, verts=smooth + push, weights=weights, deltas=empty, masks=jumper.masks * 0
    )


def _faces_any_viewer(quads: Floats) -> NDArray[np.bool_]:
    """Return (q,) whether each of the quads (q, 4, 3) faces a viewer in front of the body."""
    normals = np.cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
    views = np.meshgrid(_VIEW_YAWS_DEG, _VIEW_PITCHES_DEG, indexing="ij")
    yaw, pitch = np.radians(np.reshape(views, (2, -1)))
    towards = np.stack([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    seen: NDArray[np.bool_] = ((normals @ towards) > 0).any(1)
    return seen


def collar_part(source: Source) -> Part:
    """Return the collar, lofted through slices of the neck parallel to the collar's plane."""
    profile = _PROFILES[source.recipe.neckline]
    around = np.arange(_SEGMENTS) * 2 * pi / _SEGMENTS
    quads = source.quads["body"]
    near = (np.abs(above_collar(source.verts, source.recipe)[quads]) < _NECK_LEVEL_M).all(1)
    near &= (np.abs(source.verts[quads][..., 0]) < _NECK_WIDTH_M).all(1)
    faces = triangulate(quads[near])
    rows = [
        slice_ring(source.verts, faces, level, around, outwards, source.recipe)
        for level, outwards in profile
    ]
    verts = np.concatenate(rows)
    grid = np.arange(len(verts)).reshape(len(profile), _SEGMENTS)
    right = np.roll(grid, -1, axis=1)
    strip = np.stack([grid[:-1], grid[1:], right[1:], right[:-1]], axis=-1).reshape(-1, 4)
    wide = np.arange(len(profile) * (_SEGMENTS + 1)).reshape(len(profile), _SEGMENTS + 1)
    uv_strip = np.stack([wide[:-1, :-1], wide[1:, :-1], wide[1:, 1:], wide[:-1, 1:]], -1).reshape(
        -1, 4
    )
    u, v = np.meshgrid(np.linspace(0, 1, _SEGMENTS + 1), np.linspace(1, 0, len(profile)))
    faces, uv_faces = triangulate(strip), triangulate(uv_strip)
    outwards = smooth_normals(verts, faces) * (verts - verts.mean(0))
    if outwards[: _OUTSIDE_ROWS * _SEGMENTS].sum() < 0:
        faces, uv_faces = faces[:, ::-1], uv_faces[:, ::-1]
    detail = np.tile(around, len(profile)) + COLLAR_DETAIL
    uvs = np.stack([u.ravel(), v.ravel()], axis=1)
    part = rigid_part(
        "collar", "cloth", verts, faces, uvs, joint="body", uv_faces=uv_faces, detail=detail
    )
    return part


def slice_ring(
    verts: Floats, faces: Ints, level: float, around: Floats, outwards: float, recipe: Recipe
) -> Floats:
    """Return (n, 3) where the neck crosses a plane parallel to the collar's.

    Args:
        verts: (V, 3) vertices of the body, metres.
        faces: (F, 3) triangles near the neck.
        level: Metres of the plane above the collar's.
        around: (n,) angles about the axis of the neck.
        outwards: Metres by which the points are pushed out of the skin.
        recipe: Recipe of the person.
    """
    height = above_collar(verts, recipe) - level
    crossings = []
    for i, j in ((0, 1), (1, 2), (2, 0)):
        a, b = faces[:, i], faces[:, j]
        cross = height[a] * height[b] < 0
        t = height[a[cross]] / (height[a[cross]] - height[b[cross]])
        crossings.append(verts[a[cross]] + t[:, None] * (verts[b[cross]] - verts[a[cross]]))
    points = np.concatenate(crossings)
    offset = points - NECK_AXIS
    angle = np.arctan2(offset[:, 0], offset[:, 2]) % (2 * pi)
    radius = np.hypot(offset[:, 0], offset[:, 2])
    order = np.argsort(angle)
    even = np.interp(around, angle[order], radius[order], period=2 * pi)
    even = (
        sum(k * np.roll(even, s) for k, s in zip(_SMOOTHING, range(-2, 3), strict=True)) + outwards
    )
    x, z = even * np.sin(around), even * np.cos(around) + NECK_AXIS[2]
    y = level + collar_height(z, recipe)
    return np.stack([x, y, z], axis=1)
