"""What every pixel sees of the surface: UV, normal, mirror direction. The input of all networks.

`render_gbuffer` is the fast path (numba, one core, no interpreter lock); `render_gbuffer_plain` the
same in plain torch.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState
from models.geometry import rasterizer, rasterizer_numba
from models.geometry.camera import focal_px, quaternion_to_matrix
from models.geometry.head import Head, vertex_normals
from models.geometry.surface_points import VisiblePoints, find_visible_points, screen_points

SURFACE_CHANNELS = 8
SOFT_MAX = 16
"""Sum of the tent filter's weights, by which a pixel's coverage is softened."""


class GBuffer(NamedTuple):
    """A posed head as one eye sees it."""

    uv: FloatArray
    """(H, W, 2) texture coordinates in [-1, 1], x first, as `F.grid_sample` takes; 0 off the
    head."""
    surface: FloatArray
    """(H, W, 8): soft coverage 0..1, unit normal (3), unit mirror direction of the line of sight
    (3), and the cosine between normal and line of sight (1). World axes, since the lights stand in
    the world. Off the head all but the soft coverage are 0."""
    visible: VisiblePoints
    """Of the same window."""
    points: FloatArray
    """(V, 3) where the whole picture shows the vertices, see `screen_points`."""


class Geometry(NamedTuple):
    """A head after the vertex stage, ready for pixels."""

    xy: NDArray[np.int64]
    """(V, 2) screen positions, 1/256 pixels."""
    inverse_depth: NDArray[np.float64]
    """(V,) 1/metres."""
    normals: FloatArray
    """(V, 3) unit vectors, world."""
    sight: NDArray[np.float64]
    """(3, 3) maps (x_px, y_px, 1) of a picture point to the direction from it to the eye, world."""


class Window(NamedTuple):
    """A part of the picture, in pixels."""

    top: int
    left: int
    height: int
    width: int


def pose_geometry(head: Head, state: FrameState, size: int) -> Geometry:
    """Run the vertex stage for a square picture of `size` pixels a side."""
    verts = head.pose(state)
    xy, inverse_depth = rasterizer_numba.project(verts, state, size, size)
    normals = vertex_normals(verts, head.faces)
    return Geometry(xy, inverse_depth, normals, view_direction_matrix(state, size))


def view_direction_matrix(state: FrameState, size: int) -> NDArray[np.float64]:
    """(3, 3): turns a picture point (x_px, y_px, 1) into the direction from it to the eye,
    world."""
    focal = focal_px(state.fov_y_rad, size)
    to_camera = np.array([[-1, 0, size / 2], [0, 1, -size / 2], [0, 0, focal]])
    return np.asarray(quaternion_to_matrix(state.eye_rotation) @ to_camera)


def render_gbuffer(
    head: Head, state: FrameState, size: int, window: Window | None = None
) -> GBuffer:
    """Draw a head into a square picture.

    Args:
        head: The head.
        state: Its pose and shape, and the eye.
        size: Rows and columns of the whole picture.
        window: The part wanted, from an even row and column; all of it by default.

    Returns:
        The buffers, of the window's size.
    """
    geometry = pose_geometry(head, state, size)
    fragments = rasterizer_numba.rasterize(
        geometry.xy, geometry.inverse_depth, head.faces, size, size
    )
    top, left, height, width = window or Window(0, 0, size, size)
    uv = np.zeros((height, width, 2), np.float32)
    surface = np.zeros((height, width, SURFACE_CHANNELS), np.float32)
    soft = np.zeros((size, size), np.uint8)
    soften_rows(fragments.triangle, 0, size, soft)
    surface[..., 0] = soft[top : top + height, left : left + width] / np.float32(SOFT_MAX)
    _resolve(
        fragments.triangle, *geometry, head.faces, head.uvs, head.uv_faces, top, left, uv, surface
    )
    seen = find_visible_points(fragments.triangle, geometry.xy, geometry.inverse_depth, head.faces)
    half = np.s_[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
    points = screen_points(geometry.xy, geometry.inverse_depth)
    return GBuffer(uv, surface, VisiblePoints(seen.corners[half], seen.weights[half]), points)


def render_gbuffer_plain(head: Head, state: FrameState, size: int) -> GBuffer:
    """The whole picture by the plain rasterizer; what `render_gbuffer` is compared with."""
    verts = head.pose(state)
    xy, inverse_depth = rasterizer.project(verts, state, size, size)
    triangle = rasterizer.rasterize(xy, inverse_depth, head.faces, size, size).triangle
    weights = rasterizer.barycentrics(triangle, xy, inverse_depth, head.faces)[..., None]
    mask = triangle >= 0
    normals = vertex_normals(verts, head.faces)
    normal = _unit((weights * normals[head.faces[triangle]]).sum(axis=2))
    uv = (weights * head.uvs[head.uv_faces[triangle]]).sum(axis=2) * 2 - 1
    rows, columns = np.mgrid[:size, :size] + 0.5
    points = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    to_eye = _unit(points @ view_direction_matrix(state, size).T)
    facing = (normal * to_eye).sum(axis=-1, keepdims=True)
    mirror = 2 * facing * normal - to_eye
    lit = np.concatenate([normal, mirror, facing], axis=-1)
    shown = mask[..., None]
    padded = np.pad(mask.astype(float), 1, mode="edge")
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    soft = (across[:-2] + 2 * across[1:-1] + across[2:]) / SOFT_MAX
    surface = np.concatenate([soft[..., None], np.where(shown, lit, 0)], axis=-1)
    seen = _first_of_four(np.where(mask[..., None], head.faces[triangle], 0), mask)
    first_weights = _first_of_four(weights[..., 0], mask)
    return GBuffer(
        np.where(shown, uv, 0).astype(np.float32),
        surface.astype(np.float32),
        VisiblePoints(seen.astype(np.int32), first_weights.astype(np.float32)),
        screen_points(xy, inverse_depth),
    )


def _first_of_four(values: NDArray[Any], shown: NDArray[np.bool_]) -> NDArray[Any]:
    """(H/2, W/2, C): of each 2x2 pixels the values (H, W, C) of the first one shown (H, W)."""
    parts = [values[y::2, x::2] for y in (1, 0) for x in (1, 0)]
    first = parts[0]
    for part, on in zip(
        parts[1:], (shown[1::2, ::2], shown[::2, 1::2], shown[::2, ::2]), strict=True
    ):
        first = np.where(on[..., None], part, first)
    return first


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, 1e-12))


@njit(cache=True, nogil=True)
def soften_rows(
    triangle: NDArray[np.int32], top: int, bottom: int, soft: NDArray[np.uint8]
) -> None:
    """Blur whether pixels see the head by a 3x3 tent, for networks to draw smooth outlines with.

    Whether a pixel's centre is covered says nothing of how far the outline is from it; how many of
    its neighbours are does.

    Args:
        triangle: (H, W) seen triangles, -1 for none; one more row on either side is looked at.
        top: The first row.
        bottom: The row after the last.
        soft: (H, W) filled in these rows, 0 to 16.
    """
    height, width = triangle.shape
    column = np.zeros(width + 2, np.uint8)
    for y in range(top, bottom):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            column[x + 1] = (
                np.uint8(triangle[above, x] >= 0)
                + 2 * np.uint8(triangle[y, x] >= 0)
                + np.uint8(triangle[below, x] >= 0)
            )
        column[0], column[width + 1] = column[1], column[width]
        for x in range(width):
            soft[y, x] = column[x] + 2 * column[x + 1] + column[x + 2]


@njit(cache=True, nogil=True)
def _resolve(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    normals: FloatArray,
    sight: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    top: int,
    left: int,
    uv: FloatArray,
    surface: FloatArray,
) -> None:
    for row in range(uv.shape[0]):
        for column in range(uv.shape[1]):
            y, x = row + top, column + left
            f = triangle[y, x]
            if f < 0:
                continue
            a, b, c = rasterizer_numba.corner_weights(x, y, f, xy, inverse_depth, faces)
            uv[row, column, 0], uv[row, column, 1] = interpolate_uv(f, a, b, c, uvs, uv_faces)
            nx, ny, nz = interpolate_normal(f, a, b, c, normals, faces)
            ex, ey, ez = view_direction_of(x, y, sight)
            facing = nx * ex + ny * ey + nz * ez
            surface[row, column, 1] = nx
            surface[row, column, 2] = ny
            surface[row, column, 3] = nz
            surface[row, column, 4] = 2 * facing * nx - ex
            surface[row, column, 5] = 2 * facing * ny - ey
            surface[row, column, 6] = 2 * facing * nz - ez
            surface[row, column, 7] = facing


@njit(cache=True, nogil=True, inline="always")
def interpolate_uv(
    f: int, a: float, b: float, c: float, uvs: FloatArray, uv_faces: NDArray[np.int32]
) -> tuple[float, float]:
    """Texture coordinates in [-1, 1] of a point of triangle `f` with corner weights a, b, c."""
    ta, tb, tc = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
    u = (a * uvs[ta, 0] + b * uvs[tb, 0] + c * uvs[tc, 0]) * 2 - 1
    v = (a * uvs[ta, 1] + b * uvs[tb, 1] + c * uvs[tc, 1]) * 2 - 1
    return u, v


@njit(cache=True, nogil=True, inline="always")
def interpolate_normal(
    f: int, a: float, b: float, c: float, normals: FloatArray, faces: NDArray[np.int32]
) -> tuple[float, float, float]:
    """Unit normal of a point of triangle `f` with corner weights a, b, c."""
    va, vb, vc = faces[f, 0], faces[f, 1], faces[f, 2]
    x = a * normals[va, 0] + b * normals[vb, 0] + c * normals[vc, 0]
    y = a * normals[va, 1] + b * normals[vb, 1] + c * normals[vc, 1]
    z = a * normals[va, 2] + b * normals[vb, 2] + c * normals[vc, 2]
    scale = 1 / max(np.sqrt(x * x + y * y + z * z), 1e-12)
    return x * scale, y * scale, z * scale


@njit(cache=True, nogil=True, inline="always")
def view_direction_of(x: int, y: int, sight: NDArray[np.float64]) -> tuple[float, float, float]:
    """Unit direction from what pixel (x, y) sees to the eye, world."""
    px, py = x + 0.5, y + 0.5
    ex = sight[0, 0] * px + sight[0, 1] * py + sight[0, 2]
    ey = sight[1, 0] * px + sight[1, 1] * py + sight[1, 2]
    ez = sight[2, 0] * px + sight[2, 1] * py + sight[2, 2]
    scale = 1 / np.sqrt(ex * ex + ey * ey + ez * ez)
    return ex * scale, ey * scale, ez * scale
