"""Our networks: the paper's idea with richer live inputs.

Differences from the paper, and their reasons:

* The warp gets the neural texture, coverage, normals and reflection vectors of the *current* frame
  (`networks/live_inputs.py`), not only the change of the UV map. As the contribution of the cache
  is computed beforehand, these live channels are nearly free, and the image follows the face
  instead of lagging behind.
* Convolutions run at half resolution, and `PaintOver` adds the fine detail of the paint texture.
* No normalisation layers, so that the network commutes with cropping (see `Generator`).
* The cache is taken one block later (128n channels at half resolution), where it costs less to
  prepare.
* Cached features are reprojected to the surface points of the current frame
  (`networks/reproject.py`), together with the residual between full render and warp
  (`TelewarpWarp`).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.contract.channels import CAMERA_SIZE, OUTPUT_CHANNELS, POSE_SIZE
from models.geometry.gbuffer import SURFACE_CHANNELS
from models.networks.conditioning import Conditioning
from models.networks.generator import Generator, GeneratorOutput
from models.networks.live_inputs import LIVE_INPUTS, LiveInput, LiveInputs, uv_change
from models.networks.motion import CODE, MotionCode
from models.networks.reproject import reproject_bilinear, reproject_nearest

EXTRA = 8
"""Feature channels that the last block of the generator adds to the cache."""
MASK_SLOPE = 6.0
"""Initial slope of the mask's logit over the soft coverage. It starts steep, because training would
need thousands of steps to get there."""
BACKGROUND_LOGIT = -30.0
"""Mask logit outside of the active region: its sigmoid is 0 to float32's precision beside 1."""

HALF_TRUST = 0.2
"""Rotation of head or view (about radians) at which the residual counts half; the initial value of
`TelewarpWarp.half_trust`."""

FULL_TRUST = 0.8
"""Weight of the residual when nothing has rotated. On held-out frames 0.07 dB better than 1 for
caches of one frame's age, because full render and warp have different errors."""


class TelewarpCache(NamedTuple):
    """Features that a full render keeps for the warp."""

    features: Tensor
    """(B, 128n + 8, H/2, W/2) inner features."""
    smooth: Tensor
    """(B, 32, H/2, W/2) output of the convolutions, see `PaintOver`."""
    inputs: LiveInputs
    """Live inputs of the rendered frame."""


class PreparedCache(NamedTuple):
    """The cache's contributions to the warp, at the pixels of the cached frame."""

    first: Tensor
    """(B, 128n, H/2, W/2) to the first convolution, bias included."""
    second: Tensor
    """(B, 32, H/2, W/2) to the output, bias included."""
    residual: Tensor
    """(B, 32, H/2, W/2) output of the full render minus that of a warp of the same frame."""
    uv: Tensor
    """(B, 2, H/2, W/2) UV map."""
    covered: Tensor
    """(B, 1, H/2, W/2) 1 where the head is visible."""


class ReprojectedCache(NamedTuple):
    """A prepared cache, reprojected to a later frame."""

    first: Tensor
    """(B, 128n, H/2, W/2) to the first convolution, bias included."""
    second: Tensor
    """(B, 32, H/2, W/2), the weighted residual included."""
    uv: Tensor
    """(B, 2, H/2, W/2) UV map of the older frame."""
    covered: Tensor
    """(B, 1, H/2, W/2) 1 where the older frame shows the head."""


class Foreground(NamedTuple):
    """A rendered head before composition with its background."""

    rgb: Tensor
    """(B, 3, H, W), about 0..1, not clamped."""
    mask_logit: Tensor
    """(B, 1, H, W) logit of the mask."""

    def over(self, background: Tensor) -> Tensor:
        """Composite the head over a (B or 1, 3, H, W) background."""
        mask = torch.sigmoid(self.mask_logit)
        return mask * self.rgb + (1 - mask) * background


