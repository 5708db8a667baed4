"""RGB to NV12 in integers: BT.601, limited range. The reference of kernels that fill NV12."""

from __future__ import annotations

import torch
from torch import Tensor

from models.contract.images import BLACK_LUMA, GREY_CHROMA

BITS = 15
"""Fractional bits of the matrix: sums of four pixels times a weight fit 32 bits."""
LUMA = (8414, 16519, 3208)
"""65.481, 128.553 and 24.966 over 255, in units of 2^-15."""
BLUE = (-4857, -9535, 14392)
"""-37.797, -74.203 and 112 over 255; they add to 0, so that grey has no colour."""
RED = (14392, -12051, -2341)
"""112, -93.786 and -18.214 over 255."""
LUMA_OFFSET = (BLACK_LUMA << BITS) + (1 << (BITS - 1))
"""Luma of black, and half a unit for rounding."""
CHROMA_OFFSET = (GREY_CHROMA << (BITS + 2)) + (1 << (BITS + 1))
"""Chroma of grey and half a unit, for sums of four pixels."""


def rgb_to_nv12(rgb: Tensor) -> Tensor:
    """Convert an image in plain torch.

    Args:
        rgb: (H, W, 3) uint8, H and W even.

    Returns:
        (3 H/2, W) uint8: H rows of luma, then H/2 rows of interleaved chroma, the means of 2x2
        pixels.
    """
    colours = rgb.int()
    luma = (_weighted(LUMA, colours) + LUMA_OFFSET) >> BITS
    height, width = luma.shape
    sums = colours.reshape(height // 2, 2, width // 2, 2, 3).sum(dim=(1, 3), dtype=torch.int32)
    chroma = [(_weighted(row, sums) + CHROMA_OFFSET) >> (BITS + 2) for row in (BLUE, RED)]
    by_turns = torch.stack(chroma, dim=-1).reshape(height // 2, width)
    return torch.cat([luma, by_turns]).byte()


def _weighted(weights: tuple[int, int, int], colours: Tensor) -> Tensor:
    """Return the sum (...) of colours (..., 3) times weights."""
    return (colours * torch.tensor(weights, dtype=torch.int32)).sum(dim=-1, dtype=torch.int32)
