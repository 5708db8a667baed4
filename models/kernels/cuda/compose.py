"""From the output of the convolutions to 8-bit pixels, RGB or NV12. References: `PaintOver`,
`Foreground.over`, `Stage.compose`, `kernels.nv12.rgb_to_nv12`.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.contract.channels import OUTPUT_CHANNELS
from models.geometry.gbuffer import SOFT_MAX
from models.geometry.silhouettes import SHARE_UNIT
from models.kernels.cuda.begin_frame import EMPTY_KEY
from models.kernels.cuda.blend_edges import neighbour
from models.kernels.cuda.nv12 import chroma_of, luma_of
from models.kernels.cuda.surface import corner_weights, texels_around, texture_position

PAINT_STRIDE = tl.constexpr(8)
"""Floats per texel of the paint texture: albedo (3), mask logit, gloss, padding."""
_OUTPUTS = tl.constexpr(4 * OUTPUT_CHANNELS)
# Where in the outputs of the convolutions each channel's 2x2 pixels begin (pixel shuffle).
_MASK_LOGIT = tl.constexpr(4 * 3)
_ALBEDO_GAIN = tl.constexpr(4 * 4)
_GLOSS_GAIN = tl.constexpr(4 * 7)
_SOFT_MAX = tl.constexpr(SOFT_MAX)
_SHARE_UNIT = tl.constexpr(SHARE_UNIT)


@triton.jit
def compose(
    keys: tl.tensor,
    blend: tl.tensor,
    soft: tl.tensor,
    xy: tl.tensor,
    inverse: tl.tensor,
    vertices: tl.tensor,
    faces: tl.tensor,
    uvs: tl.tensor,
    uv_faces: tl.tensor,
    paint: tl.tensor,
    paint_high: tl.tensor,
    paint_wide: tl.tensor,
    smooth: tl.tensor,
    active: tl.tensor,
    background: tl.tensor,
    slope: tl.tensor,
    offset: tl.tensor,
    size: tl.tensor,
    rgb: tl.tensor,
    block: tl.constexpr,
) -> None:
    """Apply pixel shuffle, paint, mask and background, and round to 8 bits.

    Grid: (H W / block, B).

    Args:
        keys: (B, H, W) int64 visible triangles of `rasterize`.
        blend: (B, H, W) uint8 of `blend_edges`: how pixels mix at silhouettes.
        soft: (B, H, W) uint8 soft coverage of `resolve`, 0..`SOFT_MAX`.
        xy: (B, V, 2) int32 screen positions of `begin_frame`, 1/256 pixels.
        inverse: (B, V) float64 inverse depths of `begin_frame`, 1/metres.
        vertices: V.
        faces: (F, 3) int32 vertices of each triangle.
        uvs: (T, 2) texture coordinates, 0..1.
        uv_faces: (F, 3) int32 rows of `uvs` for the corners of each triangle.
        paint: (h, w, 8) paint texture: albedo (3), mask logit, gloss, padding.
        paint_high: h.
        paint_wide: w.
        smooth: (B, H/2, W/2, 32) float32 output of `convolve`: 8 channels, each as 2x2 pixels.
        active: (B, 2, H/2) int32 active columns of `extend`; outside of them there is only
            background.
        background: (H, W, 3) uint8 RGB.
        slope: Growth of the mask's logit from soft coverage 0 to 1, as `PaintOver.slope`.
        offset: Mask's logit at soft coverage 0, as `PaintOver.offset`.
        size: H and W: rows and columns of the image.
        rgb: (B, H, W, 3) uint8, filled.
        block: Pixels of a program.
    """
    i = tl.program_id(0) * block + tl.arange(0, block)
    real = i < size * size
    red, green, blue = _colours(
        i // size, i % size, real, tl.program_id(1),
        keys, blend, soft, xy, inverse, vertices, faces, uvs, uv_faces, paint, paint_high,
        paint_wide, smooth, active, background, slope, offset, size,
    )  # fmt: skip
    at = rgb + (tl.program_id(1) * size * size + i) * 3
    tl.store(at, red, mask=real)
    tl.store(at + 1, green, mask=real)
    tl.store(at + 2, blue, mask=real)


@triton.jit
def compose_nv12(
    keys: tl.tensor,
    blend: tl.tensor,
    soft: tl.tensor,
    xy: tl.tensor,
    inverse: tl.tensor,
    vertices: tl.tensor,
    faces: tl.tensor,
    uvs: tl.tensor,
    uv_faces: tl.tensor,
    paint: tl.tensor,
    paint_high: tl.tensor,
    paint_wide: tl.tensor,
    smooth: tl.tensor,
    active: tl.tensor,
    background: tl.tensor,
    slope: tl.tensor,
    offset: tl.tensor,
    size: tl.tensor,
    nv12: tl.tensor,
    block: tl.constexpr,
) -> None:
    """Do what `compose` does, and convert to NV12 what it would store.

    Grid: (H/2 W/2 / block, B).

    Args:
        keys: (B, H, W) int64 visible triangles of `rasterize`.
        blend: (B, H, W) uint8 of `blend_edges`: how pixels mix at silhouettes.
        soft: (B, H, W) uint8 soft coverage of `resolve`, 0..`SOFT_MAX`.
        xy: (B, V, 2) int32 screen positions of `begin_frame`, 1/256 pixels.
        inverse: (B, V) float64 inverse depths of `begin_frame`, 1/metres.
        vertices: V.
        faces: (F, 3) int32 vertices of each triangle.
        uvs: (T, 2) texture coordinates, 0..1.
        uv_faces: (F, 3) int32 rows of `uvs` for the corners of each triangle.
        paint: (h, w, 8) paint texture: albedo (3), mask logit, gloss, padding.
        paint_high: h.
        paint_wide: w.
        smooth: (B, H/2, W/2, 32) float32 output of `convolve`: 8 channels, each as 2x2 pixels.
        active: (B, 2, H/2) int32 active columns of `extend`; outside of them there is only
            background.
        background: (H, W, 3) uint8 RGB.
        slope: Growth of the mask's logit from soft coverage 0 to 1, as `PaintOver.slope`.
        offset: Mask's logit at soft coverage 0, as `PaintOver.offset`.
        size: H and W: rows and columns of the image.
        nv12: (B, 3 H/2, W) uint8, filled: H rows of luma, then H/2 rows of interleaved chroma.
        block: 2x2 pixels of a program.
    """
    half = size // 2
    i = tl.program_id(0) * block + tl.arange(0, block)
    real = i < half * half
    y, x = i // half * 2, i % half * 2
    out = nv12 + tl.program_id(1) * size * (size + half)
    reds, greens, blues = i * 0, i * 0, i * 0
    # Not unrolled: four times as much code would take four times as long to compile.
    for n in range(4):
        red, green, blue = _colours(
            y + n // 2, x + n % 2, real, tl.program_id(1),
            keys, blend, soft, xy, inverse, vertices, faces, uvs, uv_faces, paint, paint_high,
            paint_wide, smooth, active, background, slope, offset, size,
        )  # fmt: skip
        r, g, b = red.to(tl.int32), green.to(tl.int32), blue.to(tl.int32)
        tl.store(out + (y + n // 2) * size + x + n % 2, luma_of(r, g, b), mask=real)
        reds += r
        greens += g
        blues += b
    first, second = chroma_of(reds, greens, blues)
    out += size * size + y // 2 * size + x
    tl.store(out, first, mask=real)
    tl.store(out + 1, second, mask=real)


@triton.jit
def _colours(
    y: tl.tensor,
    x: tl.tensor,
    real: tl.tensor,
    frame: tl.tensor,
    keys: tl.tensor,
    blend: tl.tensor,
    soft: tl.tensor,
    xy: tl.tensor,
    inverse: tl.tensor,
    vertices: tl.tensor,
    faces: tl.tensor,
    uvs: tl.tensor,
    uv_faces: tl.tensor,
    paint: tl.tensor,
    paint_high: tl.tensor,
    paint_wide: tl.tensor,
    smooth: tl.tensor,
    active: tl.tensor,
    background: tl.tensor,
    slope: tl.tensor,
    offset: tl.tensor,
    size: tl.tensor,
) -> Any:
    """Return red, green and blue (uint8) of some pixels; arguments of `compose`."""
    half, pixels = size // 2, size * size
    i = y * size + x
    hy, hx = y // 2, x // 2
    active += frame * 2 * half
    left = tl.load(active + hy, mask=real, other=0)
    on = real & (hx >= left) & (hx < tl.load(active + half + hy, mask=real, other=0))
    keys += frame * pixels
    xy += frame * vertices * 2
    inverse += frame * vertices
    red, green, blue, paint_logit, paint_gloss = _paint(
        keys, xy, inverse, faces, uvs, uv_faces, paint, paint_high, paint_wide, size, i, on
    )
    code = tl.load(blend + frame * pixels + i, mask=on, other=0).to(tl.int32)
    mixed = on & (code > 0)
    beside = tl.where(mixed, i + neighbour(code, size), 0)
    red_2, green_2, blue_2, logit_2, gloss_2 = _paint(
        keys, xy, inverse, faces, uvs, uv_faces, paint, paint_high, paint_wide, size, beside, mixed
    )
    share = (code >> 2).to(tl.float32) / _SHARE_UNIT
    paint_logit += share * (logit_2 - paint_logit)
    gloss = paint_gloss + share * (gloss_2 - paint_gloss)
    made = smooth + ((frame * half + hy) * half + hx) * _OUTPUTS + 2 * (y % 2) + x % 2
    logit = tl.load(made + _MASK_LOGIT, mask=on, other=0.0)
    logit += paint_logit
    covered = tl.load(soft + frame * pixels + i, mask=on, other=0).to(tl.float32)
    logit += slope * (covered / _SOFT_MAX) + offset
    mask = tl.where(on, 1 / (1 + tl.exp(-logit)), 0.0)
    gloss *= tl.load(made + _GLOSS_GAIN, mask=on, other=0.0)
    behind = background + i * 3
    return (
        _channel(red + share * (red_2 - red), gloss, mask, made, behind, 0, on, real),
        _channel(green + share * (green_2 - green), gloss, mask, made, behind, 1, on, real),
        _channel(blue + share * (blue_2 - blue), gloss, mask, made, behind, 2, on, real),
    )


@triton.jit
def _channel(
    albedo: tl.tensor,
    gloss: tl.tensor,
    mask: tl.tensor,
    made: tl.tensor,
    behind: tl.tensor,
    channel: tl.constexpr,
    on: tl.tensor,
    real: tl.tensor,
) -> Any:
    """Return one colour (uint8) of some pixels, over the background."""
    gain = 1 + tl.load(made + _ALBEDO_GAIN + 4 * channel, mask=on, other=0.0)
    colour = tl.load(made + 4 * channel, mask=on, other=0.0)
    colour += gain * albedo + gloss
    backdrop = tl.load(behind + channel, mask=real, other=0).to(tl.float32)
    value = mask * colour * 255 + (1 - mask) * backdrop
    value = tl.minimum(tl.maximum(value, 0.0), 255.0)
    # The conversion truncates, so half a unit more rounds.
    return (value + 0.5).to(tl.uint8)


@triton.jit
def _paint(
    keys: tl.tensor,
    xy: tl.tensor,
    inverse: tl.tensor,
    faces: tl.tensor,
    uvs: tl.tensor,
    uv_faces: tl.tensor,
    paint: tl.tensor,
    high: tl.tensor,
    wide: tl.tensor,
    size: tl.tensor,
    pixel: tl.tensor,
    on: tl.tensor,
) -> Any:
    """Return the paint of some pixels of the flat image: albedo (3), mask logit, gloss."""
    key = tl.load(keys + pixel, mask=on, other=EMPTY_KEY)
    seen = key != EMPTY_KEY
    # The lower half of a key is the triangle, see `rasterize`.
    f = tl.where(seen, key & 0xFFFFFFFF, 0).to(tl.int32)
    _, _, _, wa, wb, wc = corner_weights(xy, inverse, faces, f, pixel % size, pixel // size, seen)
    u = texture_position(uvs, uv_faces, f, wa, wb, wc, 0)
    v = texture_position(uvs, uv_faces, f, wa, wb, wc, 1)
    x0, x1, fx = texels_around(u, wide)
    y0, y1, fy = texels_around(v, high)
    above, below = paint + y0 * wide * PAINT_STRIDE, paint + y1 * wide * PAINT_STRIDE
    x0, x1 = x0 * PAINT_STRIDE, x1 * PAINT_STRIDE
    return (
        _texel(above, below, x0, x1, fx, fy, 0, seen),
        _texel(above, below, x0, x1, fx, fy, 1, seen),
        _texel(above, below, x0, x1, fx, fy, 2, seen),
        _texel(above, below, x0, x1, fx, fy, 3, seen),
        _texel(above, below, x0, x1, fx, fy, 4, seen),
    )


@triton.jit
def _texel(
    above: tl.tensor,
    below: tl.tensor,
    x0: tl.tensor,
    x1: tl.tensor,
    fx: tl.tensor,
    fy: tl.tensor,
    channel: tl.constexpr,
    seen: tl.tensor,
) -> Any:
    """Look one channel of the paint texture up bilinearly; 0 off the head."""
    upper = tl.load(above + x0 + channel, mask=seen, other=0.0) * (1 - fx)
    upper += tl.load(above + x1 + channel, mask=seen, other=0.0) * fx
    lower = tl.load(below + x0 + channel, mask=seen, other=0.0) * (1 - fx)
    lower += tl.load(below + x1 + channel, mask=seen, other=0.0) * fx
    return upper * (1 - fy) + lower * fy