def cache_features(made: GeneratorOutput) -> Tensor:
    """Return the cached features (B, 128n + 8, H/2, W/2) of a full render, after their ReLU."""
    return F.relu(torch.cat([made.fourth, made.output[:, 4 * OUTPUT_CHANNELS :]], dim=1))


class PaintOver(nn.Module):
    """Applies the paint texture to the output of the convolutions, pixel by pixel.

    colour = smooth colour + (1 + gain) * albedo + gloss gain * gloss; mask logit = that of the
    convolutions + that of the paint + a linear function of the soft coverage.
    """

    def __init__(self) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(MASK_SLOPE))
        # With it the mask starts at one half where the soft coverage is one half.
        self.offset = nn.Parameter(torch.tensor(-MASK_SLOPE / 2))

    def forward(self, smooth: Tensor, inputs: LiveInputs) -> Foreground:
        """Combine both.

        Args:
            smooth: (B, 32, H/2, W/2) from convolutions: 8 channels, each as 2x2 pixels.
            inputs: Live inputs of the frame.
        """
        # Channels of `made`: colour 0 to 2, mask logit 3, gain of the albedo 4 to 6, gain of the
        # gloss 7.
        made, paint = F.pixel_shuffle(smooth, 2), inputs.paint
        rgb = made[:, :3] + (1 + made[:, 4:7]) * paint[:, :3] + made[:, 7:] * paint[:, 4:]
        outline = self.slope * inputs.coverage + self.offset
        logit = made[:, 3:4] + paint[:, 3:4] + outline
        return Foreground(rgb, logit.masked_fill(~inputs.active, BACKGROUND_LOGIT))


class TelewarpGenerator(nn.Module):
    """The full render: a U-Net whose first and last layers are at half resolution.

    Args:
        live_channels: L.
        network_size: n.
    """

    def __init__(self, live_channels: int, network_size: float) -> None:
        super().__init__()
        self.unet = Generator(
            live_channels,
            network_size,
            # Not halving, as the paper's does: the inputs are at half resolution already.
            first=lambda i, o: nn.Conv2d(i, o, 3, padding=1),
            last=lambda i: nn.Conv2d(i, 4 * OUTPUT_CHANNELS + EXTRA, 3, padding=1),
            normalize=False,
        )
        self.paint_over = PaintOver()

    def forward(self, inputs: LiveInputs) -> tuple[Foreground, TelewarpCache]:
        """Render a frame and return it with its cache."""
        made = self.unet(inputs.half_res)
        smooth = made.output[:, : 4 * OUTPUT_CHANNELS]
        return self.paint_over(smooth, inputs), TelewarpCache(cache_features(made), smooth, inputs)


