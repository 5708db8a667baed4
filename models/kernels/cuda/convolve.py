"""Both convolutions of the warp, with the reprojected cache. References: `TelewarpWarp.reproject`,
`TelewarpTorchRuntime.convolve`.

One kernel, so that hidden channels never go to memory. The cache is gathered where it is added, and
a crossfade mixes two caches there, instead of in memory before each warp. Hidden channels are
computed some at a time, and each part goes through the second convolution at once: all 256 of a
network of size 2 together would not fit into registers.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.contract.channels import OUTPUT_CHANNELS
from models.kernels.cuda.begin_frame import load_mixed
from models.kernels.cuda.parameters import FIRST, RESIDUAL, SECOND, SHARE
from models.kernels.cuda.resolve import nearest_pixel

_OUTPUTS = tl.constexpr(4 * OUTPUT_CHANNELS)


@triton.jit
def convolve(
    addresses: tl.tensor,
    narrow: tl.tensor,
    row: tl.tensor,
    live: tl.tensor,
    live_weight: tl.tensor,
    hidden_weight: tl.tensor,
    code: tl.tensor,
    trust: tl.tensor,
    positions: tl.tensor,
    active: tl.tensor,
    size: tl.tensor,
    hidden: tl.tensor,
    stride: tl.tensor,
    smooth: tl.tensor,
    rows: tl.constexpr,
    columns: tl.constexpr,
    channels: tl.constexpr,
    lanes: tl.constexpr,
    dtype: tl.constexpr,
) -> None:
    """Convolve a tile.

    Grid: (H/2 / rows * W/2 / columns, B), each quotient rounded up.

    Args:
        addresses: (B, row) int64 parameters, read for the addresses of the caches' tensors.
        narrow: (B, 2 row) float32: `addresses` seen as float32, read for the share of the
            crossfade.
        row: Length of a row, 8-byte words.
        live: (B, H/2 + 2, W/2 + 2, P) live inputs of `resolve`.
        live_weight: (3, 3, P, stride) weights of the first convolution; 0 for padded channels.
        hidden_weight: (stride, 32) weights of the second convolution.
        code: (B, hidden) of `begin_frame`: the motion code's contribution to the first convolution.
        trust: (B,) of `begin_frame`: weight of the residual.
        positions: (B, H/2, W/2, 2) source positions of `extend`, pixels at half resolution.
        active: (B, 2, H/2) int32 active columns of `extend`; pixels outside of them are not
            computed.
        size: Rows and columns of the image.
        hidden: Channels of the first convolution.
        stride: `hidden`, rounded up to a multiple of `lanes`.
        smooth: (B, H/2, W/2, 32) float32, filled in the active region.
        rows: Rows of a tile.
        columns: Columns of a tile.
        channels: P.
        lanes: Channels of the first convolution that are computed at once, a power of two of at
            least 16.
        dtype: Type of `live`, of the weights and of the cache.
    """
    frame = tl.program_id(1)
    half = size // 2
    across = tl.cdiv(half, columns)
    m = tl.arange(0, rows * columns)
    y = tl.program_id(0) // across * rows + m // columns
    x = tl.program_id(0) % across * columns + m % columns
    inside = (y < half) & (x < half)
    active += frame * 2 * half
    left = tl.load(active + y, mask=inside, other=0)
    on = inside & (x >= left) & (x < tl.load(active + half + y, mask=inside, other=0))
    if tl.max(on.to(tl.int32), axis=0) > 0:
        live += frame * (half + 2) * (half + 2) * channels
        share = tl.load(narrow + frame * row * 2 + SHARE)
        at = positions + ((frame * half + y) * half + x) * 2
        sx = tl.load(at, mask=on, other=0.5)
        sy = tl.load(at + 1, mask=on, other=0.5)
        # First and second layer by the nearest pixel, as `reproject_nearest`; the residual
        # bilinearly.
        nearest = nearest_pixel(sy, half) * half + nearest_pixel(sx, half)
        addresses += frame * row
        k = tl.arange(0, _OUTPUTS)[None, :]
        outputs = on[:, None] & (k >= 0)
        out = load_mixed(addresses + SECOND, share, nearest[:, None] * _OUTPUTS + k, outputs, dtype)
        residual = _bilinear(addresses + RESIDUAL, share, half, sx, sy, k, outputs, dtype)
        out += tl.load(trust + frame) * residual
        # The hidden channels of a tile stay in registers between both convolutions.
        for first in range(0, hidden, lanes):
            o = first + tl.arange(0, lanes)
            made = _first_convolution(
                live, live_weight + o, stride, half, y, x, on, rows * columns, channels, lanes
            )
            wanted = on[:, None] & (o < hidden)[None, :]
            made += load_mixed(
                addresses + FIRST, share, nearest[:, None] * hidden + o[None, :], wanted, dtype
            )
            made += tl.load(code + frame * hidden + o, mask=o < hidden, other=0.0)[None, :]
            weight = tl.load(hidden_weight + o[:, None] * _OUTPUTS + k)
            out = tl.dot(tl.maximum(made, 0.0).to(dtype), weight, out, input_precision="ieee")
        pixel = smooth + ((frame * half + y) * half + x)[:, None] * _OUTPUTS + k
        tl.store(pixel, out, mask=outputs)


@triton.jit
def _first_convolution(
    live: tl.tensor,
    weight: tl.tensor,
    stride: tl.tensor,
    half: tl.tensor,
    y: tl.tensor,
    x: tl.tensor,
    on: tl.tensor,
    pixels: tl.constexpr,
    channels: tl.constexpr,
    lanes: tl.constexpr,
) -> Any:
    """Return some channels of the 3x3 convolution of the live inputs, (pixels, lanes) float32.

    `weight` are the addresses (lanes,) of their first weights.
    """
    made = tl.zeros([pixels, lanes], tl.float32)
    c = tl.arange(0, channels)
    for tap in range(9):
        # The border of the inputs is the padding, so the tap's row and column need no bounds.
        pixel = (y + tap // 3) * (half + 2) + x + tap % 3
        values = tl.load(live + pixel[:, None] * channels + c[None, :], mask=on[:, None], other=0.0)
        part = tl.load(weight[None, :] + (tap * channels + c[:, None]) * stride)
        made = tl.dot(values, part, made, input_precision="ieee")
    return made


@triton.jit
def _bilinear(
    pair: tl.tensor,
    share: tl.tensor,
    half: tl.tensor,
    sx: tl.tensor,
    sy: tl.tensor,
    k: tl.tensor,
    mask: tl.tensor,
    dtype: tl.constexpr,
) -> Any:
    """Sample a (H/2, W/2, 32) tensor of the cache bilinearly, clamped to the image."""
    px = tl.minimum(tl.maximum(sx - 0.5, 0.0), half - 1.0)
    py = tl.minimum(tl.maximum(sy - 0.5, 0.0), half - 1.0)
    x0, y0 = px.to(tl.int32), py.to(tl.int32)
    x1, y1 = tl.minimum(x0 + 1, half - 1), tl.minimum(y0 + 1, half - 1)
    u, v = (px - x0.to(tl.float32))[:, None], (py - y0.to(tl.float32))[:, None]
    above, below = (y0 * half)[:, None], (y1 * half)[:, None]
    left, right = x0[:, None], x1[:, None]
    w = _OUTPUTS
    upper = load_mixed(pair, share, (above + left) * w + k, mask, dtype) * (1 - u)
    upper += load_mixed(pair, share, (above + right) * w + k, mask, dtype) * u
    lower = load_mixed(pair, share, (below + left) * w + k, mask, dtype) * (1 - u)
    lower += load_mixed(pair, share, (below + right) * w + k, mask, dtype) * u
    return upper * (1 - v) + lower * v
