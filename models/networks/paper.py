"""The paper's networks, as published: the generator with its cache, and the warp in two forms.

`PaperWarp.forward` is the plain form. `prepare` and `warp` are the split form: `prepare` computes
once per full render what does not depend on the current frame, so that each frame convolves 10 live
channels instead of 256n + 42. Both are equal up to rounding, because convolution and upsampling are
linear, and ReLU works channel by channel.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.geometry.spherical_harmonics import spherical_harmonics
from models.networks.conditioning import Conditioning
from models.networks.generator import Generator, UpsampledConv
from models.networks.motion import CODE, MotionCode

SKIP = 8
"""Extra feature channels the generator hands to the warp at two resolutions."""


class PaperRender(NamedTuple):
    """A full render of a batch of frames."""

    rgb: Tensor
    """(B, 3, H, W), normalised by the training set's mean and deviation (`IMAGE_MEAN`)."""
    mask_logit: Tensor
    """(B, 1, H, W) logit of the mask."""
    cache: PaperCache


class PaperCache(NamedTuple):
    """The features that a full render keeps for the warp."""

    features: Tensor
    """(B, 256n, H/4, W/4) features of the full render at a quarter of the resolution."""
    skip_4: Tensor
    """(B, 8, H/4, W/4) extra features of the fourth up block."""
    skip_5: Tensor
    """(B, 8, H/2, W/2) extra features of the fifth up block."""


class PreparedPaperCache(NamedTuple):
    """A cache with its contribution to the warp's first convolution computed."""

    first: Tensor
    """(B, 128n, H/2, W/2) contribution to the first convolution, bias included."""
    skip_4: Tensor
    """(B, 8, H/4, W/4) extra features of the fourth up block."""
    skip_5: Tensor
    """(B, 8, H/2, W/2) extra features of the fifth up block."""


class PaperGenerator(nn.Module):
    """The generator with the paper's outputs.

    Args:
        channels: Channels of the neural texture.
        network_size: n.
    """

    def __init__(self, channels: int, network_size: float) -> None:
        super().__init__()
        self.unet = Generator(
            channels,
            network_size,
            first=lambda i, o: nn.Conv2d(i, o, 4, 2, 1),
            last=lambda i: UpsampledConv(i, 4 + SKIP),
            normalize=True,
        )

    def forward(self, features: Tensor) -> PaperRender:
        """Render from (B, C, H, W) texture features, already scaled by the view's harmonics."""
        made = self.unet(features)
        cache = PaperCache(made.third, _halved(made.fourth[:, -SKIP:]), _halved(made.output[:, 4:]))
        return PaperRender(made.output[:, :3], made.output[:, 3:4], cache)


