"""What kernels share that shade visible triangles; called by kernels only."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.geometry.rasterizer import CENTRE, SUBPIXELS

_SUBPIXELS = tl.constexpr(SUBPIXELS)
_CENTRE = tl.constexpr(CENTRE)


@triton.jit
def corner_weights(
    xy: tl.tensor,
    inverse: tl.tensor,
    faces: tl.tensor,
    f: tl.tensor,
    x: tl.tensor,
    y: tl.tensor,
    seen: tl.tensor,
) -> Any:
    """Compute perspective-correct corner weights at the centres of pixels.

    Reference: `rasterizer.barycentrics`.

    Args:
        xy: (V, 2) int32 screen positions of the frame, 1/256 pixels.
        inverse: (V,) float64 inverse depths of the frame, 1/metres.
        faces: (F, 3) int32 vertices of each triangle.
        f: Triangle of each pixel; any valid index where `seen` is not set.
        x: Column of each pixel.
        y: Row of each pixel.
        seen: Whether the pixel shows its triangle.

    Returns:
        Three vertices and their three float32 weights.
    """
    a = tl.load(faces + f * 3)
    b = tl.load(faces + f * 3 + 1)
    c = tl.load(faces + f * 3 + 2)
    px, py = x * _SUBPIXELS + _CENTRE, y * _SUBPIXELS + _CENTRE
    ax, ay = _offset(xy + a * 2, px), _offset(xy + a * 2 + 1, py)
    bx, by = _offset(xy + b * 2, px), _offset(xy + b * 2 + 1, py)
    cx, cy = _offset(xy + c * 2, px), _offset(xy + c * 2 + 1, py)
    wa = (bx * cy - by * cx).to(tl.float64) * tl.load(inverse + a)
    wb = (cx * ay - cy * ax).to(tl.float64) * tl.load(inverse + b)
    wc = (ax * by - ay * bx).to(tl.float64) * tl.load(inverse + c)
    # One division in float64, which is slow on most GPUs.
    scale = 1.0 / tl.where(seen, wa + wb + wc, 1.0)
    return (
        a, b, c,
        (wa * scale).to(tl.float32), (wb * scale).to(tl.float32), (wc * scale).to(tl.float32),
    )  # fmt: skip


@triton.jit
def _offset(position: tl.tensor, pixel: tl.tensor) -> Any:
    """Return the distance of a vertex from a pixel's centre, int64 for products."""
    return tl.load(position).to(tl.int64) - pixel


@triton.jit
def texture_position(
    uvs: tl.tensor,
    uv_faces: tl.tensor,
    f: tl.tensor,
    wa: tl.tensor,
    wb: tl.tensor,
    wc: tl.tensor,
    axis: tl.constexpr,
) -> Any:
    """Return u (axis 0) or v (axis 1) in -1..1 at corner weights of triangles."""
    a = tl.load(uvs + tl.load(uv_faces + f * 3) * 2 + axis)
    b = tl.load(uvs + tl.load(uv_faces + f * 3 + 1) * 2 + axis)
    c = tl.load(uvs + tl.load(uv_faces + f * 3 + 2) * 2 + axis)
    return (wa * a + wb * b + wc * c) * 2 - 1


@triton.jit
def interpolate(
    values: tl.tensor,
    a: tl.tensor,
    b: tl.tensor,
    c: tl.tensor,
    wa: tl.tensor,
    wb: tl.tensor,
    wc: tl.tensor,
) -> Any:
    """Interpolate one component of (V, 3) values between three vertices."""
    at_a, at_b = tl.load(values + a * 3), tl.load(values + b * 3)
    return wa * at_a + wb * at_b + wc * tl.load(values + c * 3)


@triton.jit
def texels_around(position: tl.tensor, texels: tl.tensor) -> Any:
    """Find the two texels around positions in -1..1 along one axis, clamped at the borders.

    Reference: `F.grid_sample` with `align_corners=False`, as `kernels.texture_lookup` says.

    Returns:
        The first and the second texel, and the share of the second.
    """
    # Texel centres are at half-integers: -1 is the left edge of the first texel, not its centre.
    t = ((position + 1) * texels - 1) * 0.5
    t = tl.minimum(tl.maximum(t, 0.0), texels - 1.0)
    first = t.to(tl.int32)
    return first, tl.minimum(first + 1, texels - 1), t - first.to(tl.float32)


@triton.jit
def view_direction(wide: tl.tensor, x: tl.tensor, y: tl.tensor) -> Any:
    """Return unit vectors from the surface at pixels to the eye, world axes.

    Args:
        wide: (3, 3) float64, see `view_direction_matrix`.
        x: Columns.
        y: Rows.
    """
    px, py = x.to(tl.float32) + 0.5, y.to(tl.float32) + 0.5
    ex = _ray(wide, px, py)
    ey = _ray(wide + 3, px, py)
    ez = _ray(wide + 6, px, py)
    scale = 1 / tl.sqrt(ex * ex + ey * ey + ez * ez)
    return ex * scale, ey * scale, ez * scale


@triton.jit
def _ray(matrix_row: tl.tensor, px: tl.tensor, py: tl.tensor) -> Any:
    """Return the product of a matrix row with image points (px, py, 1)."""
    x = tl.load(matrix_row).to(tl.float32)
    y = tl.load(matrix_row + 1).to(tl.float32)
    return x * px + y * py + tl.load(matrix_row + 2).to(tl.float32)
