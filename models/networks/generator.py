"""The U-Net of full renders: from texture features to an image, with inner features to cache."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LOW_PASS_SIGMA = 2.0
"""Sigma of the 3x3 Gaussian on the bottleneck, pixels there; the paper's."""
_LEAK = 0.2
"""Slope of LeakyReLU below 0; the paper's."""


class GeneratorOutput(NamedTuple):
    """The generator's output and the inner features that are cached."""

    output: Tensor
    """Output of the last block, with the channels and resolution of its layer."""
    third: Tensor
    """(B, 256n, H/4, W/4) after the third up block."""
    fourth: Tensor
    """(B, 128n, H/2, W/2) after the fourth up block."""


class UpsampledConv(nn.Module):
    """Bilinear upsampling, then a 3x3 convolution: the paper's last block."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, in, H/2, W/2) to (B, out, H, W)."""
        made: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode="bilinear"))
        return made


class Generator(nn.Module):
    """The paper's U-Net (supplement, after Deferred Neural Rendering).

    Args:
        in_channels: Channels of the input.
        network_size: n; all channel counts are proportional to it.
        first: Builds the first down block from its input and output channels.
        last: Builds the last up block from its input channels.
        normalize: Whether to use instance normalisation, as the paper does. Without it nothing
            depends on statistics of the whole image, so the features of a crop are the crop of the
            features: the network can be trained on crops, and does not flicker when another part of
            the image changes.
    """

    low_pass: Tensor

    def __init__(
        self,
        in_channels: int,
        network_size: float,
        first: Callable[[int, int], nn.Module],
        last: Callable[[int], nn.Module],
        normalize: bool,
    ) -> None:
        super().__init__()
        down = [in_channels, *(round(c * network_size) for c in (64, 128, 256, 512, 512))]
        halving = (nn.Conv2d(i, o, 4, 2, 1) for i, o in pairwise(down[1:]))
        self.down = nn.ModuleList([first(down[0], down[1]), *halving])
        # Skip connections add their channels to the input of all blocks but the first.
        up_in = [
            down[5],
            down[5] + down[4],
            down[4] + down[3],
            down[3] + down[2],
            down[2] + down[1],
        ]
        up_out = [down[5], down[4], down[3], down[2]]
        self.up = nn.ModuleList(
            nn.Conv2d(i, o, 3, padding=1) for i, o in zip(up_in, up_out, strict=False)
        )
        self.last = last(up_in[4])
        self.normalize = normalize
        self.register_buffer("low_pass", _gaussian3(LOW_PASS_SIGMA), persistent=False)

    def forward(self, features: Tensor) -> GeneratorOutput:
        """Render a batch of images of H x W pixels, both divisible by `contract.images.STRIDE`.

        Args:
            features: (B, in_channels, H, W) if `first` halves the resolution, as the paper's, else
                (B, in_channels, H/2, W/2).
        """
        # As published: no activation before the first block, normalisation after blocks 1 to 3.
        skips = [self.down[0](features)]
        for index, layer in enumerate(self.down[1:], start=1):
            x = layer(F.leaky_relu(skips[-1], _LEAK))
            skips.append(self._normalized(x) if index in (1, 2, 3) else x)
        x = self._blurred(skips.pop())
        made = []
        for index, layer in enumerate(self.up):
            joined = x if index == 0 else torch.cat([skips.pop(), x], dim=1)
            x = layer(F.interpolate(F.relu(joined), scale_factor=2, mode="bilinear"))
            made.append(x := self._normalized(x))
        output = self.last(F.relu(torch.cat([skips.pop(), x], dim=1)))
        return GeneratorOutput(output=output, third=made[2], fourth=made[3])

    def _normalized(self, x: Tensor) -> Tensor:
        """Normalise each channel of each image, if configured."""
        return F.instance_norm(x) if self.normalize else x

    def _blurred(self, x: Tensor) -> Tensor:
        """Low-pass each channel."""
        kernel = self.low_pass.to(x.dtype).expand(x.shape[1], 1, 3, 3)
        return F.conv2d(x, kernel, padding=1, groups=x.shape[1])


def _gaussian3(sigma: float) -> Tensor:
    """Return a Gaussian (1, 1, 3, 3) kernel that sums to 1."""
    line = torch.exp(-(torch.tensor([-1.0, 0.0, 1.0]) ** 2) / (2 * sigma**2))
    kernel = line[:, None] * line
    return (kernel / kernel.sum())[None, None]
