"""The neural texture: learned features on the head's surface, looked up once per pixel.

Trained as a Laplacian pyramid, after Deferred Neural Rendering (Thies et al. 2019), so that texels
that are seldom visible still get a gradient through the coarse levels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.contract.channels import COLOUR_CHANNELS
from models.geometry.spherical_harmonics import BASES, spherical_harmonics

LEVELS = ".levels."
"""Part of the names of the weights of textures, and of no other weights."""


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
            raise ValueError(
                f"expected a size that can be halved {levels - 1} times, got {size} texels"
            )
        self.channels = channels
        self.levels = nn.ParameterList(
            # Divided by the number of levels, so that their sum starts in 0..1, like colours.
            nn.Parameter(torch.rand(1, channels, size >> i, size >> i) / levels)
            for i in range(levels)
        )

    def forward(self, uv: Tensor) -> Tensor:
        """Look every level up and add the results, as the paper does.

        Args:
            uv: (B, H, W, 2) in [-1, 1], x first, as `F.grid_sample` takes it.

        Returns:
            (B, C, H, W) features.
        """
        return torch.stack([sample_texels(level, uv) for level in self.levels]).sum(dim=0)

    def texels(self) -> Tensor:
        """Add the levels up at the finest resolution, with bilinear upsampling.

        A lookup in the sum is not equal to `forward`, because a coarse level is then interpolated
        twice; networks must be run with the form that they were trained with.

        Returns:
            (1, C, size, size), for one lookup per pixel.
        """
        total: Tensor = self.levels[-1]
        for level in reversed(self.levels[:-1]):
            total = level + F.interpolate(total, scale_factor=2, mode="bilinear")
        return total


def sample_texels(texels: Tensor, uv: Tensor) -> Tensor:
    """Look a texture up bilinearly, clamped at its borders.

    Args:
        texels: (1, C, h, w) texture.
        uv: (B, H, W, 2) texture coordinates in [-1, 1].

    Returns:
        (B, C, H, W).
    """
    batch, height, width, _ = uv.shape
    # The batch becomes rows of one tall image: expanding the texture to the batch would allocate a
    # gradient of the texture's size per sample.
    tall = uv.reshape(1, batch * height, width, 2)
    sampled = F.grid_sample(texels, tall, padding_mode="border", align_corners=False)
    return sampled.reshape(-1, batch, height, width).transpose(0, 1)


def harmonic_scale(direction: Tensor, channels: int) -> Tensor:
    """Compute the scale of each texture channel for a view.

    Args:
        direction: (B, 3) unit direction from head to eye.
        channels: C of the texture.

    Returns:
        (B, C): 1 for colour, the nine harmonics for the next channels, 1 for all others.

    Raises:
        ValueError: If there are too few channels for colour and harmonics.
    """
    if channels < COLOUR_CHANNELS + BASES:
        raise ValueError(f"channels must be at least {COLOUR_CHANNELS + BASES}, got {channels}")
    ones = direction.new_ones(len(direction), COLOUR_CHANNELS)
    rest = direction.new_ones(len(direction), channels - COLOUR_CHANNELS - BASES)
    return torch.cat([ones, spherical_harmonics(direction), rest], dim=1)
