"""A head without background: its colours beyond the outline, and frames over other backgrounds.

The reference implementation of `layers_numba.py`.

Beyond its outline the networks' colours of a head are arbitrary, and dark where the outline is
soft, so over a bright background they would show as a fringe. Colours are therefore continued from
inside: a pixel counts as far as it is covered, and the rest of its colour comes from an image of
half the size, in which each pixel is the mean of those that count, and so on. What a video encoder
or a scaler mixes into the outline then is a colour of the head, too.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from models.contract.backdrop import Backdrop
from models.contract.images import BLACK_LUMA, GREY_CHROMA, LAYER_GAP, WHITE_LUMA
from models.kernels.nv12 import rgb_to_nv12

LEVELS = 4
"""Halvings of the image: colours continue for some 16 pixels, a macroblock, and fade to grey."""
GREY = 128
"""The colour further away."""
LEAST_MASK, MASK_SCALE = 1 / 64, 64 / 62
"""Masks up to 1/64 from 0 or 1 count as these: networks leave some thousandths beside the head,
which would be a veil over another background."""


def layers_of(rgb: Tensor, mask: Tensor) -> Tensor:
    """Return the layers (H, W, 4) uint8 of a head.

    Args:
        rgb: (H, W, 3) colours in about 0..1.
        mask: (H, W) in 0..1.
    """
    coverage = ((mask - LEAST_MASK) * MASK_SCALE).clamp(0, 1)
    return (torch.dstack([rgb.clamp(0, 1), coverage]) * 255 + 0.5).byte()


def extend_colours(layers: Tensor) -> Tensor:
    """Continue the colours of a head beyond its outline.

    Args:
        layers: (H, W, 4) uint8, H and W multiples of 2^`LEVELS`.

    Returns:
        (H, W, 3) uint8.
    """
    levels = [_counted(layers)]
    for _ in range(LEVELS):
        sums = 4 * F.avg_pool2d(levels[-1].permute(2, 0, 1)[None], 2)[0].permute(1, 2, 0)
        levels.append(sums / sums[..., 3:].clamp(min=1))
    colours = torch.full_like(levels[-1][..., :3], GREY)
    for level in reversed(levels):
        if colours.shape != level[..., :3].shape:
            colours = _enlarged(colours)
        colours = level[..., :3] + (1 - level[..., 3:]) * colours
    return (colours + 0.5).byte()


def _counted(layers: Tensor) -> Tensor:
    """Return (H, W, 4): colours times the share at which each counts, and this share."""
    values = layers.float()
    # Not below a half, where the colours of the networks are no longer those of the head.
    share = (values[..., 3:] * 2 - 255).clamp(min=0) / 255
    return torch.cat([values[..., :3] * share, share], dim=-1)


def _enlarged(colours: Tensor) -> Tensor:
    """Enlarge an image (h, w, 3) twice, bilinearly."""
    planes = colours.permute(2, 0, 1)[None]
    twice = F.interpolate(planes, scale_factor=2, mode="bilinear", align_corners=False)
    return twice[0].permute(1, 2, 0)


def over_colour(layers: Tensor, colour: tuple[int, int, int]) -> Tensor:
    """Return an image (H, W, 3) uint8 of a head over one colour.

    Args:
        layers: (H, W, 4) uint8.
        colour: Red, green, blue.
    """
    cover = layers[..., 3:].int()
    mixed = cover * extend_colours(layers) + (255 - cover) * torch.tensor(colour)
    return ((mixed + 127) // 255).byte()


def over_nothing(layers: Tensor) -> Tensor:
    """Return a layered frame, NV12, see `layered_rows`.

    Args:
        layers: (H, W, 4) uint8.

    Returns:
        (3 R/2, W) uint8, R the rows of a layered frame.
    """
    height, width, _ = layers.shape
    above = rgb_to_nv12(extend_colours(layers))
    luma, chroma = above[:height], above[height:]
    span = WHITE_LUMA - BLACK_LUMA
    coverage = (BLACK_LUMA + (layers[..., 3].int() * span + 127) // 255).byte()
    half = LAYER_GAP // 2
    no_colour = torch.full((half // 2 + height // 2, width), GREY_CHROMA, dtype=torch.uint8)
    parts = [
        luma, luma[-1:].expand(half, -1), coverage[:1].expand(half, -1), coverage,
        chroma, chroma[-1:].expand(half // 2, -1), no_colour,
    ]  # fmt: skip
    return torch.cat(parts)


def finish(layers: Tensor, backdrop: Backdrop) -> Tensor:
    """Return a frame, NV12, of a head over a backdrop.

    Args:
        layers: (H, W, 4) uint8.
        backdrop: What is behind the head.
    """
    if backdrop.colour is None:
        return over_nothing(layers)
    return rgb_to_nv12(over_colour(layers, backdrop.colour))
