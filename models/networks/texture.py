"""The neural texture: learned features on the head's surface, looked up once per pixel.

Stored as a Laplacian pyramid, after Deferred Neural Rendering (Thies et al. 2019), so that coarse
levels get a gradient even where the finest is seldom seen.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.contract.channels import COLOUR_CHANNELS
from models.geometry.spherical_harmonics import BASES, spherical_harmonics

LEVELS = ".levels."
"""Part of the names of all textures' weights, and of no other weights."""


class NeuralTexture(nn.Module):
    """A texture of `channels` features per texel, summed over `levels` resolutions.

    Args:
        channels: Features per texel, C.
        size: Rows and columns of the finest level, in texels.
        levels: Number of resolutions, each half the size of the one before.

    Raises:
        ValueError: If the finest level cannot be halved `levels - 1` times.
    """

    def __init__(self, channels: int, size: int, levels: int = 4) -> None:
        super().__init__()
        if size % 2 ** (levels - 1):
            raise ValueError(f"a texture of {size} texels cannot be halved {levels - 1} times")
        self.channels = channels
        self.levels = nn.ParameterList(
            nn.Parameter(torch.rand(1, channels, size >> i, size >> i) / levels)
            for i in range(levels)
        )

    def forward(self, uv: Tensor) -> Tensor:
        """Look up every level by itself and add, as the paper does.

        Args:
            uv: (B, H, W, 2) in [-1, 1], x first, as `F.grid_sample` takes them.

        Returns:
            (B, C, H, W) features.
        """
        return torch.stack([sample_texels(level, uv) for level in self.levels]).sum(dim=0)

    def texels(self) -> Tensor:
        """Add the levels up at the finest resolution, bilinearly.

        Looking this up differs from `forward` by where a coarse level's kinks lie (between texels
        here); what is trained with one must be shown with the same.

        Returns:
            (1, C, size, size): one texture, one lookup per pixel.
        """
        total: Tensor = self.levels[-1]
        for level in reversed(self.levels[:-1]):
            total = level + F.interpolate(total, scale_factor=2, mode="bilinear")
        return total


def sample_texels(texels: Tensor, uv: Tensor) -> Tensor:
    """Bilinear lookup with clamped borders.

    Args:
        texels: (1, C, h, w).
        uv: (B, H, W, 2) in [-1, 1].

    Returns:
        (B, C, H, W).
    """
    batch, height, width, _ = uv.shape
    # The batch as rows of one tall picture: expanding the texture would give every sample a
    # gradient of the texture's whole size.
    tall = uv.reshape(1, batch * height, width, 2)
    sampled = F.grid_sample(texels, tall, padding_mode="border", align_corners=False)
    return sampled.reshape(-1, batch, height, width).transpose(0, 1)


def harmonic_scale(direction: Tensor, channels: int) -> Tensor:
    """What each texture channel is multiplied by, given where the eye is.

    Args:
        direction: (B, 3).
        channels: C of the texture.

    Returns:
        (B, C): 1 for colour, the nine harmonics for the next channels, 1 for the rest.

    Raises:
        ValueError: If there are too few channels for colour and harmonics.
    """
    if channels < COLOUR_CHANNELS + BASES:
        raise ValueError(f"channels must be at least {COLOUR_CHANNELS + BASES}, got {channels}")
    ones = direction.new_ones(len(direction), COLOUR_CHANNELS)
    rest = direction.new_ones(len(direction), channels - COLOUR_CHANNELS - BASES)
    return torch.cat([ones, spherical_harmonics(direction), rest], dim=1)
