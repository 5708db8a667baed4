"""The rasterizer. Reference: `geometry.rasterizer.rasterize`, to the bit.

A pixel's key holds the depth in its upper half and the triangle in its lower half, such that the
smallest key is that of the nearest triangle, and of equals of that with the lower index. One atomic
minimum per covered pixel therefore gives the same image in any order.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.geometry.rasterizer import CENTRE, SUBPIXEL_BITS, SUBPIXELS

_BITS = tl.constexpr(SUBPIXEL_BITS)
_SUBPIXELS = tl.constexpr(SUBPIXELS)
_CENTRE = tl.constexpr(CENTRE)
LARGEST_FLOAT_BITS = tl.constexpr(0x7FFFFFFF)
"""Keys hold the difference of the bits of 1/depth to this, so that nearer ones are smaller."""


@triton.jit
def rasterize(
    xy: tl.tensor,
    inverse: tl.tensor,
    faces: tl.tensor,
    keys: tl.tensor,
    triangles: tl.tensor,
    vertices: tl.tensor,
    size: tl.tensor,
    block: tl.constexpr,
    fragments: tl.constexpr,
    parts: tl.constexpr,
) -> None:
    """Find the nearest triangle at each pixel's centre.

    A part of the launch of `draw`, which runs alone as well.

    Grid: (triangles / block, parts, B).

    Args:
        xy: (B, V, 2) int32 screen positions of `begin_frame`, 1/256 pixels.
        inverse: (B, V) float64 inverse depths of `begin_frame`, 1/metres; 0 for culled vertices.
        faces: (F, 3) int32 vertices of each triangle.
        keys: (B, H, W) int64 keys of `begin_frame`, lowered to those of visible triangles.
        triangles: F.
        vertices: V.
        size: Rows and columns of the image.
        block: Triangles of a program.
        fragments: Pixels of each of them that are tested at once.
        parts: Programs that share the pixels of a block of triangles.
    """
    f = tl.program_id(0) * block + tl.arange(0, block)
    xy += tl.program_id(2) * vertices * 2
    inverse += tl.program_id(2) * vertices
    keys += tl.program_id(2) * size * size
    real = f < triangles
    # Counter-clockwise from outside is clockwise on screen, where y points down: b and c swap.
    a = tl.load(faces + f * 3, mask=real, other=0)
    c = tl.load(faces + f * 3 + 1, mask=real, other=0)
    b = tl.load(faces + f * 3 + 2, mask=real, other=0)
    ax, ay, wa = load_corner(xy, inverse, a)
    bx, by, wb = load_corner(xy, inverse, b)
    cx, cy, wc = load_corner(xy, inverse, c)
    # In 64 bits: positions have up to 29.
    area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
    # The first and last pixel whose centre is inside the bounding box.
    x0, x1 = _span(ax, bx, cx, size)
    y0, y1 = _span(ay, by, cy, size)
    good = real & (area > 0) & (wa > 0) & (wb > 0) & (wc > 0) & (x0 <= x1) & (y0 <= y1)
    across = tl.where(good, x1 - x0 + 1, 1)
    count = tl.where(good, across * (y1 - y0 + 1), 0)
    most = tl.max(count, axis=0)
    scale = tl.where(good, area, 1)[:, None].to(tl.float64)
    start = tl.program_id(1) * fragments
    while start < most:
        k = start + tl.arange(0, fragments)[None, :]
        x = x0[:, None] + k % across[:, None]
        y = y0[:, None] + k // across[:, None]
        px = (x * _SUBPIXELS + _CENTRE).to(tl.int64)
        py = (y * _SUBPIXELS + _CENTRE).to(tl.int64)
        # Each the doubled area of the sub-triangle opposite a corner.
        ea, out_a = _edge(bx, by, cx, cy, px, py)
        eb, out_b = _edge(cx, cy, ax, ay, px, py)
        ec, out_c = _edge(ax, ay, bx, by, px, py)
        inside = (k < count[:, None]) & ((out_a | out_b | out_c) >= 0)
        # Added in the order of the reference, for the same rounding.
        weighted = ea.to(tl.float64) * wa[:, None] + eb.to(tl.float64) * wb[:, None]
        weighted += ec.to(tl.float64) * wc[:, None]
        near = (weighted / scale).to(tl.float32)
        # Bits of positive floats are in the order of their values.
        depth = LARGEST_FLOAT_BITS - near.to(tl.int32, bitcast=True).to(tl.int64)
        key = (depth << 32) | f[:, None].to(tl.int64)
        tl.atomic_min(keys + y * size + x, key, mask=inside, sem="relaxed")
        start += fragments * parts


@triton.jit
def load_corner(xy: tl.tensor, inverse: tl.tensor, vertex: tl.tensor) -> Any:
    """Return position (int64, 1/256 pixels) and 1/depth of vertices."""
    x = tl.load(xy + vertex * 2).to(tl.int64)
    y = tl.load(xy + vertex * 2 + 1).to(tl.int64)
    return x, y, tl.load(inverse + vertex)


@triton.jit
def _span(a: tl.tensor, b: tl.tensor, c: tl.tensor, size: tl.tensor) -> Any:
    """Return the first and the last pixel whose centre lies between three positions."""
    low = (tl.minimum(tl.minimum(a, b), c) + _CENTRE - 1) >> _BITS
    high = (tl.maximum(tl.maximum(a, b), c) - _CENTRE) >> _BITS
    return tl.maximum(low, 0).to(tl.int32), tl.minimum(high, size - 1).to(tl.int32)


@triton.jit
def _edge(
    fx: tl.tensor, fy: tl.tensor, tx: tl.tensor, ty: tl.tensor, px: tl.tensor, py: tl.tensor
) -> Any:
    """Evaluate the edge function from (fx, fy) to (tx, ty) at pixel centres.

    Returns:
        Its value, and that value less 1 unless the edge is a top or left one: below 0 outside. A
        pixel centre on any other edge belongs to the neighbouring triangle.
    """
    dx, dy = (tx - fx)[:, None], (ty - fy)[:, None]
    edge = dx * (py - fy[:, None]) - dy * (px - fx[:, None])
    return edge, edge - tl.where((dy < 0) | ((dy == 0) & (dx > 0)), 0, 1)
