"""Our networks: the paper's idea with richer live inputs (`variant B` and more).

What differs from the paper, and why:

* The warp sees the *current* frame's neural texture, coverage, normals and mirror directions, not
  only how the UV map changed. Once the cache's share is computed beforehand these live channels are
  nearly free, and the picture stands where the face is now, not where it was.
* There are two textures. *Features* are looked up once per 2x2 pixels and go through convolutions
  at half resolution, where shading, outlines and everything smooth is made. *Paint* (albedo, gloss,
  mask) is looked up for every pixel and put on last (`paint_over`), so that fine detail needs
  neither wide lookups nor convolutions at full resolution.
* No normalisation layers, so a crop's picture is the picture's crop (see `Generator`).
* The cache is taken one block later (128n channels at half resolution), where it costs less to
  prepare.
* What is cached moves with the surface (`networks/carry.py`), and with it what the warp is known to
  miss of a full render (`TelewarpWarp`).
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.contract.channels import CAMERA_SIZE, OUTPUT_CHANNELS, POSE_SIZE
from models.geometry.gbuffer import SURFACE_CHANNELS
from models.kernels.texture_lookup import look_up
from models.networks.conditioning import Conditioning
from models.networks.generator import Generator, GeneratorOutput
from models.networks.motion import CODE, MotionCode
from models.networks.reproject import reproject_bilinear, reproject_nearest
from models.networks.texture import harmonic_scale, sample_texels

EXTRA = 8
"""Feature channels the generator adds to the cache from its last block."""
PAINT = 5
"""Albedo (RGB), mask logit, gloss."""
FOREGROUND_MARGIN = 8
"""Pixels at half resolution: further than this from what is covered there is only background."""
MASK_SLOPE = 6.0
"""Of the mask's logit over the soft coverage, before training."""
NOWHERE = -30.0
"""The mask's logit where there is only background."""

HALF_TRUST = 0.2
"""Turn of head or view, about radians, after which half of what was missed counts: before
training."""

FULL_TRUST = 0.8
"""Share of what was missed that counts where nothing turns. On held-out frames better than all of
it, by 0.07 dB with caches of one frame: full render and warp err differently."""

LiveInput = Literal["texture", "normals", "mirrors"]
LIVE_INPUTS: tuple[LiveInput, ...] = ("texture", "normals", "mirrors")
"""What a warp can be shown of the present frame, besides coverage and the change of the UV map."""


class LiveInputs(NamedTuple):
    """A frame's live inputs."""

    paint: Tensor
    """(B, 5, H, W), 0 off the head."""
    coverage: Tensor
    """(B, 1, H, W) soft, 0..1."""
    half_res: Tensor
    """(B, L, H/2, W/2) texture features scaled by the view's harmonics, then the surface channels:
    of the first of 2x2 pixels that shows the head, times how many of them do / 4. The first surface
    channel is the mean soft coverage."""
    uv: Tensor
    """(B, 2, H/2, W/2) UV map of the same pixels; 0 off the head."""
    covered: Tensor
    """(B, 1, H/2, W/2) 1 where any of the four pixels shows the head."""
    active: Tensor
    """(B, 1, H, W) whether the mask may be above 0 there."""


class TelewarpCache(NamedTuple):
    """What a full render leaves for the warp."""

    features: Tensor
    """(B, 128n + 8, H/2, W/2)"""
    smooth: Tensor
    """(B, 32, H/2, W/2) what its convolutions made, see `PaintOver`."""
    inputs: LiveInputs
    """Of its frame."""


class PreparedCache(NamedTuple):
    """The cache's share of a warp, where its features were made."""

    first: Tensor
    """(B, 128n, H/2, W/2) of the first convolution, bias included."""
    second: Tensor
    """(B, 32, H/2, W/2) of what is made, bias included."""
    residual: Tensor
    """(B, 32, H/2, W/2) what the full render made and a warp of its frame would not have."""
    uv: Tensor
    """(B, 2, H/2, W/2) UV map."""
    covered: Tensor
    """(B, 1, H/2, W/2) where it shows the head."""


