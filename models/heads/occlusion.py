"""Bakes the ambient occlusion of every vertex from depth maps of all directions."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.geometry.rasterizer import SUBPIXELS
from models.geometry.rasterizer_numba import rasterize
from models.heads.meshes import Floats, Ints, relax, smooth_normals
from models.heads.parts import MASKS
from models.studio.materials import MATERIALS
from models.studio.paint_cloth import COLLAR_DETAIL

_JAW_OPEN = 0.35
"""Coefficient `jawOpen` with which the mouth is baked."""
_FOOT_SKY, _SMOOTHED_SHARE = 0.5, 0.5
"""Least value at the foot of the collar; share of each value that the mean of its neighbours
replaces. Chosen by eye."""
_LIFT_M, _BIAS_M = 0.0008, 0.0012
"""Vertices are lifted along their normals, and may lie so far behind a depth map, before they count
as hidden: a texel of the maps is about 2 mm. Chosen by eye."""
_MIN_COSINES = 1e-9  # keeps vertices without a normal from dividing by 0
_GOLDEN = (1 + 5**0.5) / 2
"""Golden ratio: turns by it spread points on a sphere evenly (a Fibonacci lattice)."""
_UPRIGHT = 0.9
"""Directions whose y is greater are so near to +Y that +X is used to find the axes across them."""
_FRAME_M = 0.01
"""Space around the mesh in a depth map."""
_DISTANCE_M = 2
"""Distance of the light: keeps nearness positive, as the rasterizer requires."""

_DIRECTIONS = 160
"""Number of depth maps, evenly spread over the sphere."""
_SIZE = 512
"""Rows and columns of each depth map."""


def occlusion(arrays: dict[str, NDArray[Any]]) -> Floats:
    """Return (V,) the share of the sky that is visible from each vertex, 0..1.

    Hair and clothes do not darken skin, nor does the collar darken the jumper: their edges cut
    through coarse triangles, which would be visible. The eyes turn, so nothing is baked onto them.
    For the mouth the jaw is opened by a third: shut, it would leave the teeth black.

    Args:
        arrays: Arrays of the head file.
    """
    names = list(arrays["expression_names"])
    faces, material = arrays["faces"], arrays["materials"]
    kind = {name: material == index for index, name in enumerate(MATERIALS)}
    verts = arrays["neutral"].astype(np.float64)
    opened = verts
    if "jawOpen" in names:  # imported meshes may have no expressions
        opened = verts + _JAW_OPEN * arrays["deltas"][names.index("jawOpen")].astype(np.float64)
    collar = (arrays["masks"][:, MASKS.index("detail")] >= COLLAR_DETAIL)[faces].all(1) & kind[
        "cloth"
    ]
    bare = ~(kind["hair"] | kind["cloth"] | kind["lash"])
    values = np.ones(len(verts))
    for receivers, occluders, shape in (
        (kind["skin"], bare, verts),
        (kind["mouth"] | kind["teeth"] | kind["tongue"], bare, opened),
        (kind["hair"], ~collar, verts),
        (kind["cloth"] & ~collar, ~collar, verts),
        (collar, np.ones_like(collar), verts),
    ):
        mine = np.unique(faces[receivers])
        values[mine] = sky_seen(shape, faces, faces[occluders], _DIRECTIONS, _SIZE)[mine]
    # The foot of the collar lies beneath the jumper; the visible part must not darken towards it.
    foot = np.unique(faces[collar])
    values[foot] = np.maximum(values[foot], _FOOT_SKY)
    eyes = np.isin(np.arange(len(verts)), faces[kind["eye"]])
    amount = np.where(eyes, 0.0, _SMOOTHED_SHARE)
    return relax(values[:, None], faces, 1, amount)[:, 0]


def sky_seen(verts: Floats, faces: Ints, occluders: Ints, directions: int, size: int) -> Floats:
    """Return (V,) the cosine-weighted share of directions that `occluders` leave open."""
    normals = smooth_normals(verts, faces)
    lifted = verts + normals * _LIFT_M
    index = np.arange(directions) + 0.5
    polar, turn = np.arccos(1 - 2 * index / directions), 2 * pi * _GOLDEN * index
    around = np.stack(
        [np.cos(turn) * np.sin(polar), np.sin(turn) * np.sin(polar), np.cos(polar)], 1
    )
    seen, total = np.zeros(len(verts)), np.full(len(verts), _MIN_COSINES)
    for direction in around:
        lit = visible_from(verts, lifted, occluders, direction, size)
        cosine = np.maximum(normals @ direction, 0)
        seen += lit * cosine
        total += cosine
    share: Floats = seen / total
    return share


def visible_from(
    verts: Floats, lifted: Floats, faces: NDArray[Any], direction: Floats, size: int
) -> Floats:
    """Return (V,) 1 where nothing hides a vertex from an orthographic light at `direction`."""
    helper = np.array([0.0, 1, 0]) if abs(direction[1]) < _UPRIGHT else np.array([1.0, 0, 0])
    right = np.cross(helper, direction)
    right /= np.linalg.norm(right)
    up = np.cross(direction, right)
    low = np.array([(verts @ axis).min() for axis in (right, up)]) - _FRAME_M
    across = max(np.ptp(verts @ axis) for axis in (right, up)) + 2 * _FRAME_M
    scale = (size - 2) / across

    def screen(points: Floats) -> tuple[Floats, Floats]:
        x = (points @ right - low[0]) * scale
        y = size - (points @ up - low[1]) * scale
        # The rasterizer takes 1/depth; far away that is linear in the height towards the light.
        return np.stack([x, y], axis=1), points @ direction + _DISTANCE_M

    xy, near = screen(verts)
    snapped = np.floor(xy * SUBPIXELS + 0.5).astype(np.int64)
    depth = rasterize(snapped, near, faces.astype(np.int32), size, size).inverse_depth
    at, own = screen(lifted)
    columns = np.clip(at[:, 0].astype(int), 0, size - 1)
    rows = np.clip(at[:, 1].astype(int), 0, size - 1)
    visible: Floats = (own > depth[rows, columns] - _BIAS_M).astype(np.float64)
    return visible
