"""The rasterizer of the latency path: triangles to pixels on one core, without the interpreter
lock.

The plain twin is `rasterizer.py`; both make the same pictures, to the bit. Rules: screen positions
snapped to 1/256 pixel, integer edge functions with the top-left rule (no cracks, no double hits),
the nearest triangle wins, and of two equally near ones that with the lower index.
"""

from __future__ import annotations

from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState
from models.geometry.camera import focal_px, world_to_camera
from models.geometry.rasterizer import Fragments

SUBPIXELS = 256
_LIMIT = 1 << 20
"""Snapped positions are held within this many pixels, so that edge functions fit 64 bits."""


def project(
    verts: FloatArray, state: FrameState, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The vertex stage: world positions to snapped screen positions.

    Args:
        verts: (V, 3) metres, world.
        state: Whose eye looks.
        height: Rows of the picture.
        width: Columns of the picture.

    Returns:
        (V, 2) x and y in 1/256 pixels, and (V,) 1/depth in 1/metres, 0 where not to be drawn.
    """
    rotation, translation = world_to_camera(state)
    focal = focal_px(state.fov_y_rad, height)
    return _project(verts, rotation, translation, focal, float(height), float(width))


def rasterize(
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    height: int,
    width: int,
) -> Fragments:
    """Which triangle each pixel's centre sees. Arguments and result as `rasterizer.rasterize`."""
    triangle = np.full((height, width), -1, np.int32)
    inverse = np.zeros((height, width), np.float32)
    rasterize_rows(xy, inverse_depth, faces, 0, height, triangle, inverse)
    return Fragments(triangle, inverse)


@njit(cache=True, nogil=True)
def _project(
    verts: FloatArray,
    rotation: NDArray[np.float64],
    translation: NDArray[np.float64],
    focal: float,
    height: float,
    width: float,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    count = verts.shape[0]
    xy = np.zeros((count, 2), np.int64)
    inverse = np.zeros(count, np.float64)
    for v in range(count):
        px, py, pz = np.float64(verts[v, 0]), np.float64(verts[v, 1]), np.float64(verts[v, 2])
        x = rotation[0, 0] * px + rotation[0, 1] * py + rotation[0, 2] * pz + translation[0]
        y = rotation[1, 0] * px + rotation[1, 1] * py + rotation[1, 2] * pz + translation[1]
        z = rotation[2, 0] * px + rotation[2, 1] * py + rotation[2, 2] * pz + translation[2]
        if -z <= 0.02:  # camera.NEAR_M
            continue
        inverse[v] = -1.0 / z
        sx = width / 2 + focal * x * inverse[v]
        sy = height / 2 - focal * y * inverse[v]
        xy[v, 0] = floor(min(max(sx, -_LIMIT), _LIMIT) * SUBPIXELS + 0.5)
        xy[v, 1] = floor(min(max(sy, -_LIMIT), _LIMIT) * SUBPIXELS + 0.5)
    return xy, inverse


@njit(cache=True, nogil=True)
def rasterize_rows(
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    top: int,
    bottom: int,
    triangle: NDArray[np.int32],
    inverse: NDArray[np.float32],
) -> None:
    """`rasterize`, for the rows from `top` up to `bottom`, into buffers of the caller.

    There, `triangle` (H, W) must hold -1 and `inverse` (H, W) 0 beforehand.
    """
    width = triangle.shape[1]
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        wa, wb, wc = inverse_depth[a], inverse_depth[b], inverse_depth[c]
        if wa <= 0 or wb <= 0 or wc <= 0:
            continue
        # Counter-clockwise from outside is clockwise on a screen whose y points down: b and c swap.
        ax, ay = xy[a, 0], xy[a, 1]
        bx, by = xy[c, 0], xy[c, 1]
        cx, cy = xy[b, 0], xy[b, 1]
        wb, wc = wc, wb
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area <= 0:
            continue
        x0 = max((min(ax, bx, cx) + 127) >> 8, 0)
        x1 = min((max(ax, bx, cx) - 128) >> 8, width - 1)
        y0 = max((min(ay, by, cy) + 127) >> 8, top)
        y1 = min((max(ay, by, cy) - 128) >> 8, bottom - 1)
        if x0 > x1 or y0 > y1:
            continue
        # Edge functions at the first pixel's centre; each is the doubled area towards the far
        # corner.
        px, py = x0 * 256 + 128, y0 * 256 + 128
        dax, day = cx - bx, cy - by
        dbx, dby = ax - cx, ay - cy
        dcx, dcy = bx - ax, by - ay
        ea_row = dax * (py - by) - day * (px - bx)
        eb_row = dbx * (py - cy) - dby * (px - cx)
        ec_row = dcx * (py - ay) - dcy * (px - ax)
        # Top-left rule: a pixel centre on any other edge belongs to the neighbour.
        ta = 0 if (day < 0 or (day == 0 and dax > 0)) else 1
        tb = 0 if (dby < 0 or (dby == 0 and dbx > 0)) else 1
        tc = 0 if (dcy < 0 or (dcy == 0 and dcx > 0)) else 1
        for y in range(y0, y1 + 1):
            ea, eb, ec = ea_row, eb_row, ec_row
            for x in range(x0, x1 + 1):
                if ((ea - ta) | (eb - tb) | (ec - tc)) >= 0:  # one sign, hence one branch
                    w = np.float32((ea * wa + eb * wb + ec * wc) / area)
                    if w > inverse[y, x]:
                        inverse[y, x] = w
                        triangle[y, x] = f
                ea -= day * 256
                eb -= dby * 256
                ec -= dcy * 256
            ea_row += dax * 256
            eb_row += dbx * 256
            ec_row += dcx * 256


@njit(cache=True, nogil=True)
def barycentrics(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Perspective-correct weights of the seen triangle's corners. Twin: `rasterizer.barycentrics`.

    Returns:
        (H, W, 3), summing to 1; zero where nothing is seen.
    """
    height, width = triangle.shape
    weights = np.zeros((height, width, 3), np.float32)
    for y in range(height):
        for x in range(width):
            f = triangle[y, x]
            if f >= 0:
                wa, wb, wc = corner_weights(x, y, f, xy, inverse_depth, faces)
                weights[y, x, 0], weights[y, x, 1], weights[y, x, 2] = wa, wb, wc
    return weights


@njit(cache=True, nogil=True, inline="always")
def corner_weights(
    x: int,
    y: int,
    f: int,
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
) -> tuple[float, float, float]:
    """Perspective-correct weights of triangle `f`'s corners at the centre of pixel (x, y)."""
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    px, py = x * 256 + 128, y * 256 + 128
    ea = (xy[b, 0] - px) * (xy[c, 1] - py) - (xy[b, 1] - py) * (xy[c, 0] - px)
    eb = (xy[c, 0] - px) * (xy[a, 1] - py) - (xy[c, 1] - py) * (xy[a, 0] - px)
    ec = (xy[a, 0] - px) * (xy[b, 1] - py) - (xy[a, 1] - py) * (xy[b, 0] - px)
    wa, wb, wc = ea * inverse_depth[a], eb * inverse_depth[b], ec * inverse_depth[c]
    total = wa + wb + wc
    return wa / total, wb / total, wc / total


@njit(cache=True, nogil=True, inline="always")
def texture_span(
    y: int,
    f: int,
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
    uvs: FloatArray,
    uv_faces: NDArray[np.int32],
) -> tuple[float, float, float, float, float, float]:
    """Texture coordinates along a row of a triangle, as fractions of lines.

    For neighbouring pixels of one triangle this is cheaper than `corner_weights` for each.

    Returns:
        u0, ux, v0, vx, w0, wx: at the centre of pixel (x, y), u is (u0 + ux x) / (w0 + wx x) and v
        is (v0 + vx x) / (w0 + wx x), both in [0, 1].
    """
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    ta, tb, tc = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
    bx, by = float(xy[b, 0] - xy[a, 0]), float(xy[b, 1] - xy[a, 1])
    cx, cy = float(xy[c, 0] - xy[a, 0]), float(xy[c, 1] - xy[a, 1])
    py = float(y * 256 + 128 - xy[a, 1])
    # Each edge function, over the far corner's depth, is a line along the row.
    ax1 = (by - cy) * inverse_depth[a]
    ax0 = (bx * cy - by * cx + py * (cx - bx)) * inverse_depth[a]
    bx1, bx0 = cy * inverse_depth[b], -cx * py * inverse_depth[b]
    cx1, cx0 = -by * inverse_depth[c], bx * py * inverse_depth[c]
    start = float(128 - xy[a, 0])
    ux = ax1 * uvs[ta, 0] + bx1 * uvs[tb, 0] + cx1 * uvs[tc, 0]
    u0 = ax0 * uvs[ta, 0] + bx0 * uvs[tb, 0] + cx0 * uvs[tc, 0] + ux * start
    vx = ax1 * uvs[ta, 1] + bx1 * uvs[tb, 1] + cx1 * uvs[tc, 1]
    v0 = ax0 * uvs[ta, 1] + bx0 * uvs[tb, 1] + cx0 * uvs[tc, 1] + vx * start
    wx = ax1 + bx1 + cx1
    w0 = ax0 + bx0 + cx0 + wx * start
    return u0, 256 * ux, v0, 256 * vx, w0, 256 * wx
