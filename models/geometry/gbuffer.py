"""The G-buffer, input of all networks: UV, normal and reflection vector of each pixel's surface.

`render_gbuffer` is the fast path (numba, one core, releases the interpreter lock);
`render_gbuffer_plain` is the same in plain numpy and torch, for tests.
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
from models.geometry.silhouettes import COVER_MAX
from models.geometry.silhouettes import blend_edges as blend_edges_plain
from models.geometry.silhouettes_numba import allocate_edges, blend_edges
from models.geometry.surface_points import VisiblePoints, find_visible_points, screen_points

SURFACE_CHANNELS = 8
"""Soft coverage, normal (3), reflection vector (3), cosine: the channels of `GBuffer.surface`."""
SOFT_MAX = 16 * COVER_MAX
"""Greatest soft coverage: a 3x3 tent filter (1 2 1 by 1 2 1) of cover."""
_TINY = 1e-12
"""Least length that a vector is divided by: degenerate normals become 0, not NaN."""


class GBuffer(NamedTuple):
    """A posed head, rasterized for one camera."""

    uv: FloatArray
    """(H, W, 2) texture coordinates in [-1, 1], x first, as `F.grid_sample` takes; 0 off the
    head."""
    surface: FloatArray
    """(H, W, 8): soft coverage 0..1, unit normal (3), unit reflection vector of the view direction
    (3), and the cosine between normal and view direction (1). World axes, because the lights are
    fixed in the world. All but the soft coverage are 0 off the head."""
    visible: VisiblePoints
    """Surface points of the same window, at half resolution."""
    points: FloatArray
    """(V, 3) vertices on screen in the whole image, as `screen_points` returns them."""
    blend: NDArray[np.uint8]
    """(H, W) how pixels mix at silhouettes, as `EdgeBlends.blend`."""


class Geometry(NamedTuple):
    """A head after the vertex stage."""

    xy: NDArray[np.int64]
    """(V, 2) screen positions, 1/256 pixels."""
    inverse_depth: NDArray[np.float64]
    """(V,) 1/metres."""
    normals: FloatArray
    """(V, 3) unit vectors, world."""
    view_directions: NDArray[np.float64]
    """(3, 3), see `view_direction_matrix`."""


class RasterizedHead(NamedTuple):
    """A head after rasterization, as the kernels of the latency path take it."""

    triangle: NDArray[np.int32]
    """(H, W) visible triangles, -1 off the head."""
    blend: NDArray[np.uint8]
    """(H, W) how pixels mix at silhouettes, as `EdgeBlends.blend`."""
    soft: NDArray[np.uint8]
    """(H, W) softened cover, see `soften_rows`."""
    geometry: Geometry
    head: Head
    """Gives the topology."""


class Window(NamedTuple):
    """A crop of the image, in pixels."""

    top: int
    left: int
    height: int
    width: int


def pose_geometry(head: Head, state: FrameState, size: int) -> Geometry:
    """Run the vertex stage for a square image of `size` pixels a side.

    Raises:
        HeadError: If the state does not fit the head.
    """
    verts = head.pose(state)
    xy, inverse_depth = rasterizer_numba.project(verts, state, size, size)
    # Of the posed mesh: jaw, eyes and neck turn with their own joints.
    normals = vertex_normals(verts, head.faces)
    return Geometry(xy, inverse_depth, normals, view_direction_matrix(state, size))


def view_direction_matrix(state: FrameState, size: int) -> NDArray[np.float64]:
    """Return the matrix from image positions to view directions.

    Returns:
        (3, 3): maps (x_px, y_px, 1) to the direction from the surface to the eye, world axes, not
        normalised.
    """
    focal = focal_px(state.fov_y_rad, size)
    # Minus the camera-space ray of a pixel, (x - size / 2, size / 2 - y, -focal).
    to_camera = np.array([[-1, 0, size / 2], [0, 1, -size / 2], [0, 0, focal]])
    return np.asarray(quaternion_to_matrix(state.eye_rotation) @ to_camera)


def render_gbuffer(
    head: Head, state: FrameState, size: int, window: Window | None = None
) -> GBuffer:
    """Rasterize a head into a square G-buffer.

    Args:
        head: The head.
        state: Its pose and shape, and the camera.
        size: Rows and columns of the whole image.
        window: The crop to return; must start at an even row and column. The whole image by
            default.

    Returns:
        The buffers, of the window's size.

    Raises:
        HeadError: If the state does not fit the head.
    """
    geometry = pose_geometry(head, state, size)
    fragments = rasterizer_numba.rasterize(
        geometry.xy, geometry.inverse_depth, head.faces, size, size
    )
    top, left, height, width = window or Window(0, 0, size, size)
    uv = np.zeros((height, width, 2), np.float32)
    surface = np.zeros((height, width, SURFACE_CHANNELS), np.float32)
    edges, soft = allocate_edges(size), np.zeros((size, size), np.uint8)
    blend_edges(head.edges, head.faces, geometry.xy, geometry.inverse_depth, *fragments, edges)
    # Softened before cropping: pixels at the edge of a window need their neighbours outside of it.
    soften_rows(edges.cover, 0, size, soft)
    crop = np.s_[top : top + height, left : left + width]
    surface[..., 0] = soft[crop] / np.float32(SOFT_MAX)
    _resolve(
        fragments.triangle, *geometry, head.faces, head.uvs, head.uv_faces, top, left, uv, surface
    )
    visible = find_visible_points(
        fragments.triangle, geometry.xy, geometry.inverse_depth, head.faces
    )
    # The window starts at an even row and column, so no 2x2 pixels straddle its edge.
    half = np.s_[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
    points = screen_points(geometry.xy, geometry.inverse_depth)
    visible = VisiblePoints(visible.corners[half], visible.weights[half])
    return GBuffer(uv, surface, visible, points, edges.blend[crop])


def render_gbuffer_plain(head: Head, state: FrameState, size: int) -> GBuffer:
    """Rasterize the whole image with the plain rasterizer, as a reference for `render_gbuffer`."""
    verts = head.pose(state)
    xy, inverse_depth = rasterizer.project(verts, state, size, size)
    fragments = rasterizer.rasterize(xy, inverse_depth, head.faces, size, size)
    triangle = fragments.triangle
    weights = rasterizer.barycentrics(triangle, xy, inverse_depth, head.faces)[..., None]
    mask = triangle >= 0
    normals = vertex_normals(verts, head.faces)
    normal = _unit((weights * normals[head.faces[triangle]]).sum(axis=2))
    uv = (weights * head.uvs[head.uv_faces[triangle]]).sum(axis=2) * 2 - 1
    rows, columns = np.mgrid[:size, :size] + 0.5
    points = np.stack([columns, rows, np.ones_like(rows)], axis=-1)
    to_eye = _unit(points @ view_direction_matrix(state, size).T)
    facing = (normal * to_eye).sum(axis=-1, keepdims=True)
    reflection = 2 * facing * normal - to_eye
    directions = np.concatenate([normal, reflection, facing], axis=-1)
    covered = mask[..., None]
    blend, cover = blend_edges_plain(head.edges, head.faces, xy, inverse_depth, fragments)
    # "edge", because a head that leaves the image has no outline at the image's edge.
    padded = np.pad(cover.astype(float), 1, mode="edge")
    across = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    soft = (across[:-2] + 2 * across[1:-1] + across[2:]) / SOFT_MAX
    surface = np.concatenate([soft[..., None], np.where(covered, directions, 0)], axis=-1)
    corners = _first_of_four(np.where(covered, head.faces[triangle], 0), mask)
    first_weights = _first_of_four(weights[..., 0], mask)
    return GBuffer(
        np.where(covered, uv, 0).astype(np.float32),
        surface.astype(np.float32),
        VisiblePoints(corners.astype(np.int32), first_weights.astype(np.float32)),
        screen_points(xy, inverse_depth),
        blend,
    )


def _first_of_four(values: NDArray[Any], covered: NDArray[np.bool_]) -> NDArray[Any]:
    """Reduce each 2x2 pixels to the first covered one, else to the last.

    Args:
        values: (H, W, C) values per pixel.
        covered: (H, W) pixels that show the head.

    Returns:
        (H/2, W/2, C).
    """
    parts = [values[y::2, x::2] for y in (1, 0) for x in (1, 0)]
    first = parts[0]
    for part, on in zip(
        parts[1:], (covered[1::2, ::2], covered[::2, 1::2], covered[::2, ::2]), strict=True
    ):
        first = np.where(on[..., None], part, first)
    return first


def _unit(vectors: NDArray[np.floating]) -> NDArray[np.floating]:
    """Normalise (..., 3) vectors."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(length, _TINY))