class PaperWarp(nn.Module):
    """The warp: two convolutions from an older frame's cache to the current frame.

    Args:
        network_size: n.
        pose: Number of pose parameters.
        camera: Number of camera parameters.
        expression: Number of expression coefficients.
    """

    def __init__(self, network_size: float, pose: int, camera: int, expression: int) -> None:
        super().__init__()
        self.cached_channels = round(256 * network_size)
        hidden = round(128 * network_size)
        self.motion = MotionCode(pose, camera, expression)
        self.first = nn.Conv2d(SKIP + self.cached_channels + CODE + 2, hidden, 3, padding=1)
        self.second = nn.Conv2d(SKIP + hidden, 4, 3, padding=1)

    def forward(
        self, cache: PaperCache, uv_change: Tensor, now: Conditioning, cached: Conditioning
    ) -> tuple[Tensor, Tensor]:
        """Warp in the plain form.

        Args:
            cache: Features of the older frame.
            uv_change: (B, 2, H, W) UV map of the current frame minus that of the older one.
            now: Conditioning of the current frame.
            cached: Conditioning of the older frame.

        Returns:
            (B, 3, H, W) RGB, normalised, and (B, 1, H, W) mask logit.
        """
        skip_4, skip_5 = self._scaled_skips(cache.skip_4, cache.skip_5, now, cached)
        code = self.motion(now, cached)[..., None, None]
        code = code.expand(-1, -1, *cache.features.shape[-2:])
        joined = torch.cat([skip_4, cache.features, code, _quartered(uv_change)], dim=1)
        x = F.instance_norm(self.first(_doubled(F.relu(joined))))
        return self._finish(skip_5, x)

    def prepare(self, cache: PaperCache) -> PreparedPaperCache:
        """Compute the cache's contribution to the warp, once per full render."""
        # The convolution is linear in what follows the ReLU and the doubling, so the cached
        # channels' part of it needs no input of a later frame.
        weight = self.first.weight[:, SKIP : SKIP + self.cached_channels]
        doubled = _doubled(F.relu(cache.features))
        first = F.conv2d(doubled, weight, self.first.bias, padding=1)
        return PreparedPaperCache(first, cache.skip_4, cache.skip_5)

    def warp(
        self,
        prepared: PreparedPaperCache,
        uv_change: Tensor,
        now: Conditioning,
        cached: Conditioning,
    ) -> tuple[Tensor, Tensor]:
        """Warp in the split form.

        Args:
            prepared: Prepared cache of the older frame.
            uv_change: (B, 2, H, W) UV map of the current frame minus that of the older one.
            now: Conditioning of the current frame.
            cached: Conditioning of the older frame.

        Returns:
            (B, 3, H, W) RGB, normalised, and (B, 1, H, W) mask logit.
        """
        skip_4, skip_5 = self._scaled_skips(prepared.skip_4, prepared.skip_5, now, cached)
        weight = self.first.weight
        # Skips and UV change are at both ends of the input channels, as published.
        live = torch.cat([skip_4, _quartered(uv_change)], dim=1)
        live_weight = torch.cat([weight[:, :SKIP], weight[:, -2:]], dim=1)
        x = prepared.first + F.conv2d(_doubled(F.relu(live)), live_weight, padding=1)
        code_weight = weight[:, SKIP + self.cached_channels : -2]
        x = x + _convolved_constant(self.motion(now, cached), code_weight, x.shape[-2:])
        return self._finish(skip_5, F.instance_norm(x))

    def _finish(self, skip_5: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Apply the second convolution; return RGB and mask logit."""
        output = self.second(_doubled(F.relu(torch.cat([skip_5, x], dim=1))))
        return output[:, :3], output[:, 3:]

    def _scaled_skips(
        self, skip_4: Tensor, skip_5: Tensor, now: Conditioning, cached: Conditioning
    ) -> tuple[Tensor, Tensor]:
        """Scale the skips by how much the harmonics of the pose have changed since."""
        change = spherical_harmonics(now.pose[:, :3]) - spherical_harmonics(cached.pose[:, :3])
        scale = change[:, 1:, None, None]  # without the constant basis function
        return skip_4 * scale, skip_5 * scale


def _convolved_constant(code: Tensor, weight: Tensor, size: torch.Size) -> Tensor:
    """Convolve an image that is constant per channel, at the cost of a 3x3 image.

    Zero padding cuts taps off in the outermost ring of pixels, so the result has nine different
    values: four corners, four edges, inside.

    Args:
        code: (B, K) the constant of each channel.
        weight: (C, K, 3, 3) weights of the convolution.
        size: H and W of the result.

    Returns:
        (B, C, H, W).
    """
    nine = F.conv2d(code[..., None, None].expand(-1, -1, 3, 3), weight, padding=1)
    rows = torch.ones(size[0], dtype=torch.long, device=code.device)
    columns = torch.ones(size[1], dtype=torch.long, device=code.device)
    rows[0], rows[-1], columns[0], columns[-1] = 0, 2, 0, 2
    return nine[:, :, rows][:, :, :, columns]


def _doubled(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="bilinear")


def _halved(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=0.5, mode="bilinear")


def _quartered(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=0.25, mode="bilinear")
