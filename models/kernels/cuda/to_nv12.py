"""RGB to NV12, the input of hardware encoders. Plain twin: `kernels.nv12.rgb_to_nv12`."""

from __future__ import annotations

from typing import Any

import triton
import triton.language as tl

from models.kernels.nv12 import BITS, BLUE, CHROMA_OFFSET, LUMA, LUMA_OFFSET, RED

_BITS = tl.constexpr(BITS)
_LUMA_OFFSET = tl.constexpr(LUMA_OFFSET)
_CHROMA_OFFSET = tl.constexpr(CHROMA_OFFSET)
_LUMA = tl.constexpr(LUMA)
_BLUE = tl.constexpr(BLUE)
_RED = tl.constexpr(RED)


@triton.jit
def to_nv12(rgb: tl.tensor, size: tl.tensor, nv12: tl.tensor, block: tl.constexpr) -> None:
    """Convert images.

    Grid: (H/2 W/2 / block, B).

    Args:
        rgb: (B, H, W, 3) uint8.
        size: H = W, even.
        nv12: (B, 3 H/2, W) uint8, filled: H rows of luma, then H/2 rows of both chromas by turns.
        block: 2x2 pixels of a program.
    """
    half = size // 2
    i = tl.program_id(0) * block + tl.arange(0, block)
    real = i < half * half
    y, x = i // half * 2, i % half * 2
    rgb += tl.program_id(1) * size * size * 3
    nv12 += tl.program_id(1) * size * (size + half)
    reds, greens, blues = i * 0, i * 0, i * 0
    for n in tl.static_range(4):
        pixel = (y + n // 2) * size + x + n % 2
        r = tl.load(rgb + pixel * 3, mask=real, other=0).to(tl.int32)
        g = tl.load(rgb + pixel * 3 + 1, mask=real, other=0).to(tl.int32)
        b = tl.load(rgb + pixel * 3 + 2, mask=real, other=0).to(tl.int32)
        luma = (_weighted(_LUMA, r, g, b) + _LUMA_OFFSET) >> _BITS
        tl.store(nv12 + pixel, luma.to(tl.uint8), mask=real)
        reds += r
        greens += g
        blues += b
    out = nv12 + size * size + y // 2 * size + x
    # Sums of four pixels: two more bits.
    blue = (_weighted(_BLUE, reds, greens, blues) + _CHROMA_OFFSET) >> (_BITS + 2)
    red = (_weighted(_RED, reds, greens, blues) + _CHROMA_OFFSET) >> (_BITS + 2)
    tl.store(out, blue.to(tl.uint8), mask=real)
    tl.store(out + 1, red.to(tl.uint8), mask=real)


@triton.jit
def _weighted(weights: tl.constexpr, r: tl.tensor, g: tl.tensor, b: tl.tensor) -> Any:
    """Return a row of the conversion matrix times colours."""
    return weights[0] * r + weights[1] * g + weights[2] * b
