r"""Measure what late reprojection leaves of a movement: the error in pixels, without and with it.

    .venv/bin/python scripts/benchmark_reprojection.py

A frame drawn for one eye is shown when the eye has moved on by some degrees around the head. Every
vertex of the head that the true picture shows has a place there; the error is how far from it the
old picture shows that vertex: as it is, moved as a plane, and moved as the ellipsoid that the page
uses. `full_psnr_db` compares pictures instead: the old full render, as it is and moved, with the
full render of the true pose. Ends with one line of JSON.

    .venv/bin/python scripts/benchmark_reprojection.py \
        --twin-cases tests/client_web/reprojection.json

writes the numbers that the page's own code is held to.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from numpy.typing import NDArray

from models.avatar.folder import SHIPPED, Avatar, load_avatar
from models.contract.frame_state import FrameState, neutral_state
from models.geometry import rasterizer_numba
from models.geometry.camera import look_at
from models.geometry.reprojection import (
    Array,
    head_surface,
    plane_facing,
    project,
    reproject,
)
from models.runtime.renderer import CachedRenderer

Move = Callable[[Array, FrameState, FrameState], Array]

MOVES: dict[str, Move] = {
    "as_it_is": lambda points, old, new: points,
    "plane": lambda points, old, new: reproject(points, old, new, plane_facing(old)),
    "ellipsoid": lambda points, old, new: reproject(points, old, new, head_surface),
}
BASES_DEG = ((0, 0), (-20, 10), (20, -10), (-40, 0), (40, 0), (0, 20), (0, -20))
"""Yaw and pitch of the old eyes."""


@dataclass(frozen=True)
class Options:
    """What is measured."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder."""
    steps_deg: tuple[float, ...] = (0.5, 1, 2, 4)
    """How far the eye has moved on, in yaw and in pitch, both ways."""
    picture_step_deg: float = 2.0
    """At which of them pictures are compared."""
    twin_cases: Path | None = None
    """Write the twin's numbers to this file and do nothing else."""


def main(options: Options) -> None:
    """Measure, print a table and a line of JSON."""
    avatar = load_avatar(options.avatar)
    if options.twin_cases is not None:
        options.twin_cases.write_text(json.dumps(twin_cases(avatar), indent=1) + "\n")
        return
    errors = {f"{step:g}": residual_px(avatar, step) for step in options.steps_deg}
    print("degrees   " + "".join(f"{name:>12}" for name in MOVES))
    for step, row in errors.items():
        print(f"{step:<10}" + "".join(f"{px:9.2f} px" for px in row.values()))
    result = {
        "resolution": avatar.manifest.resolution,
        "residual_px": errors,
        "full_psnr_db": picture_psnr(avatar, options.picture_step_deg),
        "picture_step_deg": options.picture_step_deg,
    }
    print(json.dumps(result))


def residual_px(avatar: Avatar, step_deg: float) -> dict[str, float]:
    """Mean distance between where vertices are shown and where they belong, by way of moving."""
    half = avatar.manifest.resolution / 2
    distances: dict[str, list[float]] = {name: [] for name in MOVES}
    for old, new in eye_pairs(avatar, step_deg):
        verts = visible_vertices(avatar, new)
        before, truth = project(verts, old), project(verts, new)
        for name, move in MOVES.items():
            missed = np.linalg.norm(move(before, old, new) - truth, axis=1)
            distances[name].append(float(missed.mean()) * half)
    return {name: round(float(np.mean(values)), 3) for name, values in distances.items()}


def picture_psnr(avatar: Avatar, step_deg: float) -> dict[str, float]:
    """Old full renders against true ones, where the head is in either picture."""
    renderer = CachedRenderer(avatar)
    errors: dict[str, list[float]] = {name: [] for name in MOVES}
    for old, new in eye_pairs(avatar, step_deg):
        stale, truth = renderer.full(old) / 255.0, renderer.full(new) / 255.0
        head = covered(avatar, old) | covered(avatar, new)
        for name, move in MOVES.items():
            # Moving a picture asks, of each new pixel, where it was: the same move the other way.
            moved = look_up(stale, move(pixel_centres(len(stale)), new, old))
            errors[name].append(float(((moved - truth)[head] ** 2).mean()))
    return {name: round(float(-10 * np.log10(np.mean(v))), 2) for name, v in errors.items()}


