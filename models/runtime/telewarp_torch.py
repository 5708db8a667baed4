"""Our networks through plain torch, on any device; `telewarp_cpu.py` is faster on CPUs."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor

from models.avatar.folder import Avatar
from models.contract.backdrop import Backdrop
from models.contract.channels import CAMERA_SIZE, OUTPUT_CHANNELS, POSE_SIZE
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from models.networks.avatar_networks import TelewarpNetworks
from models.networks.conditioning import Conditioning, split_conditioning
from models.networks.frame_batch import FrameBatch
from models.networks.live_inputs import LiveInputs, live_inputs, uv_change
from models.networks.memory_format import lay_out_channels_last
from models.networks.reproject import (
    Mesh,
    find_source_positions,
    reproject_bilinear,
    reproject_nearest,
)
from models.networks.telewarp import Foreground, cache_features
from models.runtime.base import Cache, Stage, TensorSpec, network_dtype
from models.runtime.measured_unet import MeasuredUnet
from models.runtime.plain_frames import PlainFrames

MESH_TENSORS = ("corners", "weights", "points")
"""Tensors of a cache that hold its frame's `Mesh`, by the names of the fields."""


class ReprojectedShares(NamedTuple):
    """A cache's contributions to the two convolutions, reprojected to the current frame."""

    first: Tensor
    """(H/2, W/2, hidden) to the first convolution."""
    second: Tensor
    """(H/2, W/2, 32) to the output."""


class Box(NamedTuple):
    """A rectangle of the image, at half resolution."""

    top: int
    left: int
    bottom: int
    """The row after the last."""
    right: int
    """The column after the last."""


