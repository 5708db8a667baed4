"""RGB to NV12, the input of hardware encoders. Reference: `nv12.rgb_to_nv12`, to the bit."""

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
def luma_of(red: tl.tensor, green: tl.tensor, blue: tl.tensor) -> Any:
    """Return the luma (uint8) of colours (int32, 0..255)."""
    return ((_weighted(_LUMA, red, green, blue) + _LUMA_OFFSET) >> _BITS).to(tl.uint8)


@triton.jit
def chroma_of(reds: tl.tensor, greens: tl.tensor, blues: tl.tensor) -> Any:
    """Return both chromas (uint8) of 2x2 pixels, from the sums (int32) of their colours."""
    # Sums of four pixels: two more bits.
    blue = (_weighted(_BLUE, reds, greens, blues) + _CHROMA_OFFSET) >> (_BITS + 2)
    red = (_weighted(_RED, reds, greens, blues) + _CHROMA_OFFSET) >> (_BITS + 2)
    return blue.to(tl.uint8), red.to(tl.uint8)


@triton.jit
def _weighted(weights: tl.constexpr, r: tl.tensor, g: tl.tensor, b: tl.tensor) -> Any:
    """Return a row of the conversion matrix times colours."""
    return weights[0] * r + weights[1] * g + weights[2] * b