class TelewarpWarp(nn.Module):
    """The warp: a 3x3 and a 1x1 convolution at half resolution, plus the reprojected residual.

    A shallow network can derive shading from normals and texture, but not effects of distant parts
    of the image, such as shadows. What it lacks in the cached frame, the residual to the full
    render, is added at the same surface points of the current frame. The more head or view have
    rotated since, the lower its weight, because the light then falls from another side.

    Args:
        live_channels: L.
        network_size: n.
        expression: Number of expression coefficients.
        inputs: Groups of live inputs that the convolutions use.
    """

    input_mask: Tensor

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
        # The cached part may be 3x3, because it is computed once per full render; the part of the
        # hidden channels runs for every frame and is 1x1.
        self.second_cached = nn.Conv2d(self.cached, 4 * OUTPUT_CHANNELS, 3, padding=1)
        self.second = nn.Conv2d(self.hidden, 4 * OUTPUT_CHANNELS, 1, bias=False)
        self.half_trust = nn.Parameter(torch.tensor(HALF_TRUST))
        mask = _input_mask(live_channels - SURFACE_CHANNELS, inputs)
        self.register_buffer("input_mask", mask[:, None, None], persistent=False)

    @property
    def live_weight(self) -> Tensor:
        """(128n, L + 2, 3, 3): weights of the first convolution for live inputs."""
        return self.first.weight[:, self.cached :] * self.input_mask

    def prepare(self, cache: TelewarpCache, cached: Conditioning) -> PreparedCache:
        """Compute the cache's contributions and the residual, once per full render.

        Args:
            cache: Cache of the older frame.
            cached: Conditioning of the older frame.
        """
        weight = torch.cat([self.first.weight[:, : self.cached], self.second_cached.weight])
        assert self.first.bias is not None
        assert self.second_cached.bias is not None
        bias = torch.cat([self.first.bias, self.second_cached.bias])
        # One convolution for both: they read the same features.
        made = F.conv2d(cache.features, weight, bias, padding=1)
        first, second = made.split([self.hidden, 4 * OUTPUT_CHANNELS], dim=1)
        inputs = cache.inputs
        # A warp of the cached frame to itself: nothing has moved, so the UV change is 0.
        hidden = self._hidden(first, inputs, torch.zeros_like(inputs.uv), cached, cached)
        residual = cache.smooth - second - self.second(hidden)
        return PreparedCache(first, second, residual, inputs.uv, inputs.covered)

    def reproject(
        self,
        prepared: PreparedCache,
        source_positions: Tensor,
        now: Conditioning,
        cached: Conditioning,
    ) -> ReprojectedCache:
        """Reproject a prepared cache to the current frame, and add its weighted residual.

        Args:
            prepared: Prepared cache of the older frame.
            source_positions: (B, H/2, W/2, 2), see `find_source_positions`.
            now: Conditioning of the current frame.
            cached: Conditioning of the older frame.
        """
        first, second, residual, uv, covered = prepared
        first, second, uv, covered = (
            reproject_nearest(x, source_positions) for x in (first, second, uv, covered)
        )
        trust = self.trust(now, cached)[:, None, None, None]
        second = second + trust * reproject_bilinear(residual.float(), source_positions)
        return ReprojectedCache(first, second, uv, covered)

    def trust(self, now: Conditioning, cached: Conditioning) -> Tensor:
        """Return the weight (B,) of the residual, 0..`FULL_TRUST`, by how much the pose changed."""
        rotated = (now.pose - cached.pose).square().sum(dim=1) / self.half_trust.square()
        return FULL_TRUST / (1 + rotated)

    def forward(
        self,
        reprojected: ReprojectedCache,
        inputs: LiveInputs,
        now: Conditioning,
        cached: Conditioning,
    ) -> Tensor:
        """Warp.

        Args:
            reprojected: Cache of the older frame, reprojected to this one.
            inputs: Live inputs of this frame.
            now: Conditioning of this frame.
            cached: Conditioning of the older frame.

        Returns:
            (B, 32, H/2, W/2) for `PaintOver`.
        """
        change = uv_change(inputs, reprojected.uv, reprojected.covered)
        hidden = self._hidden(reprojected.first, inputs, change, now, cached)
        made: Tensor = reprojected.second + self.second(hidden)
        return made

    def _hidden(
        self,
        first: Tensor,
        inputs: LiveInputs,
        change: Tensor,
        now: Conditioning,
        cached: Conditioning,
    ) -> Tensor:
        """Return the hidden channels (B, 128n, H/2, W/2), after their ReLU."""
        live = torch.cat([inputs.half_res, change], dim=1)
        code = self.from_motion(self.motion(now, cached))[..., None, None]
        return F.relu(first + F.conv2d(live, self.live_weight, padding=1) + code)


def _input_mask(features: int, inputs: tuple[LiveInput, ...]) -> Tensor:
    """Return (L + 2,): 1 for the channels that the warp uses, 0 for others."""
    texture, normals, reflections = (float(name in inputs) for name in LIVE_INPUTS)
    # In the order of `LiveInputs.half_res` and the UV change. The cosine belongs to the normals.
    return torch.tensor(
        [texture] * features + [1.0] + [normals] * 3 + [reflections] * 3 + [normals] + [1.0] * 2
    )
