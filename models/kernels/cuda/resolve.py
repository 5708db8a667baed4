"""The live inputs of the warp, from visible triangles. References: `networks.live_inputs`,
`networks.texture.sample_texels` and `harmonic_scale`, `gbuffer.soften_rows`.

One program per some 2x2 pixels: corner weights, textures, normals and the flow to the cached frame
share what they read, and the values of a pixel go to memory once.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.contract.channels import COLOUR_CHANNELS
from models.geometry.gbuffer import SOFT_MAX
from models.geometry.spherical_harmonics import BASES
from models.geometry.surface_points import MIN_DEPTH_M
from models.kernels.cuda.begin_frame import EMPTY_KEY, load_mixed
from models.kernels.cuda.parameters import HARMONICS, POINTS, SHARE, UV, VIEW_DIRECTIONS
from models.kernels.cuda.surface import (
    corner_weights,
    interpolate,
    texels_around,
    texture_position,
    view_direction,
)

NOT_VISIBLE = tl.constexpr(1e9)
"""Marks the flow of pixels off the head; far beyond any flow in pixels."""
_SOFT_SUM = tl.constexpr(4 * SOFT_MAX)
_COLOUR = tl.constexpr(COLOUR_CHANNELS)
_BASES = tl.constexpr(BASES)
_MIN_DEPTH = tl.constexpr(MIN_DEPTH_M)
_TINY = tl.constexpr(1e-12)
"""Least length that a normal is divided by."""


@triton.jit
def resolve(
    wide: tl.tensor,
    addresses: tl.tensor,
    narrow: tl.tensor,
    row: tl.tensor,
    keys: tl.tensor,
    xy: tl.tensor,
    inverse: tl.tensor,
    normals: tl.tensor,
    vertices: tl.tensor,
    faces: tl.tensor,
    uvs: tl.tensor,
    uv_faces: tl.tensor,
    texels: tl.tensor,
    texels_high: tl.tensor,
    texels_wide: tl.tensor,
    size: tl.tensor,
    cover: tl.tensor,
    soft: tl.tensor,
    live: tl.tensor,
    flow: tl.tensor,
    extents: tl.tensor,
    block: tl.constexpr,
    features: tl.constexpr,
    lanes: tl.constexpr,
    channels: tl.constexpr,
    dtype: tl.constexpr,
) -> None:
    """Compute soft coverage, live inputs, and the flow to the cached frame.

    Grid: ((H/2)^2 / block, B).

    Args:
        wide: (B, row) float64 parameters, read for the view directions.
        addresses: (B, row) int64: `wide` seen as int64, read for the addresses of the caches'
            tensors.
        narrow: (B, 2 row) float32: `wide` seen as float32, read for harmonics and crossfade.
        row: Length of a row, 8-byte words.
        keys: (B, H, W) int64 visible triangles of `rasterize`.
        xy: (B, V, 2) int32 screen positions of `begin_frame`, 1/256 pixels.
        inverse: (B, V) float64 inverse depths of `begin_frame`, 1/metres.
        normals: (B, V, 3) float32 unit normals of `vertex_normals`, world axes.
        vertices: V.
        faces: (F, 3) int32 vertices of each triangle.
        uvs: (T, 2) texture coordinates, 0..1.
        uv_faces: (F, 3) int32 rows of `uvs` for the corners of each triangle.
        texels: (h, w, C) feature texture.
        texels_high: h.
        texels_wide: w.
        size: Rows and columns of the image.
        cover: (B, H, W) uint8 share of each pixel that the head covers, of `blend_edges`.
        soft: (B, H, W) uint8 filled with 0..`SOFT_MAX`.
        live: (B, H/2 + 2, W/2 + 2, P) filled but for the border and the padded channels, which must
            be 0.
        flow: (B, H/2, W/2, 2) filled: pixels at half resolution, x `NOT_VISIBLE` off the head.
        extents: (B, 3, H/2) of `begin_frame`: in each row the first and the last column with soft
            coverage, and whether any pixel is covered.
        block: Pixels at half resolution of a program.
        features: C.
        lanes: C, rounded up to a power of two.
        channels: P.
        dtype: Type of the cache's tensors that convolutions read.
    """
    frame = tl.program_id(1)
    half = size // 2
    i = tl.program_id(0) * block + tl.arange(0, block)
    real = i < half * half
    hy, hx = i // half, i % half
    keys += frame * size * size
    key, x, y, count = _first_covered(keys, size, hy, hx, real)
    seen = count > 0
    # The lower half of a key is the triangle, the upper half its depth, see `rasterize`.
    f = tl.where(seen, key & 0xFFFFFFFF, 0).to(tl.int32)
    pixels = frame * size * size
    soft_sum = _soften(cover + pixels, soft + pixels, size, hy, hx, real)
    _extend_row(extents + frame * 3 * half, half, hy, hx, soft_sum, seen, real)

    xy += frame * vertices * 2
    inverse += frame * vertices
    a, b, c, wa, wb, wc = corner_weights(xy, inverse, faces, f, x, y, seen)
    u = texture_position(uvs, uv_faces, f, wa, wb, wc, 0)
    v = texture_position(uvs, uv_faces, f, wa, wb, wc, 1)
    narrow += frame * row * 2
    addresses += frame * row
    weight = tl.where(seen, count.to(tl.float32) * 0.25, 0.0)
    pixel = live + ((frame * (half + 2) + hy + 1) * (half + 2) + hx + 1) * channels
    _store_features(
        narrow, texels, texels_high, texels_wide, u, v, weight, pixel, real, features, lanes
    )
    surface = pixel + features
    tl.store(surface, (soft_sum.to(tl.float32) / _SOFT_SUM).to(dtype), mask=real)
    normal = normals + frame * vertices * 3
    nx, ny, nz, ex, ey, ez = _directions(
        normal, wide + frame * row + VIEW_DIRECTIONS, a, b, c, wa, wb, wc, x, y
    )
    facing = nx * ex + ny * ey + nz * ez
    tl.store(surface + 1, (nx * weight).to(dtype), mask=real)
    tl.store(surface + 2, (ny * weight).to(dtype), mask=real)
    tl.store(surface + 3, (nz * weight).to(dtype), mask=real)
    tl.store(surface + 4, ((2 * facing * nx - ex) * weight).to(dtype), mask=real)
    tl.store(surface + 5, ((2 * facing * ny - ey) * weight).to(dtype), mask=real)
    tl.store(surface + 6, ((2 * facing * nz - ez) * weight).to(dtype), mask=real)
    tl.store(surface + 7, (facing * weight).to(dtype), mask=real)

    points = tl.load(addresses + POINTS).to(tl.pointer_type(tl.float32))
    px = interpolate(points, a, b, c, wa, wb, wc)
    py = interpolate(points + 1, a, b, c, wa, wb, wc)
    depth = tl.maximum(interpolate(points + 2, a, b, c, wa, wb, wc), _MIN_DEPTH)
    dx = px / depth - (x.to(tl.float32) + 0.5) * 0.5
    dy = py / depth - (y.to(tl.float32) + 0.5) * 0.5
    at = flow + (frame * half * half + i) * 2
    tl.store(at, tl.where(seen, dx, NOT_VISIBLE), mask=real)
    tl.store(at + 1, tl.where(seen, dy, 0.0), mask=real)
    column = nearest_pixel(hx.to(tl.float32) + 0.5 + dx, half)
    source = (nearest_pixel(hy.to(tl.float32) + 0.5 + dy, half) * half + column) * 3
    share = tl.load(narrow + SHARE)
    covered = load_mixed(addresses + UV, share, source + 2, seen, tl.float32)
    # The UV change, 0 where the cached frame does not show the head.
    du = u * covered - load_mixed(addresses + UV, share, source, seen, tl.float32)
    dv = v * covered - load_mixed(addresses + UV, share, source + 1, seen, tl.float32)
    tl.store(surface + 8, tl.where(seen, du, 0.0).to(dtype), mask=real)
    tl.store(surface + 9, tl.where(seen, dv, 0.0).to(dtype), mask=real)


@triton.jit
def nearest_pixel(position: tl.tensor, size: tl.tensor) -> Any:
    """Return the pixels that contain positions, clamped to 0..size - 1."""
    # Clamped before the conversion too: an integer cannot hold every float.
    low = tl.minimum(tl.maximum(tl.floor(position), 0.0), size - 1.0)
    return low.to(tl.int32)


@triton.jit
def _first_covered(
    keys: tl.tensor, size: tl.tensor, hy: tl.tensor, hx: tl.tensor, real: tl.tensor
) -> Any:
    """Find the first covered pixel of each 2x2: its key, column and row, and how many are."""
    x, y, count = hx * 0, hx * 0, hx * 0
    key = tl.full(hx.shape, EMPTY_KEY, tl.int64)
    # Backwards, so that the first covered pixel is the last to overwrite the result.
    for n in tl.static_range(4):
        py, px = 2 * hy + (3 - n) // 2, 2 * hx + (3 - n) % 2
        here = tl.load(keys + py * size + px, mask=real, other=EMPTY_KEY)
        on = here != EMPTY_KEY
        key = tl.where(on, here, key)
        x, y = tl.where(on, px, x), tl.where(on, py, y)
        count += on.to(tl.int32)
    return key, x, y, count


@triton.jit
def _soften(
    cover: tl.tensor,
    soft: tl.tensor,
    size: tl.tensor,
    hy: tl.tensor,
    hx: tl.tensor,
    real: tl.tensor,
) -> Any:
    """Store the soft coverage of each 2x2 pixels, and return their sum."""
    s00, s01, s10, s11 = hx * 0, hx * 0, hx * 0, hx * 0
    for n in tl.static_range(16):
        r, q = n // 4 - 1, n % 4 - 1
        # Repeated, because a head that leaves the image has no outline at the image's edge.
        ny = tl.minimum(tl.maximum(2 * hy + r, 0), size - 1)
        nx = tl.minimum(tl.maximum(2 * hx + q, 0), size - 1)
        here = tl.load(cover + ny * size + nx, mask=real, other=0).to(tl.int32)
        # The weights of a tent: 1 2 1 by 1 2 1.
        s00 += here * (max(2 - r * r, 0) * max(2 - q * q, 0))
        s01 += here * (max(2 - r * r, 0) * max(2 - (q - 1) * (q - 1), 0))
        s10 += here * (max(2 - (r - 1) * (r - 1), 0) * max(2 - q * q, 0))
        s11 += here * (max(2 - (r - 1) * (r - 1), 0) * max(2 - (q - 1) * (q - 1), 0))
    upper = soft + 2 * hy * size + 2 * hx
    tl.store(upper, s00.to(tl.uint8), mask=real)
    tl.store(upper + 1, s01.to(tl.uint8), mask=real)
    tl.store(upper + size, s10.to(tl.uint8), mask=real)
    tl.store(upper + size + 1, s11.to(tl.uint8), mask=real)
    return s00 + s01 + s10 + s11


@triton.jit
def _extend_row(
    extents: tl.tensor,
    half: tl.tensor,
    hy: tl.tensor,
    hx: tl.tensor,
    soft_sum: tl.tensor,
    seen: tl.tensor,
    real: tl.tensor,
) -> None:
    """Extend the rows' extents by some pixels."""
    on = real & (soft_sum > 0)
    tl.atomic_min(extents + hy, hx, mask=on, sem="relaxed")
    tl.atomic_max(extents + half + hy, hx, mask=on, sem="relaxed")
    tl.atomic_max(extents + 2 * half + hy, seen.to(tl.int32), mask=real & seen, sem="relaxed")