class TelewarpTorchRuntime(PlainFrames):
    """Full renders and split warps of `TelewarpNetworks`.

    Convolutions run in `network_dtype`; textures, paint and composition in float32.

    Args:
        avatar: An avatar with our networks.
        device: Where to run them.
    """

    mixes = False
    largest_batch = 1

    def __init__(self, avatar: Avatar, device: torch.device) -> None:
        assert isinstance(avatar.networks, TelewarpNetworks)
        self.stage = Stage(avatar, device)
        self.dtype = network_dtype(device)
        # A copy, because converting precision and layout changes modules in place.
        networks = copy.deepcopy(avatar.networks).to(device)
        self.generator, self.warper = networks.generator, networks.warper
        self.features = networks.features.texels().contiguous()
        self.paint = networks.paint.texels().contiguous()
        unet = self.generator.unet.to(self.dtype)
        lay_out_channels_last(unet)
        self._unet = MeasuredUnet(unet)
        # Both convolutions of the cached channels run as one, which reads the features once.
        self._prepare_weight = self._cached_weight()
        biases = [_bias(self.warper.first), _bias(self.warper.second_cached)]
        self._prepare_bias = torch.cat(biases).to(self.dtype)
        self.live_weight = self._channels_last(self.warper.live_weight)
        self.hidden_weight = self._channels_last(self.warper.second.weight)
        self._conditioning = POSE_SIZE + CAMERA_SIZE + avatar.networks.config.expressions

    def layout_at(self, size: int) -> tuple[TensorSpec, ...]:
        """See `Runtime`."""
        half, hidden = size // 2, self.warper.hidden
        # Channels last: a warp reads whole pixels at positions that the flow scatters.
        return (
            TensorSpec("first", (half, half, hidden), self.dtype),
            TensorSpec("second", (half, half, 4 * OUTPUT_CHANNELS), self.dtype),
            TensorSpec("residual", (half, half, 4 * OUTPUT_CHANNELS), self.dtype),
            TensorSpec("uv", (half, half, 3), torch.float32),
            TensorSpec("conditioning", (self._conditioning,), torch.float32),
            TensorSpec("points", (len(self.stage.head.neutral), 3), torch.float32, mixes=False),
            TensorSpec("corners", (half, half, 3), torch.int32, mixes=False),
            TensorSpec("weights", (half, half, 3), torch.float32, mixes=False),
        )

    def resized(self, size: int) -> Self:
        """See `Runtime`."""
        other = super().resized(size)
        other._unet = self._unet.anew()  # a graph of a GPU is of one size
        return other

    @torch.inference_mode()
    def refresh(self, state: FrameState, cache: Cache) -> None:
        """Render `state` in full and store its contributions to warps in `cache`."""
        frame = self.stage.frame(state)
        inputs = self._inputs(frame)
        made = self._unet(self._channels_last(inputs.half_res))
        weight, bias = self._prepare_weight, self._prepare_bias
        prepared = F.conv2d(cache_features(made), weight, bias, padding=1)[0].permute(1, 2, 0)
        cache["first"].copy_(prepared[..., : self.warper.hidden])
        cache["second"].copy_(prepared[..., self.warper.hidden :])
        # Last, because the warp that is subtracted reads "first" and "second" of this cache.
        cache["residual"].copy_(made.output[0, : 4 * OUTPUT_CHANNELS].permute(1, 2, 0))
        cache["residual"].sub_(self._warp_of_same_frame(inputs, frame.conditioning, cache))
        cache["uv"].copy_(torch.cat([inputs.uv, inputs.covered], dim=1)[0].permute(1, 2, 0))
        cache["conditioning"].copy_(frame.conditioning_vector[0])
        assert frame.mesh is not None
        for name in MESH_TENSORS:
            cache[name].copy_(getattr(frame.mesh, name)[0])

    def _warp_of_same_frame(self, inputs: LiveInputs, cached: Conditioning, cache: Cache) -> Tensor:
        """Return (H/2, W/2, 32): a warp of the cached frame to itself, without residual."""
        # Cache and frame are the same, so the UV map does not change between them.
        live = torch.cat([inputs.half_res, torch.zeros_like(inputs.uv)], dim=1)
        padding = self.live_weight.shape[1] - live.shape[1]
        live = self._channels_last(F.pad(live, (0, 0, 0, 0, 0, padding)))
        whole, code = Box(0, 0, *live.shape[2:]), self.motion(cached, cached)
        shares = ReprojectedShares(cache["first"], cache["second"])
        return self.convolve(whole, live, code, shares)[0]

    @torch.inference_mode()
    def full(
        self, state: FrameState, size: int | None = None, backdrop: Backdrop | None = None
    ) -> RgbImage:
        """Render `state` in full, see `Runtime.full`."""
        stage = self.stage.at(size)
        inputs = self._inputs(stage.frame(state))
        made = self._unet(self._channels_last(inputs.half_res)).output[:, : 4 * OUTPUT_CHANNELS]
        return stage.compose(self.generator.paint_over(made.float(), inputs), backdrop)

    @torch.inference_mode()
    def align(self, cache: Cache, newer: Cache) -> None:
        """Reproject a cache in place to the frame of a newer one, see `Runtime.align`."""
        corners, weights, points = (newer[name][None] for name in MESH_TENSORS)
        origin = torch.zeros(1, 2, device=self.stage.device)
        positions = _source_positions(Mesh(corners, weights, points, origin), cache)
        for name in ("first", "second", "uv"):
            cache[name].copy_(_reprojected(reproject_nearest, cache[name], positions))
        residual = cache["residual"].float()  # interpolated below, in float32 as by the kernels
        cache["residual"].copy_(_reprojected(reproject_bilinear, residual, positions))
        for name in MESH_TENSORS:
            cache[name].copy_(newer[name])

    def _warp(self, frame: FrameBatch, cache: Cache) -> Foreground:
        """Warp a cache to a frame in the split form of `TelewarpNetworks.warp`."""
        inputs, now = self._inputs(frame), frame.conditioning
        assert frame.mesh is not None
        positions = _source_positions(frame.mesh, cache)
        cached = split_conditioning(cache["conditioning"][None])
        first, second, uv_covered = (
            _reprojected(reproject_nearest, cache[name], positions)
            for name in ("first", "second", "uv")
        )
        residual = _reprojected(reproject_bilinear, cache["residual"].float(), positions)
        second = (second + self.warper.trust(now, cached) * residual).to(self.dtype)
        uv, covered = uv_covered.permute(2, 0, 1)[None].split([2, 1], dim=1)
        live = torch.cat([inputs.half_res, uv_change(inputs, uv, covered)], dim=1)
        live = self._channels_last(live)
        whole, code = Box(0, 0, *live.shape[2:]), self.motion(now, cached)
        smooth = self.convolve(whole, live, code, ReprojectedShares(first, second))
        smooth = smooth.permute(0, 3, 1, 2).float()
        foreground: Foreground = self.generator.paint_over(smooth, inputs)
        return foreground

    def motion(self, now: Conditioning, cached: Conditioning) -> Tensor:
        """Return (hidden,): the motion code's contribution to the first convolution, in `dtype`."""
        code: Tensor = self.warper.from_motion(self.warper.motion(now, cached))
        return code[0].to(self.dtype)

    def convolve(self, box: Box, live: Tensor, code: Tensor, shares: ReprojectedShares) -> Tensor:
        """Run the two convolutions of a warp for a rectangle of the image.

        Args:
            box: The rectangle, at half resolution.
            live: (1, channels of `live_weight`, H/2, W/2) of the whole image, channels last.
            code: (hidden,) from `motion`.
            shares: The older frame's contributions.

        Returns:
            (1, rows, columns, 32).
        """
        top, left, bottom, right = box
        # One pixel of context on each side, except at the edges of the image, where the padding of
        # the convolution takes its place.
        above, before = min(top, 1), min(left, 1)
        below, after = min(live.shape[2] - bottom, 1), min(live.shape[3] - right, 1)
        part = live[:, :, top - above : bottom + below, left - before : right + after]
        x = F.conv2d(self._channels_last(part), self.live_weight, code, padding=1)
        x = x[:, :, above : above + bottom - top, before : before + right - left]
        x += shares.first[top:bottom, left:right].permute(2, 0, 1)
        x = F.conv2d(F.relu_(x), self.hidden_weight)
        x += shares.second[top:bottom, left:right].permute(2, 0, 1)
        return x.permute(0, 2, 3, 1)

    def _inputs(self, frame: FrameBatch) -> LiveInputs:
        """Return the live inputs of a frame."""
        view = frame.conditioning.pose[:, :3]
        return live_inputs(self.features, self.paint, frame.uv, frame.surface, view, frame.blend)

    def _cached_weight(self) -> Tensor:
        """Return the weights of both convolutions for cached channels, to be applied as one."""
        cached = self.warper.cached
        weights = [self.warper.first.weight[:, :cached], self.warper.second_cached.weight]
        return self._channels_last(torch.cat(weights))

    def _channels_last(self, x: Tensor) -> Tensor:
        """Convert to `dtype`, channels last in memory."""
        return x.to(self.dtype, memory_format=torch.channels_last)


def _source_positions(now: Mesh, cache: Cache) -> Tensor:
    """Return (1, H/2, W/2, 2): where in the cached frame a frame's surface points were."""
    return find_source_positions(now, cache["points"][None], torch.zeros_like(now.origin))


def _reprojected(
    reproject: Callable[[Tensor, Tensor], Tensor], part: Tensor, positions: Tensor
) -> Tensor:
    """Reproject a (H/2, W/2, C) tensor of a cache."""
    return reproject(part.permute(2, 0, 1)[None], positions)[0].permute(1, 2, 0)


def _bias(layer: torch.nn.Conv2d) -> Tensor:
    """Return a layer's bias, which it must have."""
    assert layer.bias is not None
    return layer.bias