def eye_pairs(avatar: Avatar, step_deg: float) -> Iterator[tuple[FrameState, FrameState]]:
    """Eyes around the head, before and after a move."""
    for yaw, pitch in BASES_DEG:
        for turn, nod in ((step_deg, 0), (-step_deg, 0), (0, step_deg), (0, -step_deg)):
            yield eye_at(avatar, yaw, pitch), eye_at(avatar, yaw + turn, pitch + nod)


def eye_at(avatar: Avatar, yaw_deg: float, pitch_deg: float, nearer: float = 1.0) -> FrameState:
    """The neutral face, seen from where the page's orbit stands at these angles."""
    m = avatar.manifest
    x, y, distance_m = m.eye_position
    yaw, pitch = np.deg2rad([yaw_deg, pitch_deg])
    out = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    target = np.array([x, y, 0.0])
    position = (target + out * distance_m * nearer).astype(np.float32)
    state = neutral_state(len(m.expression_names), m.eye_position, m.fov_y_rad)
    return replace(state, eye_position=position, eye_rotation=look_at(position, target))


def visible_vertices(avatar: Avatar, state: FrameState) -> Array:
    """(N, 3) vertices, world, of all triangles that are seen."""
    verts, size = avatar.head.pose(state), avatar.manifest.resolution
    xy, inverse = rasterizer_numba.project(verts, state, size, size)
    seen = rasterizer_numba.rasterize(xy, inverse, avatar.head.faces, size, size)
    triangles = np.unique(seen.triangle[seen.mask > 0])
    return verts[np.unique(avatar.head.faces[triangles])].astype(np.float64)


def covered(avatar: Avatar, state: FrameState) -> NDArray[np.bool_]:
    """(H, W) whether a pixel shows the head."""
    verts, size = avatar.head.pose(state), avatar.manifest.resolution
    xy, inverse = rasterizer_numba.project(verts, state, size, size)
    return rasterizer_numba.rasterize(xy, inverse, avatar.head.faces, size, size).mask > 0


def pixel_centres(size: int) -> Array:
    """(H * W, 2), row by row."""
    along = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(along, -along)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def look_up(picture: Array, points: Array) -> Array:
    """A square picture (H, W, 3) at points (H * W, 2), bilinear, its border carried on outwards."""
    size = len(picture)
    columns = np.clip((points[:, 0] + 1) * size / 2 - 0.5, 0, size - 1.001)
    rows = np.clip((1 - points[:, 1]) * size / 2 - 0.5, 0, size - 1.001)
    left, top = columns.astype(int), rows.astype(int)
    right, low = (columns - left)[:, None], (rows - top)[:, None]
    upper = picture[top, left] * (1 - right) + picture[top, left + 1] * right
    lower = picture[top + 1, left] * (1 - right) + picture[top + 1, left + 1] * right
    return (upper * (1 - low) + lower * low).reshape(picture.shape)


def twin_cases(avatar: Avatar) -> list[dict[str, Any]]:
    """Moves and their outcome, in the page's own words."""
    eyes = [
        (eye_at(avatar, 0, 0), eye_at(avatar, 1, 0)),
        (eye_at(avatar, -20, 10), eye_at(avatar, -17, 8)),
        (eye_at(avatar, 40, -15, 0.75), eye_at(avatar, 36, -15, 0.8)),
    ]
    along = np.linspace(-1.2, 1.2, 5)
    points = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    return [
        {
            "fov_y_rad": old.fov_y_rad,
            "old": _pose(old),
            "now": _pose(new),
            "points": points.round(6).tolist(),
            "moved": reproject(points, old, new, head_surface).round(6).tolist(),
        }
        for old, new in eyes
    ]


def _pose(state: FrameState) -> dict[str, list[float]]:
    return {
        "rotation": [float(x) for x in state.eye_rotation],
        "position": [float(x) for x in state.eye_position],
    }


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
