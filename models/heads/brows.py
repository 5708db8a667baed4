"""Grows brows: hairs along arcs, upright at the inner end, lying down further out.

Lengths are metres, angles radians from level towards the temple, upwards; shares count from the
inner end of a brow. Distributions are chosen by eye, on renders of the shipped heads at 384x384.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.heads.meshes import Floats, smooth_normals
from models.heads.source import Source
from models.heads.tufts import Tuft, unit
from models.studio.appearance import Appearance
from models.studio.facial_hair import BROW_LENGTH_M, BROW_START_M, brow_height, brow_width
from models.studio.strands import BROW

_MIN_Z_M, _Y_M = -0.005, (-0.005, 0.05)
"""Bounds of the skin that brows lie on."""
_COUNT, _STEPS = 400, 4
"""Hairs of a brow at a fullness of 1, and their segments."""
_ALONG_A, _ALONG_B = 1.25, 1.15
"""Beta distribution of roots along a brow: few at its ends."""
_ACROSS = 0.85
"""Roots keep to this share of the width: hairs reach beyond them."""
_ANGLE_ALONG, _ANGLE_RAD = (0, 0.15, 0.5, 1), (1.15, 0.75, 0.22, -0.45)
"""Direction of hairs by the share of a brow."""
_LEVEL, _ARCHED = 0.4, 0.6
"""Share of these directions in a level brow, and how much more in a fully arched one."""
_CONVERGE_RAD, _ANGLE_VARIES_RAD = 0.35, 0.12
"""Hairs of the upper and of the lower edge lean to the middle line; deviation of single hairs."""
_BEND_RAD, _BEND_VARIES_RAD = -0.25, 0.1
"""Mean and deviation of the angle by which hairs bend down from root to tip."""
_LENGTH_M, _LENGTH_ALONG, _LENGTH_SHARE = (0.0035, 0.0068), (0, 0.3, 1), (0.8, 1, 0.7)
"""Range of lengths, and how much shorter hairs are by the share of a brow."""
_ROOT_LIFT_M, _LIFT_M, _LIFT_RAD = 0.00015, 0.0007, 2.4
"""Distance of roots from the skin, how much higher hairs rise as a sine, and its phase at the tip:
below pi, so that tips do not touch the skin."""
_TONE, _WIDTH_M, _OPEN_SKY = (0.3, 0.15), (0.00009, 0.00017), 0.95
"""Mean and deviation of the tone; range of the width; light that other hairs let through."""

_NEIGHBOURS, _SOFTEN_M2 = 4, 1e-8
"""Vertices that a point of the surface is interpolated from, by the inverse of their squared
distance; that plus this: 0.1 mm, which keeps points on a vertex from dividing by 0."""
_MIN_NORMAL_Z = 0.2
"""Steepest surface whose slope is followed."""


def brow_tufts(source: Source, arrays: dict[str, NDArray[Any]], random: Generator) -> list[Tuft]:
    """Return both brows.

    Args:
        source: The person.
        arrays: Arrays of the head file.
        random: Source of random numbers.
    """
    appearance, count = source.recipe.appearance, int(_COUNT * source.recipe.brow_fullness)
    skin = arrays["faces"][arrays["materials"] == list(arrays["material_names"]).index("skin")]
    verts = arrays["neutral"].astype(np.float64)
    normals = smooth_normals(verts, arrays["faces"])
    used = np.unique(skin)
    y = verts[used, 1]
    used = used[(verts[used, 2] > _MIN_Z_M) & (y > _Y_M[0]) & (y < _Y_M[1])]
    t = np.linspace(0, 1, _STEPS + 1)
    tufts = []
    for sign in (1.0, -1.0):
        flat = _flat_hairs(appearance, count, t, random)
        flat[..., 0] *= sign
        surface, normal = _on_surface(flat.reshape(-1, 2), verts[used], normals[used])
        lift = np.tile(_ROOT_LIFT_M + _LIFT_M * np.sin(t * _LIFT_RAD), count)
        points = (surface + normal * lift[:, None]).reshape(count, _STEPS + 1, 3)
        tone = np.clip(random.normal(*_TONE, count), 0, 1)
        width = random.uniform(*_WIDTH_M, count)
        sky = np.full((count, _STEPS + 1), _OPEN_SKY)
        tufts.append(Tuft(BROW, points, points[:, 0], width, tone, sky, "skin"))
    return tufts


def _flat_hairs(appearance: Appearance, count: int, t: Floats, random: Generator) -> Floats:
    """Return the points (count, p, 2) of the left brow's hairs, x and y seen from the front.

    Args:
        appearance: Height, breadth and arch of the person's brows.
        count: Hairs.
        t: (p,) shares of a hair's length.
        random: Source of random numbers.
    """
    along = random.beta(_ALONG_A, _ALONG_B, count)
    across = random.uniform(-1, 1, count)
    x = BROW_START_M + BROW_LENGTH_M * along
    y = brow_height(along, appearance) + across * brow_width(along, appearance) * _ACROSS
    start = np.stack([x, y], 1)
    angle = np.interp(along, _ANGLE_ALONG, _ANGLE_RAD)
    angle = angle * (_LEVEL + _ARCHED * appearance.brow_arch)
    angle = angle - _CONVERGE_RAD * across + random.normal(0, _ANGLE_VARIES_RAD, count)
    bend = random.normal(_BEND_RAD, _BEND_VARIES_RAD, count)
    length = random.uniform(*_LENGTH_M, count) * np.interp(along, _LENGTH_ALONG, _LENGTH_SHARE)
    heading = angle[:, None] + bend[:, None] * t
    direction = np.stack([np.cos(heading), np.sin(heading)], axis=-1)
    step = direction * (length / (len(t) - 1))[:, None, None]
    flat: Floats = start[:, None] + np.cumsum(step, axis=1) - step[:, :1]
    return flat


def _on_surface(flat: Floats, verts: Floats, normals: Floats) -> tuple[Floats, Floats]:
    """Return points and normals (n, 3) of the face at (n, 2) x and y, seen from the front."""
    distance = ((flat[:, None] - verts[None, :, :2]) ** 2).sum(-1)
    order = np.argsort(distance, axis=1)[:, :_NEIGHBOURS]
    near = np.take_along_axis(distance, order, axis=1)
    weight = 1 / (near + _SOFTEN_M2)
    weight /= weight.sum(1, keepdims=True)
    normal = unit(np.einsum("nk,nkc->nc", weight, normals[order]))
    # Extend the tangent plane of each neighbour to x and y.
    corner = verts[order]
    slope = -normals[order][..., :2] / np.maximum(normals[order][..., 2:], _MIN_NORMAL_Z)
    z = corner[..., 2] + ((flat[:, None] - corner[..., :2]) * slope).sum(-1)
    return np.c_[flat, (weight * z).sum(1)], normal
