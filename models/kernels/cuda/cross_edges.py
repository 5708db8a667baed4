"""Where silhouettes cross between pixels. Reference: `geometry.silhouettes`, to the bit.

One program per some edges of the mesh; an atomic maximum keeps the outermost crossing of each pair
of pixels in any order. A launch of its own, because it needs the depth of the whole image.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.geometry.rasterizer import CENTRE, SUBPIXEL_BITS, SUBPIXELS
from models.geometry.silhouettes import FURTHEST, NEARER, SHARE_UNIT
from models.kernels.cuda.begin_frame import EMPTY_KEY
from models.kernels.cuda.rasterize import LARGEST_FLOAT_BITS, load_corner

_BITS = tl.constexpr(SUBPIXEL_BITS)
_SUBPIXELS = tl.constexpr(SUBPIXELS)
_CENTRE = tl.constexpr(CENTRE)
_SHARE_UNIT = tl.constexpr(SHARE_UNIT)
_FURTHEST = tl.constexpr(FURTHEST)
_NEARER = tl.constexpr(NEARER)


@triton.jit
def cross_edges(
    xy: tl.tensor,
    inverse: tl.tensor,
    faces: tl.tensor,
    ends: tl.tensor,
    along: tl.tensor,
    against: tl.tensor,
    edges: tl.tensor,
    triangles: tl.tensor,
    vertices: tl.tensor,
    keys: tl.tensor,
    size: tl.tensor,
    crossings: tl.tensor,
    block: tl.constexpr,
) -> None:
    """Mark the crossings of silhouettes.

    Grid: (edges / block, B).

    Args:
        xy: (B, V, 2) int32 screen positions of `begin_frame`, 1/256 pixels.
        inverse: (B, V) float64 inverse depths of `begin_frame`, 1/metres; 0 for culled vertices.
        faces: (F, 3) int32 vertices of each triangle.
        ends: (E, 2) int32 vertices at the ends of each edge, as `MeshEdges.ends`.
        along: (E, 2) int32 triangles in the direction of each edge, as `MeshEdges.along`.
        against: (E, 2) int32 triangles in the opposite direction, as `MeshEdges.against`.
        edges: E.
        triangles: F.
        vertices: V.
        keys: (B, H, W) int64 visible triangles of `rasterize`.
        size: Rows and columns of the image.
        crossings: (B, H, W, 2) of `begin_frame`, raised: to the right and to the lower neighbour 0
            for none, else 1 + (distance << 1 | whether the inner pixel is the second).
        block: Edges of a program.
    """
    frame = tl.program_id(1)
    xy += frame * vertices * 2
    inverse += frame * vertices
    keys += frame * size * size
    crossings += frame * size * size * 2
    e = tl.program_id(0) * block + tl.arange(0, block)
    real = e < edges
    facing = _front(xy, inverse, faces, along + e * 2, triangles, real)
    facing += _front(xy, inverse, faces, along + e * 2 + 1, triangles, real)
    facing -= _front(xy, inverse, faces, against + e * 2, triangles, real)
    facing -= _front(xy, inverse, faces, against + e * 2 + 1, triangles, real)
    first = tl.load(ends + e * 2, mask=real, other=0)
    second = tl.load(ends + e * 2 + 1, mask=real, other=0)
    a, b = tl.where(facing > 0, first, second), tl.where(facing > 0, second, first)
    ax, ay, wa = load_corner(xy, inverse, a)
    bx, by, wb = load_corner(xy, inverse, b)
    flat = tl.abs(bx - ax) > tl.abs(by - ay)
    # Along the major axis the edge is walked, along the minor one crossings are measured.
    a_major, b_major = tl.where(flat, ax, ay), tl.where(flat, bx, by)
    a_minor, b_minor = tl.where(flat, ay, ax), tl.where(flat, by, bx)
    inner_first = (b_major > a_major) == flat
    back = a_major > b_major
    begin, end = tl.minimum(a_major, b_major), tl.maximum(a_major, b_major)
    start = tl.where(back, b_minor, a_minor)
    across = tl.where(back, a_minor, b_minor) - start
    wa, wb = tl.where(back, wb, wa), tl.where(back, wa, wb)
    step = tl.maximum((begin + _CENTRE - 1) >> _BITS, 0)
    stop = tl.minimum((end + _CENTRE - 1) >> _BITS, size)
    stop = tl.where(real & (facing != 0), stop, 0)
    length = tl.maximum(end - begin, 1)
    while tl.max(stop - step, axis=0) > 0:
        gone = step * _SUBPIXELS + _CENTRE - begin
        shift = tl.where(step < stop, gone, 0) * tl.abs(across) // length
        at = start + tl.where(across > 0, shift, -shift) - _CENTRE
        before = at >> _BITS
        on = (step < stop) & (before >= 0) & (before + 1 < size)
        pixel = tl.where(flat, before * size + step, step * size + before)
        beside = pixel + tl.where(flat, size, 1)
        inner, outer = tl.where(inner_first, pixel, beside), tl.where(inner_first, beside, pixel)
        near = wa + (wb - wa) * (gone.to(tl.float64) / length.to(tl.float64))
        on &= tl.load(keys + inner, mask=on, other=EMPTY_KEY) != EMPTY_KEY
        on &= near > _nearness(tl.load(keys + outer, mask=on, other=EMPTY_KEY)) * _NEARER
        part = at - before * _SUBPIXELS
        distance = tl.where(inner_first, part, _SUBPIXELS - part) * _SHARE_UNIT // _SUBPIXELS
        value = tl.minimum(distance, _FURTHEST) * 2 + tl.where(inner_first, 1, 2)
        place = crossings + pixel * 2 + tl.where(flat, 1, 0)
        tl.atomic_max(place, value.to(tl.int32), mask=on, sem="relaxed")
        step += 1


@triton.jit
def _front(
    xy: tl.tensor,
    inverse: tl.tensor,
    faces: tl.tensor,
    side: tl.tensor,
    triangles: tl.tensor,
    real: tl.tensor,
) -> Any:
    """Return 1 for edges with a triangle at `side` that the rasterizer draws, else 0."""
    f = tl.load(side, mask=real, other=triangles)
    known = f < triangles
    ax, ay, wa = load_corner(xy, inverse, tl.load(faces + f * 3, mask=known, other=0))
    bx, by, wb = load_corner(xy, inverse, tl.load(faces + f * 3 + 1, mask=known, other=0))
    cx, cy, wc = load_corner(xy, inverse, tl.load(faces + f * 3 + 2, mask=known, other=0))
    area = (cx - ax) * (by - ay) - (cy - ay) * (bx - ax)
    return (known & (area > 0) & (wa > 0) & (wb > 0) & (wc > 0)).to(tl.int32)


@triton.jit
def _nearness(key: tl.tensor) -> Any:
    """Return 1/depth (float64) of pixels by their keys, 0 where there is no triangle."""
    # The inverse of what `rasterize` does to the bits of a float; of an empty key it is 0.
    bits = ((key >> 32) ^ LARGEST_FLOAT_BITS).to(tl.int32)
    return bits.to(tl.float32, bitcast=True).to(tl.float64)
