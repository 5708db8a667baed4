"""Blends and cover of pixels, from the crossings of silhouettes. Reference: `geometry.silhouettes`,
to the bit.

A launch of its own: a pixel needs the crossings around it, and `resolve` the cover around a pixel.
"""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.geometry.silhouettes import COVER_MAX, MOST_SHARE, SHARE_UNIT
from models.kernels.cuda.begin_frame import EMPTY_KEY

_COVER_MAX = tl.constexpr(COVER_MAX)
_MOST_SHARE = tl.constexpr(MOST_SHARE)
_SHARE_UNIT = tl.constexpr(SHARE_UNIT)
_MIDDLE = tl.constexpr(SHARE_UNIT // 2)


@triton.jit
def blend_edges(
    keys: tl.tensor,
    crossings: tl.tensor,
    size: tl.tensor,
    blend: tl.tensor,
    cover: tl.tensor,
    block: tl.constexpr,
) -> None:
    """Turn crossings into blends and cover.

    Grid: (H W / block, B).

    Args:
        keys: (B, H, W) of `rasterize`.
        crossings: (B, H, W, 2) of `cross_edges`.
        size: Rows and columns of the image.
        blend: (B, H, W) uint8, filled as `EdgeBlends.blend`.
        cover: (B, H, W) uint8, filled as `EdgeBlends.cover`.
        block: Pixels of a program.
    """
    frame = tl.program_id(1)
    pixels = size * size
    i = tl.program_id(0) * block + tl.arange(0, block)
    real = i < pixels
    y, x = i // size, i % size
    keys += frame * pixels
    crossings += frame * pixels * 2
    code = _code(crossings + i * 2, real, 0, 0)
    code = tl.maximum(code, _code(crossings + i * 2 + 1, real, 1, 0))
    code = tl.maximum(code, _code(crossings + (i - 1) * 2, real & (x > 0), 0, 1))
    code = tl.maximum(code, _code(crossings + (i - size) * 2 + 1, real & (y > 0), 1, 1))
    share = code >> 2
    beside = i + neighbour(code, size)
    here = tl.load(keys + i, mask=real, other=EMPTY_KEY) != EMPTY_KEY
    there = tl.load(keys + beside, mask=real & (code > 0), other=EMPTY_KEY) != EMPTY_KEY
    covered = tl.where(here, _SHARE_UNIT - share, 0) + tl.where(there, share, 0)
    filled = (_COVER_MAX * covered + _SHARE_UNIT // 2) // _SHARE_UNIT
    tl.store(blend + frame * pixels + i, code.to(tl.uint8), mask=real)
    tl.store(cover + frame * pixels + i, filled.to(tl.uint8), mask=real)


@triton.jit
def neighbour(code: tl.tensor, size: tl.tensor) -> Any:
    """Return by how many pixels of the flat image the neighbour of each blend is further."""
    return (2 * (code & 1) - 1) * tl.where((code & 2) > 0, size, 1)


@triton.jit
def _code(crossing: tl.tensor, real: tl.tensor, axis: tl.constexpr, second: tl.constexpr) -> Any:
    """Return the blends of the first or the second pixels of pairs, 0 where the other one mixes."""
    value = tl.load(crossing, mask=real, other=0)
    distance, inner_second = (value - 1) >> 1, (value - 1) & 1
    mixes_second = tl.where(distance < _MIDDLE, inner_second, 1 - inner_second)
    share = tl.minimum(tl.abs(distance - _MIDDLE), _MOST_SHARE)
    code = share << 2 | axis << 1 | (1 - second)
    return tl.where((value > 0) & (mixes_second == second) & (share > 0), code, 0)