class ReprojectedCache(NamedTuple):
    """The same where it belongs in a later frame."""

    first: Tensor
    """(B, 128n, H/2, W/2)"""
    second: Tensor
    """(B, 32, H/2, W/2) with what was missed, as far as it is trusted."""
    uv: Tensor
    """(B, 2, H/2, W/2)"""
    covered: Tensor
    """(B, 1, H/2, W/2)"""


class Foreground(NamedTuple):
    """A picture before it is put on its background."""

    rgb: Tensor
    """(B, 3, H, W), about 0..1"""
    mask_logit: Tensor
    """(B, 1, H, W)"""

    def over(self, background: Tensor) -> Tensor:
        """Put the head on (B or 1, 3, H, W) background."""
        mask = torch.sigmoid(self.mask_logit)
        return mask * self.rgb + (1 - mask) * background


def live_inputs(
    features: Tensor, paint: Tensor, uv: Tensor, surface: Tensor, view: Tensor
) -> LiveInputs:
    """Look the textures up and gather what both networks see of a frame.

    Args:
        features: (1, C, h, w) the feature texture.
        paint: (1, 5, h', w') the paint texture.
        uv: (B, H, W, 2) UV map, 0 off the head.
        surface: (B, 8, H, W) as `GBuffer.surface`, channels first.
        view: (B, 3) direction from head to eye, head space.

    Returns:
        The inputs, L = C + 8.
    """
    shown = covered(surface)
    seen = torch.cat([uv.permute(0, 3, 1, 2), surface[:, 1:]], dim=1)
    first, share = _first_of_four(seen, shown)
    uv_half = first[:, :2].permute(0, 2, 3, 1).contiguous()
    scale = harmonic_scale(view, features.shape[1])
    half = torch.cat(
        [
            _scaled_lookup(features, uv_half, scale, share),
            F.avg_pool2d(surface[:, :1], 2),
            first[:, 2:] * share,
        ],
        dim=1,
    )
    ones = scale.new_ones(len(scale), PAINT)
    painted = _scaled_lookup(paint, uv, ones, shown)
    soft = surface[:, :1]
    return LiveInputs(
        painted, soft, half, first[:, :2], (share > 0).to(uv.dtype), find_active_region(soft)
    )


def find_active_region(soft: Tensor) -> Tensor:
    """Where the head is or may reach to: from what is covered so far to all sides, and all between.

    The latency path leaves the rest of a picture out.

    Args:
        soft: (B, 1, H, W) soft coverage.

    Returns:
        (B, 1, H, W) bool.
    """
    near = F.max_pool2d(F.max_pool2d(soft, 2), 2 * FOREGROUND_MARGIN + 1, 1, FOREGROUND_MARGIN) > 0
    from_left = near.int().cummax(dim=3).values
    from_right = near.int().flip(3).cummax(dim=3).values.flip(3)
    return F.interpolate((from_left * from_right).float(), scale_factor=2) > 0


def covered(surface: Tensor) -> Tensor:
    """(B, 1, H, W) 1 where a pixel's centre sees the head, else 0, from (B, 8, H, W) surface."""
    return (surface[:, 1:4].square().sum(dim=1, keepdim=True) > 0.5).to(surface.dtype)


