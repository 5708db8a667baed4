"""Residual error of late reprojection, in pixels and as PSNR.

A frame rendered for one eye is displayed when the eye has rotated by some degrees around the head.
The error is the distance between the position of each visible vertex in the displayed frame and its
true position: without reprojection, with a plane as proxy, and with the ellipsoid that the page
uses. `full_psnr_db` compares images: the old full render, as it is and reprojected, with the full
render of the new pose.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
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

Reproject = Callable[[Array, FrameState, FrameState], Array]

PROXIES: dict[str, Reproject] = {
    "as_it_is": lambda points, old, new: points,
    "plane": lambda points, old, new: reproject(points, old, new, plane_facing(old)),
    "ellipsoid": lambda points, old, new: reproject(points, old, new, head_surface),
}
BASES_DEG = ((0, 0), (-20, 10), (20, -10), (-40, 0), (40, 0), (0, 20), (0, -20))
"""Yaw and pitch of the old eyes around the head."""


@dataclass(frozen=True)
class Reprojection:
    """Residual error of late reprojection, in pixels and as PSNR."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder."""
    steps_deg: tuple[float, ...] = (0.5, 1, 2, 4)
    """Rotations of the eye, in yaw and in pitch, both directions."""
    picture_step_deg: float = 2.0
    """Rotation at which images are compared."""
    test_cases: Path | None = None
    """Write the test cases of the page's implementation to this file, and measure nothing; tests
    read tests/client_web/reprojection.json."""


def reprojection(command: Reprojection) -> dict[str, Any]:
    """Run the benchmark, and print a table of the errors."""
    avatar = load_avatar(command.avatar)
    if command.test_cases is not None:
        cases = make_test_cases(avatar)
        command.test_cases.write_text(json.dumps(cases, indent=1) + "\n")
        return {"test_cases": len(cases)}
    errors = {f"{step:g}": residual_px(avatar, step) for step in command.steps_deg}
    print("degrees   " + "".join(f"{name:>12}" for name in PROXIES))
    for step, row in errors.items():
        print(f"{step:<10}" + "".join(f"{px:9.2f} px" for px in row.values()))
    return {
        "resolution": avatar.manifest.resolution,
        "residual_px": errors,
        "full_psnr_db": image_psnr(avatar, command.picture_step_deg),
        "picture_step_deg": command.picture_step_deg,
    }


def residual_px(avatar: Avatar, step_deg: float) -> dict[str, float]:
    """Return the mean distance, in pixels, of vertices from their true positions, by proxy."""
    half = avatar.manifest.resolution / 2
    distances: dict[str, list[float]] = {name: [] for name in PROXIES}
    for old, new in eye_pairs(avatar, step_deg):
        verts = visible_vertices(avatar, new)
        before, truth = project(verts, old), project(verts, new)
        for name, transform in PROXIES.items():
            residual = np.linalg.norm(transform(before, old, new) - truth, axis=1)
            # Device coordinates span two units, the image twice `half` pixels.
            distances[name].append(float(residual.mean()) * half)
    return {name: round(float(np.mean(values)), 3) for name, values in distances.items()}


def image_psnr(avatar: Avatar, step_deg: float) -> dict[str, float]:
    """Return the PSNR (dB) of old full renders against new ones, on the head, by proxy."""
    renderer = CachedRenderer(avatar)
    errors: dict[str, list[float]] = {name: [] for name in PROXIES}
    for old, new in eye_pairs(avatar, step_deg):
        stale, truth = renderer.full(old) / 255.0, renderer.full(new) / 255.0
        head = covered(avatar, old) | covered(avatar, new)
        for name, transform in PROXIES.items():
            # Each pixel of the new image is looked up in the old one: the inverse reprojection.
            reprojected = look_up(stale, transform(pixel_centres(len(stale)), new, old))
            errors[name].append(float(((reprojected - truth)[head] ** 2).mean()))
    return {name: round(float(-10 * np.log10(np.mean(v))), 2) for name, v in errors.items()}


def eye_pairs(avatar: Avatar, step_deg: float) -> Iterator[tuple[FrameState, FrameState]]:
    """Yield eyes around the head, before and after a rotation by `step_deg`."""
    for yaw, pitch in BASES_DEG:
        for yaw_step, pitch_step in ((step_deg, 0), (-step_deg, 0), (0, step_deg), (0, -step_deg)):
            yield eye_at(avatar, yaw, pitch), eye_at(avatar, yaw + yaw_step, pitch + pitch_step)


def eye_at(avatar: Avatar, yaw_deg: float, pitch_deg: float, distance: float = 1.0) -> FrameState:
    """Return the neutral face, seen from the page's orbit camera.

    Args:
        avatar: The avatar.
        yaw_deg: Yaw of the eye around the head.
        pitch_deg: Pitch of the eye around the head.
        distance: Distance of the eye, as a share of the default distance.
    """
    m = avatar.manifest
    x, y, distance_m = m.eye_position
    yaw, pitch = np.deg2rad([yaw_deg, pitch_deg])
    out = np.array([np.sin(yaw) * np.cos(pitch), np.sin(pitch), np.cos(yaw) * np.cos(pitch)])
    target = np.array([x, y, 0.0])
    position = (target + out * distance_m * distance).astype(np.float32)
    state = neutral_state(len(m.expression_names), m.eye_position, m.fov_y_rad)
    return replace(state, eye_position=position, eye_rotation=look_at(position, target))


def visible_vertices(avatar: Avatar, state: FrameState) -> Array:
    """Return the world positions (N, 3) of the vertices of all visible triangles."""
    verts, size = avatar.head.pose(state), avatar.manifest.resolution
    xy, inverse = rasterizer_numba.project(verts, state, size, size)
    raster = rasterizer_numba.rasterize(xy, inverse, avatar.head.faces, size, size)
    triangles = np.unique(raster.triangle[raster.mask > 0])
    return verts[np.unique(avatar.head.faces[triangles])].astype(np.float64)


def covered(avatar: Avatar, state: FrameState) -> NDArray[np.bool_]:
    """Return whether each pixel (H, W) shows the head."""
    verts, size = avatar.head.pose(state), avatar.manifest.resolution
    xy, inverse = rasterizer_numba.project(verts, state, size, size)
    return rasterizer_numba.rasterize(xy, inverse, avatar.head.faces, size, size).mask > 0


def pixel_centres(size: int) -> Array:
    """Return the centres of all pixels (H * W, 2), in normalized device coordinates, row-major."""
    along = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(along, -along)
    return np.stack([x.ravel(), y.ravel()], axis=1)


def look_up(image: Array, points: Array) -> Array:
    """Sample a square image (H, W, 3) at points (H * W, 2): bilinear, clamped to the border."""
    size = len(image)
    # Below the last pixel, so that there is a next one.
    columns = np.clip((points[:, 0] + 1) * size / 2 - 0.5, 0, size - 1.001)
    rows = np.clip((1 - points[:, 1]) * size / 2 - 0.5, 0, size - 1.001)
    left, top = columns.astype(int), rows.astype(int)
    right, low = (columns - left)[:, None], (rows - top)[:, None]
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    sampled: Array = (upper * (1 - low) + lower * low).reshape(image.shape)
    return sampled


def make_test_cases(avatar: Avatar) -> list[dict[str, Any]]:
    """Return test cases for the page's implementation: views, points and reprojected points."""
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
