"""The blends of pixels at silhouettes, on one core, without the interpreter lock.

The results equal those of `silhouettes.py` to the bit; see there for what they mean.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from models.geometry.mesh_edges import MeshEdges
from models.geometry.rasterizer import CENTRE, SUBPIXEL_BITS, SUBPIXELS
from models.geometry.silhouettes import COVER_MAX, FURTHEST, MOST_SHARE, NEARER, SHARE_UNIT


class EdgeBuffers(NamedTuple):
    """What `blend_edges` fills for a frame, and its work space."""

    blend: NDArray[np.uint8]
    """(H, W) as `EdgeBlends.blend`."""
    cover: NDArray[np.uint8]
    """(H, W) as `EdgeBlends.cover`."""
    crossings: NDArray[np.uint8]
    """(H, W, 2) crossings to the right and to the lower neighbour; zeros between calls."""
    crossed: NDArray[np.int32]
    """(2 H W,) indices of crossings."""


def allocate_edges(size: int) -> EdgeBuffers:
    """Allocate the buffers of a square image of `size` pixels a side."""
    return EdgeBuffers(
        np.zeros((size, size), np.uint8),
        np.zeros((size, size), np.uint8),
        np.zeros((size, size, 2), np.uint8),
        np.empty(2 * size * size, np.int32),
    )


def blend_edges(
    edges: MeshEdges,
    faces: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    triangle: NDArray[np.int32],
    nearness: NDArray[np.float32],
    buffers: EdgeBuffers,
) -> None:
    """Find how the pixels of a rasterized image mix at silhouettes.

    Args:
        edges: Edges of the mesh and their triangles.
        faces: (F, 3) vertices of each triangle.
        xy: (V, 2) screen positions in 1/256 pixels.
        inverse_depth: (V,) 1/depth; 0 for culled vertices.
        triangle: (H, W) visible triangles, -1 where there is none.
        nearness: (H, W) 1/depth of them, 0 where there is none.
        buffers: `blend` and `cover` are filled.
    """
    silhouettes = _find_silhouettes(*edges, _front_facing(faces, xy, inverse_depth))
    blend, cover, crossings, crossed = buffers
    count = 0
    if len(silhouettes):
        count = _mark_crossings(
            silhouettes, xy, inverse_depth, triangle, nearness, crossings, crossed
        )
    _blend_pixels(triangle, crossed[:count], crossings, blend, cover)


@njit(cache=True, nogil=True)
def _front_facing(
    faces: NDArray[np.int32], xy: NDArray[np.int64], inverse_depth: NDArray[np.float64]
) -> NDArray[np.int8]:
    """Return (F + 1,): 1 for triangles that the rasterizer draws, 0 for others and for "none"."""
    front = np.zeros(faces.shape[0] + 1, np.int8)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        area = (xy[c, 0] - xy[a, 0]) * (xy[b, 1] - xy[a, 1])
        area -= (xy[c, 1] - xy[a, 1]) * (xy[b, 0] - xy[a, 0])
        seen = inverse_depth[a] > 0 and inverse_depth[b] > 0 and inverse_depth[c] > 0
        front[f] = seen and area > 0
    return front


@njit(cache=True, nogil=True)
def _find_silhouettes(
    ends: NDArray[np.int32],
    along: NDArray[np.int32],
    against: NDArray[np.int32],
    front: NDArray[np.int8],
) -> NDArray[np.int32]:
    """Return the (S, 2) ends of silhouettes, the head to the right of a downward one."""
    found = np.empty_like(ends)
    count = 0
    for e in range(ends.shape[0]):
        facing = front[along[e, 0]] + front[along[e, 1]]
        facing -= front[against[e, 0]] + front[against[e, 1]]
        if facing:
            found[count, 0] = ends[e, 0] if facing > 0 else ends[e, 1]
            found[count, 1] = ends[e, 1] if facing > 0 else ends[e, 0]
            count += 1
    return found[:count]


@njit(cache=True, nogil=True)
def _mark_crossings(
    silhouettes: NDArray[np.int32],
    xy: NDArray[np.int64],
    inverse_depth: NDArray[np.float64],
    triangle: NDArray[np.int32],
    nearness: NDArray[np.float32],
    crossings: NDArray[np.uint8],
    crossed: NDArray[np.int32],
) -> int:
    """Mark where silhouettes cross between pixels, and return how many pairs of pixels they do.

    A crossing is 0 for none, else 1 + (distance << 1 | whether the inner pixel is the second).
    """
    count = 0
    for e in range(silhouettes.shape[0]):
        a, b = silhouettes[e, 0], silhouettes[e, 1]
        flat = abs(xy[b, 0] - xy[a, 0]) > abs(xy[b, 1] - xy[a, 1])
        major, minor = (0, 1) if flat else (1, 0)
        inner_first = (xy[b, major] > xy[a, major]) == flat
        if xy[a, major] > xy[b, major]:
            a, b = b, a
        begin, length = xy[a, major], xy[b, major] - xy[a, major]
        across = xy[b, minor] - xy[a, minor]
        first = max((begin + CENTRE - 1) >> SUBPIXEL_BITS, 0)
        end = min((begin + length + CENTRE - 1) >> SUBPIXEL_BITS, triangle.shape[1 - major])
        for step in range(first, end):
            gone = step * SUBPIXELS + CENTRE - begin
            shift = gone * abs(across) // length
            at = xy[a, minor] + (shift if across > 0 else -shift) - CENTRE
            before = at >> SUBPIXEL_BITS
            if before < 0 or before + 1 >= triangle.shape[1 - minor]:
                continue
            y, x = (before, step) if flat else (step, before)
            next_y, next_x = (y + 1, x) if flat else (y, x + 1)
            py, px = (y, x) if inner_first else (next_y, next_x)
            qy, qx = (next_y, next_x) if inner_first else (y, x)
            near = inverse_depth[a] + (inverse_depth[b] - inverse_depth[a]) * (gone / length)
            if triangle[py, px] < 0 or near <= nearness[qy, qx] * NEARER:
                continue
            part = at - before * SUBPIXELS
            distance = (part if inner_first else SUBPIXELS - part) * SHARE_UNIT // SUBPIXELS
            value = (min(distance, FURTHEST) << 1) + (1 if inner_first else 2)
            if crossings[y, x, minor] == 0:
                crossed[count] = (y * triangle.shape[1] + x) * 2 + minor
                count += 1
            # Of several edges the outermost, as in the plain form.
            crossings[y, x, minor] = max(crossings[y, x, minor], value)
    return count


@njit(cache=True, nogil=True)
def _blend_pixels(
    triangle: NDArray[np.int32],
    crossed: NDArray[np.int32],
    crossings: NDArray[np.uint8],
    blend: NDArray[np.uint8],
    cover: NDArray[np.uint8],
) -> None:
    """Turn crossings into blends and cover, and clear them."""
    for y in range(triangle.shape[0]):
        for x in range(triangle.shape[1]):
            blend[y, x] = 0
            cover[y, x] = COVER_MAX if triangle[y, x] >= 0 else 0
    for index in crossed:
        pixel, axis = index // 2, index % 2
        y, x = pixel // triangle.shape[1], pixel % triangle.shape[1]
        value = int(crossings[y, x, axis]) - 1
        crossings[y, x, axis] = 0
        inner_second, distance = value & 1, value >> 1
        second = inner_second if distance < SHARE_UNIT // 2 else 1 - inner_second
        share = min(abs(distance - SHARE_UNIT // 2), MOST_SHARE)
        # The share in the upper bits: the larger of two blends is that of the larger share.
        code = share << 2 | axis << 1 | (1 - second)
        if second:
            y, x = (y + 1, x) if axis else (y, x + 1)
        if share and code > blend[y, x]:
            blend[y, x] = code
            cover[y, x] = _cover_of(triangle, y, x, code)


@njit(cache=True, nogil=True)
def _cover_of(triangle: NDArray[np.int32], y: int, x: int, code: int) -> int:
    """Return the cover of a pixel with a blend, 0..`COVER_MAX`."""
    ny, nx = neighbour(y, x, code)
    share = code >> 2
    covered = (SHARE_UNIT - share) * int(triangle[y, x] >= 0) + share * int(triangle[ny, nx] >= 0)
    return (COVER_MAX * covered + SHARE_UNIT // 2) // SHARE_UNIT


@njit(cache=True, nogil=True, inline="always")
def neighbour(y: int, x: int, code: int) -> tuple[int, int]:
    """Return row and column of the neighbour that pixel (x, y) mixes with by its blend."""
    step = 2 * (code & 1) - 1
    down = (code >> 1) & 1
    return y + step * down, x + step * (1 - down)