def _first_of_four(values: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Of each 2x2 pixels: the values of the first one shown (else 0), and the share shown.

    Averages would mix charts of the UV map where they meet.
    """
    batch, channels, height, width = values.shape
    four = F.pixel_unshuffle(shown, 2)
    order = torch.tensor([4.0, 3.0, 2.0, 1.0], device=shown.device)[:, None, None]
    chosen = (four * order).argmax(dim=1, keepdim=True)[:, :, None]
    parts = F.pixel_unshuffle(values, 2).reshape(batch, channels, 4, height // 2, width // 2)
    index = chosen.transpose(1, 2).expand(-1, channels, -1, -1, -1)
    first = parts.gather(2, index)[:, :, 0]
    share = four.mean(dim=1, keepdim=True)
    return first * (share > 0), share


def _scaled_lookup(texels: Tensor, uv: Tensor, scale: Tensor, weight: Tensor) -> Tensor:
    """(B, C, H, W): (1, C, h, w) texels at (B, H, W, 2), times (B, C) and (B, 1, H, W)."""
    if texels.device.type == "cpu":
        return look_up(texels, uv, scale, weight[:, 0])
    return sample_texels(texels, uv) * scale[..., None, None] * weight


def uv_change(now: LiveInputs, uv: Tensor, covered: Tensor) -> Tensor:
    """How far the UV map of an older frame that was carried to this one is from this one's: where
    much, other surface was seen there.

    Linear in what is of the older frame, so that caches can be mixed.

    Args:
        now: Of this frame.
        uv: (B, 2, H/2, W/2) of the older frame, 0 where it shows no head.
        covered: (B, 1, H/2, W/2) of the older frame.

    Returns:
        (B, 2, H/2, W/2), 0 where either frame shows no head.
    """
    return (now.uv * covered - uv) * now.covered


def cache_features(made: GeneratorOutput) -> Tensor:
    """(B, 128n + 8, H/2, W/2) what is kept of a full render's inner features."""
    return F.relu(torch.cat([made.fourth, made.output[:, 4 * OUTPUT_CHANNELS :]], dim=1))


class PaintOver(nn.Module):
    """Puts the paint on what convolutions made, pixel by pixel.

    colour = smooth colour + (1 + gain) * albedo + gloss gain * gloss; the mask's logit is the
    convolutions' plus the paint's plus a line over the soft coverage, which starts steep: training
    would need thousands of steps to climb there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(MASK_SLOPE))
        self.offset = nn.Parameter(torch.tensor(-MASK_SLOPE / 2))

    def forward(self, smooth: Tensor, inputs: LiveInputs) -> Foreground:
        """Combine.

        Args:
            smooth: (B, 32, H/2, W/2) from convolutions: 8 channels, each as 2x2 pixels.
            inputs: Live inputs of the frame.
        """
        made, paint = F.pixel_shuffle(smooth, 2), inputs.paint
        rgb = made[:, :3] + (1 + made[:, 4:7]) * paint[:, :3] + made[:, 7:] * paint[:, 4:]
        line = self.slope * inputs.coverage + self.offset
        logit = made[:, 3:4] + paint[:, 3:4] + line
        return Foreground(rgb, logit.masked_fill(~inputs.active, NOWHERE))


class TelewarpGenerator(nn.Module):
    """The full render: a U-Net that begins and ends at half resolution.

    Args:
        live_channels: L.
        network_size: n.
    """

    def __init__(self, live_channels: int, network_size: float) -> None:
        super().__init__()
        self.unet = Generator(
            live_channels,
            network_size,
            first=lambda i, o: nn.Conv2d(i, o, 3, padding=1),
            last=lambda i: nn.Conv2d(i, 4 * OUTPUT_CHANNELS + EXTRA, 3, padding=1),
            normalize=False,
        )
        self.paint_over = PaintOver()

    def forward(self, inputs: LiveInputs) -> tuple[Foreground, TelewarpCache]:
        """Render a frame and keep its features."""
        made = self.unet(inputs.half_res)
        smooth = made.output[:, : 4 * OUTPUT_CHANNELS]
        return self.paint_over(smooth, inputs), TelewarpCache(cache_features(made), smooth, inputs)


class TelewarpWarp(nn.Module):
    """The warp: a 3x3 and a 1x1 convolution at half resolution, and what they are known to miss.

    A shallow network knows how shading follows from normals and texture, but little of what lies
    further away, such as shadows. What it misses of the older frame, which was rendered in full, is
    added where the same surface is now. The more the head has turned, the less that counts: light
    falls from elsewhere.

    Args:
        live_channels: L.
        network_size: n.
        expression: Expression coefficients.
        inputs: What the convolutions are shown of the present frame.
    """

    shown: Tensor

    def __init__(
        self,
        live_channels: int,
        network_size: float,
        expression: int,
        inputs: tuple[LiveInput, ...] = LIVE_INPUTS,
    ) -> None:
        super().__init__()
        self.hidden = round(128 * network_size)
        self.cached = self.hidden + EXTRA
        self.motion = MotionCode(POSE_SIZE, CAMERA_SIZE, expression)
        self.from_motion = nn.Linear(CODE, self.hidden)
        self.first = nn.Conv2d(self.cached + live_channels + 2, self.hidden, 3, padding=1)
        # Only the cached share, which costs a frame nothing, looks at neighbours once more.
        self.second_cached = nn.Conv2d(self.cached, 4 * OUTPUT_CHANNELS, 3, padding=1)
        self.second = nn.Conv2d(self.hidden, 4 * OUTPUT_CHANNELS, 1, bias=False)
        self.half_trust = nn.Parameter(torch.tensor(HALF_TRUST))
        shown = _shown(live_channels - SURFACE_CHANNELS, inputs)
        self.register_buffer("shown", shown[:, None, None], persistent=False)

    @property
    def live_weight(self) -> Tensor:
        """(128n, L + 2, 3, 3): the first convolution's share for live inputs."""
        return self.first.weight[:, self.cached :] * self.shown

    def prepare(self, cache: TelewarpCache, cached: Conditioning) -> PreparedCache:
        """Compute the cache's share, once per full render.

        Args:
            cache: Of the older frame.
            cached: Its numbers.
        """
        weight = torch.cat([self.first.weight[:, : self.cached], self.second_cached.weight])
        assert self.first.bias is not None
        assert self.second_cached.bias is not None
        bias = torch.cat([self.first.bias, self.second_cached.bias])
        made = F.conv2d(cache.features, weight, bias, padding=1)
        first, second = made.split([self.hidden, 4 * OUTPUT_CHANNELS], dim=1)
        inputs = cache.inputs
        hidden = self._hidden(first, inputs, torch.zeros_like(inputs.uv), cached, cached)
        residual = cache.smooth - second - self.second(hidden)
        return PreparedCache(first, second, residual, inputs.uv, inputs.covered)

    def reproject(
        self, prepared: PreparedCache, places: Tensor, now: Conditioning, cached: Conditioning
    ) -> ReprojectedCache:
        """Take the cache's share to a frame whose points were at (B, H/2, W/2, 2) places."""
        first, second, residual, uv, covered = prepared
        first, second, uv, covered = (
            reproject_nearest(x, places) for x in (first, second, uv, covered)
        )
        trust = self.trust(now, cached)[:, None, None, None]
        second = second + trust * reproject_bilinear(residual.float(), places)
        return ReprojectedCache(first, second, uv, covered)

    def trust(self, now: Conditioning, cached: Conditioning) -> Tensor:
        """(B,) 0..1: how much of what was missed then is missed now."""
        turned = (now.pose - cached.pose).square().sum(dim=1) / self.half_trust.square()
        return FULL_TRUST / (1 + turned)

    def forward(
        self, carried: ReprojectedCache, inputs: LiveInputs, now: Conditioning, cached: Conditioning
    ) -> Tensor:
        """Warp.

        Args:
            carried: Of the older frame, for this one.
            inputs: Live inputs of this frame.
            now: Numbers of this frame.
            cached: Numbers of the older frame.

        Returns:
            (B, 32, H/2, W/2) for `PaintOver`.
        """
        change = uv_change(inputs, carried.uv, carried.covered)
        hidden = self._hidden(carried.first, inputs, change, now, cached)
        made: Tensor = carried.second + self.second(hidden)
        return made

    def _hidden(
        self,
        first: Tensor,
        inputs: LiveInputs,
        change: Tensor,
        now: Conditioning,
        cached: Conditioning,
    ) -> Tensor:
        live = torch.cat([inputs.half_res, change], dim=1)
        code = self.from_motion(self.motion(now, cached))[..., None, None]
        return F.relu(first + F.conv2d(live, self.live_weight, padding=1) + code)


def _shown(features: int, inputs: tuple[LiveInput, ...]) -> Tensor:
    """(L + 2,) 1 for channels the warp is shown, 0 for others."""
    texture, normals, mirrors = (float(name in inputs) for name in LIVE_INPUTS)
    return torch.tensor(
        [texture] * features + [1.0] + [normals] * 3 + [mirrors] * 3 + [normals] + [1.0] * 2
    )


def live_channels(texture_channels: int) -> int:
    """L for a feature texture of C channels."""
    return texture_channels + SURFACE_CHANNELS
