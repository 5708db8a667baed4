"""The rasterizer of the latency path, on one core, without the interpreter lock.

Its results equal those of the reference `rasterizer.py` to the bit. Rules: screen positions are
snapped to 1/256 pixel, integer edge functions with the top-left rule (no cracks, no double hits),
the nearest triangle wins, and of two at the same depth that with the lower index.
"""

from __future__ import annotations

from math import floor

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState
from models.geometry.camera import NEAR_M, focal_px, world_to_camera
from models.geometry.rasterizer import CENTRE, LIMIT_PX, SUBPIXEL_BITS, SUBPIXELS, Fragments


def project(
    verts: FloatArray, state: FrameState, height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Run the vertex stage: project vertices and snap them to 1/256 pixel.

    Args:
        verts: (V, 3) metres, world.
        state: Gives the camera.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        (V, 2) x and y in 1/256 pixels, and (V,) 1/depth in 1/metres, 0 for culled
        vertices.
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
    """Find the nearest triangle at each pixel's centre.

    Args:
        xy: (V, 2) screen positions in 1/256 pixels.
        inverse_depth: (V,) 1/depth; triangles with a corner at 0 are culled.
        faces: (F, 3), counter-clockwise seen from outside; back faces are culled.
        height: Rows of the image.
        width: Columns of the image.

    Returns:
        The fragments, as `rasterizer.rasterize` returns them.
    """
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
    """`project` for a camera given by its matrices."""
    # In float64, because snapped positions must equal those of the reference rasterizer.
    count = verts.shape[0]
    xy = np.zeros((count, 2), np.int64)
    inverse = np.zeros(count, np.float64)
    for v in range(count):
        px, py, pz = np.float64(verts[v, 0]), np.float64(verts[v, 1]), np.float64(verts[v, 2])
        x = rotation[0, 0] * px + rotation[0, 1] * py + rotation[0, 2] * pz + translation[0]
        y = rotation[1, 0] * px + rotation[1, 1] * py + rotation[1, 2] * pz + translation[1]
        z = rotation[2, 0] * px + rotation[2, 1] * py + rotation[2, 2] * pz + translation[2]
        # Cameras look along -Z; a vertex nearer than that keeps 1/depth = 0, which culls its
        # triangles.
        if -z <= NEAR_M:
            continue
        inverse[v] = -1.0 / z
        sx = width / 2 + focal * x * inverse[v]
        sy = height / 2 - focal * y * inverse[v]
        # Clamped, so that products of two differences fit 64 bits.
        xy[v, 0] = floor(min(max(sx, -LIMIT_PX), LIMIT_PX) * SUBPIXELS + 0.5)
        xy[v, 1] = floor(min(max(sy, -LIMIT_PX), LIMIT_PX) * SUBPIXELS + 0.5)
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
    """Rasterize some rows into buffers of the caller, by the rules of `rasterize`.

    One loop over triangles on purpose: each sets up its edge functions once and steps them by
    additions from pixel to pixel.

    Args:
        xy: (V, 2) screen positions in 1/256 pixels.
        inverse_depth: (V,) 1/depth; triangles with a corner at 0 are culled.
        faces: (F, 3) vertices of each triangle.
        top: The first row.
        bottom: The row after the last.
        triangle: (H, W) visible triangles; must hold -1 in these rows.
        inverse: (H, W) 1/depth; must hold 0 in these rows.
    """
    width = triangle.shape[1]
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        wa, wb, wc = inverse_depth[a], inverse_depth[b], inverse_depth[c]
        if wa <= 0 or wb <= 0 or wc <= 0:
            continue
        # Counter-clockwise from outside is clockwise on screen, where y points down: b and c swap.
        ax, ay = xy[a, 0], xy[a, 1]
        bx, by = xy[c, 0], xy[c, 1]
        cx, cy = xy[b, 0], xy[b, 1]
        wb, wc = wc, wb
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area <= 0:
            continue
        # The first and last pixel whose centre is inside the bounding box.
        x0 = max((min(ax, bx, cx) + CENTRE - 1) >> SUBPIXEL_BITS, 0)
        x1 = min((max(ax, bx, cx) - CENTRE) >> SUBPIXEL_BITS, width - 1)
        y0 = max((min(ay, by, cy) + CENTRE - 1) >> SUBPIXEL_BITS, top)
        y1 = min((max(ay, by, cy) - CENTRE) >> SUBPIXEL_BITS, bottom - 1)
        if x0 > x1 or y0 > y1:
            continue
        # Edge functions at the first pixel's centre, each the doubled area of the sub-triangle
        # opposite a corner. They are linear, so steps to the next pixel and row only add.
        px, py = x0 * SUBPIXELS + CENTRE, y0 * SUBPIXELS + CENTRE
        dax, day = cx - bx, cy - by
        dbx, dby = ax - cx, ay - cy
        dcx, dcy = bx - ax, by - ay
        ea_row = dax * (py - by) - day * (px - bx)
        eb_row = dbx * (py - cy) - dby * (px - cx)
        ec_row = dcx * (py - ay) - dcy * (px - ax)
        # Top-left rule: a pixel centre on any other edge belongs to the neighbouring triangle.
        ta = 0 if (day < 0 or (day == 0 and dax > 0)) else 1
        tb = 0 if (dby < 0 or (dby == 0 and dbx > 0)) else 1
        tc = 0 if (dcy < 0 or (dcy == 0 and dcx > 0)) else 1
        for y in range(y0, y1 + 1):
            ea, eb, ec = ea_row, eb_row, ec_row
            for x in range(x0, x1 + 1):
                if ((ea - ta) | (eb - tb) | (ec - tc)) >= 0:  # one branch: all three signs at once
                    # 1/depth, unlike depth, is linear on the screen: the areas weigh it.
                    w = np.float32((ea * wa + eb * wb + ec * wc) / area)
                    # Strictly nearer: of equals the lower index, which came first, stays.
                    if w > inverse[y, x]:
                        inverse[y, x] = w
                        triangle[y, x] = f
                ea -= day * SUBPIXELS
                eb -= dby * SUBPIXELS
                ec -= dcy * SUBPIXELS
            ea_row += dax * SUBPIXELS
            eb_row += dbx * SUBPIXELS
            ec_row += dcx * SUBPIXELS


@njit(cache=True, nogil=True)
def barycentrics(
    triangle: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    faces: NDArray[np.int32],
) -> NDArray[np.float32]:
    """Compute perspective-correct barycentric weights of the visible triangles.

    Args:
        triangle: (H, W) visible triangles, -1 where there is none.
        xy: (V, 2) screen positions in 1/256 pixels.
        inverse_depth: (V,) 1/depth.
        faces: (F, 3) vertices of each triangle.

    Returns:
        (H, W, 3) weights of the corners, summing to 1; zero where there is no triangle.
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
    """Return perspective-correct corner weights of triangle `f` at the centre of pixel (x, y)."""
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    px, py = x * SUBPIXELS + CENTRE, y * SUBPIXELS + CENTRE
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
    """Return texture coordinates along row `y` of triangle `f` as ratios of linear functions of x.

    For neighbouring pixels of one triangle this is cheaper than `corner_weights` at each.

    Args:
        y: The row.
        f: The triangle.
        xy: (V, 2) screen positions in 1/256 pixels.
        inverse_depth: (V,) 1/depth.
        faces: (F, 3) vertices of each triangle.
        uvs: (T, 2) in 0..1.
        uv_faces: (F, 3) rows of `uvs` for the corners of each triangle.

    Returns:
        u0, ux, v0, vx, w0, wx: at the centre of pixel (x, y), u is (u0 + ux x) / (w0 + wx x) and v
        is (v0 + vx x) / (w0 + wx x), both in [0, 1].
    """
    a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
    ta, tb, tc = uv_faces[f, 0], uv_faces[f, 1], uv_faces[f, 2]
    bx, by = float(xy[b, 0] - xy[a, 0]), float(xy[b, 1] - xy[a, 1])
    cx, cy = float(xy[c, 0] - xy[a, 0]), float(xy[c, 1] - xy[a, 1])
    py = float(y * SUBPIXELS + CENTRE - xy[a, 1])
    # Each edge function over the depth of its opposite corner is linear in x along the row.
    ax1 = (by - cy) * inverse_depth[a]
    ax0 = (bx * cy - by * cx + py * (cx - bx)) * inverse_depth[a]
    bx1, bx0 = cy * inverse_depth[b], -cx * py * inverse_depth[b]
    cx1, cx0 = -by * inverse_depth[c], bx * py * inverse_depth[c]
    start = float(CENTRE - xy[a, 0])
    ux = ax1 * uvs[ta, 0] + bx1 * uvs[tb, 0] + cx1 * uvs[tc, 0]
    u0 = ax0 * uvs[ta, 0] + bx0 * uvs[tb, 0] + cx0 * uvs[tc, 0] + ux * start
    vx = ax1 * uvs[ta, 1] + bx1 * uvs[tb, 1] + cx1 * uvs[tc, 1]
    v0 = ax0 * uvs[ta, 1] + bx0 * uvs[tb, 1] + cx0 * uvs[tc, 1] + vx * start
    wx = ax1 + bx1 + cx1
    w0 = ax0 + bx0 + cx0 + wx * start
    return u0, SUBPIXELS * ux, v0, SUBPIXELS * vx, w0, SUBPIXELS * wx