@njit(cache=True, nogil=True)
def soften_rows(cover: NDArray[np.uint8], top: int, bottom: int, soft: NDArray[np.uint8]) -> None:
    """Blur the cover of pixels with a 3x3 tent filter.

    Networks need it to render smooth outlines: the cover of a pixel gives the distance of the
    outline only where that passes through the pixel; the cover of its neighbours does so further
    away.

    Args:
        cover: (H, W) of `EdgeBlends.cover`. One row beyond either end is read.
        top: The first row.
        bottom: The row after the last.
        soft: (H, W) filled in these rows with 0..`SOFT_MAX`.
    """
    height, width = cover.shape
    column = np.zeros(width + 2, np.uint8)
    for y in range(top, bottom):
        above, below = max(y - 1, 0), min(y + 1, height - 1)
        for x in range(width):
            column[x + 1] = cover[above, x] + 2 * cover[y, x] + cover[below, x]
        # Repeated, because a head that leaves the image has no outline at the image's edge.
        column[0], column[width + 1] = column[1], column[width]
        for x in range(width):
            soft[y, x] = column[x] + 2 * column[x + 1] + column[x + 2]


@njit(cache=True, nogil=True)
def _resolve(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    normals: FloatArray,
    view_directions: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
    top: int,
    left: int,
    uv: FloatArray,
    surface: FloatArray,
) -> None:
    """Shade all covered pixels of a window: UV, normal, reflection vector and cosine.

    Args:
        triangle: (H, W) visible triangles of the whole image, -1 off the head.
        xy: (V, 2) screen positions, 1/256 pixels.
        inverse_depth: (V,) inverse depths, 1/metres.
        normals: (V, 3) unit normals, world axes.
        view_directions: (3, 3) matrix from image positions to view directions, see
            `view_direction_matrix`.
        faces: (F, 3) vertices of each triangle.
        uvs: (T, 2) texture coordinates, 0..1.
        uv_faces: (F, 3) rows of `uvs` for the corners of each triangle.
        top: First row of the window.
        left: First column of the window.
        uv: (h, w, 2) filled where covered.
        surface: (h, w, 8) filled where covered, but for the soft coverage.
    """
    for row in range(uv.shape[0]):
        for column in range(uv.shape[1]):
            y, x = row + top, column + left
            f = triangle[y, x]
            if f < 0:
                continue
            a, b, c = rasterizer_numba.corner_weights(x, y, f, xy, inverse_depth, faces)
            uv[row, column, 0], uv[row, column, 1] = interpolate_uv(f, a, b, c, uvs, uv_faces)
            normal = interpolate_normal(f, a, b, c, normals, faces)
            reflection, facing = reflect_view(normal, x, y, view_directions)
            for i in range(3):
                surface[row, column, 1 + i] = normal[i]
                surface[row, column, 4 + i] = reflection[i]
            surface[row, column, 7] = facing