@triton.jit
def _store_features(
    narrow: tl.tensor,
    texels: tl.tensor,
    high: tl.tensor,
    wide: tl.tensor,
    u: tl.tensor,
    v: tl.tensor,
    weight: tl.tensor,
    pixel: tl.tensor,
    real: tl.tensor,
    features: tl.constexpr,
    lanes: tl.constexpr,
) -> None:
    """Look the feature texture up, scaled by the view's harmonics and by pixel."""
    x0, x1, fx = texels_around(u, wide)
    y0, y1, fy = texels_around(v, high)
    c = tl.arange(0, lanes)[None, :]
    on = (real & (weight > 0))[:, None] & (c < features)
    above, below = (
        texels + (y0 * wide)[:, None] * features + c,
        texels + (y1 * wide)[:, None] * features + c,
    )
    left, right = x0[:, None] * features, x1[:, None] * features
    value = tl.load(above + left, mask=on, other=0.0) * ((1 - fy) * (1 - fx))[:, None]
    value += tl.load(above + right, mask=on, other=0.0) * ((1 - fy) * fx)[:, None]
    value += tl.load(below + left, mask=on, other=0.0) * (fy * (1 - fx))[:, None]
    value += tl.load(below + right, mask=on, other=0.0) * (fy * fx)[:, None]
    harmonic = (c >= _COLOUR) & (c < _COLOUR + _BASES)
    scale = tl.load(narrow + HARMONICS + c - _COLOUR, mask=harmonic, other=1.0)
    made = value * scale * weight[:, None]
    tl.store(
        pixel[:, None] + c, made.to(pixel.dtype.element_ty), mask=real[:, None] & (c < features)
    )


@triton.jit
def _directions(
    normals: tl.tensor,
    view: tl.tensor,
    a: tl.tensor,
    b: tl.tensor,
    c: tl.tensor,
    wa: tl.tensor,
    wb: tl.tensor,
    wc: tl.tensor,
    x: tl.tensor,
    y: tl.tensor,
) -> Any:
    """Return unit normals and view directions at pixels, world axes."""
    nx = interpolate(normals, a, b, c, wa, wb, wc)
    ny = interpolate(normals + 1, a, b, c, wa, wb, wc)
    nz = interpolate(normals + 2, a, b, c, wa, wb, wc)
    scale = 1 / tl.maximum(tl.sqrt(nx * nx + ny * ny + nz * nz), _TINY)
    ex, ey, ez = view_direction(view, x, y)
    return nx * scale, ny * scale, nz * scale, ex, ey, ez
