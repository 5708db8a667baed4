"""A jumper with a rolled collar, so that the head does not float."""

from __future__ import annotations

from dataclasses import replace
from math import pi

import numpy as np

from scripts.baking.meshes import Floats, Ints, relax, smooth_normals, triangulate
from scripts.baking.parts import Part, joint_weights, rigid_part, source_part
from scripts.baking.source import Source, above_collar

NECK_AXIS = np.array([0.0, 0.0, -0.085])


def cloth_parts(source: Source) -> list[Part]:
    """A jumper: the torso's surface pushed outwards, and a ribbed collar around the neck."""
    quads, uv_quads = source.quads["body"], source.uv_quads["body"]
    points = source.verts[quads]
    keep = (above_collar(source.verts)[quads].max(1) < -0.002) & (points[..., 1].min(1) > -0.28)
    keep &= np.abs(points[..., 0]).max(1) < 0.27
    keep &= np.bincount(quads.ravel(), minlength=len(source.verts))[quads].min(1) > 0
    jumper = source_part(
        source, "cloth", "cloth", quads[keep], uv_quads[keep], source.uvs * [1, -1]
    )
    push = smooth_normals(jumper.verts, jumper.faces) * 0.0045
    smooth = relax(jumper.verts, jumper.faces, 4, np.full(len(jumper.verts), 0.5))
    weights = joint_weights(np.ones(len(push)))
    empty = np.zeros_like(jumper.deltas)
    jumper = replace(
        jumper, verts=smooth + push, weights=weights, deltas=empty, masks=jumper.masks * 0
    )
    return [jumper, collar_part(source)]


def collar_part(source: Source) -> Part:
    """A rolled collar, lofted through slices of the neck by the collar's plane."""
    profile = [(-0.036, 0.001), (-0.024, 0.0062), (-0.010, 0.0086), (0.002, 0.0085)]
    profile += [(0.010, 0.0064), (0.012, 0.003), (0.004, 0.0005)]
    segments = 32
    around = np.arange(segments) * 2 * pi / segments
    quads = source.quads["body"]
    near = (np.abs(above_collar(source.verts)[quads]) < 0.06).all(1)
    near &= (np.abs(source.verts[quads][..., 0]) < 0.13).all(1)
    faces = triangulate(quads[near])
    rows = [slice_ring(source.verts, faces, level, around, outwards) for level, outwards in profile]
    verts = np.concatenate(rows)
    grid = np.arange(len(verts)).reshape(len(profile), segments)
    right = np.roll(grid, -1, axis=1)
    strip = np.stack([grid[:-1], grid[1:], right[1:], right[:-1]], axis=-1).reshape(-1, 4)
    wide = np.arange(len(profile) * (segments + 1)).reshape(len(profile), segments + 1)
    uv_strip = np.stack([wide[:-1, :-1], wide[1:, :-1], wide[1:, 1:], wide[:-1, 1:]], -1).reshape(
        -1, 4
    )
    u, v = np.meshgrid(np.linspace(0, 1, segments + 1), np.linspace(1, 0, len(profile)))
    faces, uv_faces = triangulate(strip), triangulate(uv_strip)
    outwards = smooth_normals(verts, faces) * (verts - verts.mean(0))
    if outwards[: 4 * segments].sum() < 0:
        faces, uv_faces = faces[:, ::-1], uv_faces[:, ::-1]
    detail = np.tile(around, len(profile)) + 10
    uvs = np.stack([u.ravel(), v.ravel()], axis=1)
    part = rigid_part(
        "collar", "cloth", verts, faces, uvs, joint="body", uv_faces=uv_faces, detail=detail
    )
    return part


def slice_ring(verts: Floats, faces: Ints, level: float, around: Floats, outwards: float) -> Floats:
    """Where the neck crosses the plane `level` above the collar's, at even angles, pushed out."""
    height = above_collar(verts) - level
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
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    even = sum(k * np.roll(even, s) for k, s in zip(kernel, range(-2, 3), strict=True)) + outwards
    x, z = even * np.sin(around), even * np.cos(around) + NECK_AXIS[2]
    y = level - 0.158 + (-0.03 - z) * 0.33
    return np.stack([x, y, z], axis=1)