@njit(cache=True, nogil=True, inline="always")
def interpolate_uv(
    f: int, a: float, b: float, c: float, uvs: FloatArray, uv_faces: NDArray[np.int32]
) -> tuple[float, float]:
    """Return texture coordinates in [-1, 1] at corner weights a, b, c of triangle `f`."""
    ta, tb, tc = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
    u = (a * uvs[ta, 0] + b * uvs[tb, 0] + c * uvs[tc, 0]) * 2 - 1
    v = (a * uvs[ta, 1] + b * uvs[tb, 1] + c * uvs[tc, 1]) * 2 - 1
    return u, v


@njit(cache=True, nogil=True, inline="always")
def interpolate_normal(
    f: int, a: float, b: float, c: float, normals: FloatArray, faces: NDArray[np.int32]
) -> tuple[float, float, float]:
    """Return the unit normal at corner weights a, b, c of triangle `f`, world axes."""
    va, vb, vc = faces[f, 0], faces[f, 1], faces[f, 2]
    x = a * normals[va, 0] + b * normals[vb, 0] + c * normals[vc, 0]
    y = a * normals[va, 1] + b * normals[vb, 1] + c * normals[vc, 1]
    z = a * normals[va, 2] + b * normals[vb, 2] + c * normals[vc, 2]
    scale = 1 / max(np.sqrt(x * x + y * y + z * z), _TINY)
    return x * scale, y * scale, z * scale


@njit(cache=True, nogil=True, inline="always")
def reflect_view(
    normal: tuple[float, float, float], x: int, y: int, view_directions: NDArray[np.float64]
) -> tuple[tuple[float, float, float], float]:
    """Mirror the view direction of pixel (x, y) at a unit normal.

    Returns:
        The unit reflection vector, world axes, and the cosine between normal and view direction.
    """
    nx, ny, nz = normal
    ex, ey, ez = view_direction_of(x, y, view_directions)
    facing = nx * ex + ny * ey + nz * ez
    return (2 * facing * nx - ex, 2 * facing * ny - ey, 2 * facing * nz - ez), facing


@njit(cache=True, nogil=True, inline="always")
def view_direction_of(
    x: int, y: int, view_directions: NDArray[np.float64]
) -> tuple[float, float, float]:
    """Return the unit vector from the surface at pixel (x, y) to the eye, world axes."""
    m = view_directions
    px, py = x + 0.5, y + 0.5
    ex = m[0, 0] * px + m[0, 1] * py + m[0, 2]
    ey = m[1, 0] * px + m[1, 1] * py + m[1, 2]
    ez = m[2, 0] * px + m[2, 1] * py + m[2, 2]
    scale = 1 / np.sqrt(ex * ex + ey * ey + ez * ez)
    return ex * scale, ey * scale, ez * scale
