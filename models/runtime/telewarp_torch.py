"""Our networks through plain torch, on any device; the twin of `fused.py`."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.folder import Avatar
from models.contract.channels import OUTPUT_CHANNELS
from models.contract.frame_state import FrameState
from models.contract.images import WarpedImage
from models.networks.avatar_networks import TelewarpNetworks
from models.networks.conditioning import Conditioning, split_conditioning
from models.networks.frame_batch import FrameBatch
from models.networks.memory_format import lay_out_channels_last
from models.networks.reproject import (
    Mesh,
    find_source_positions,
    reproject_bilinear,
    reproject_nearest,
)
from models.networks.telewarp import (
    Foreground as Layers,
)
from models.networks.telewarp import LiveInputs, cache_features, live_inputs, uv_change
from models.runtime.base import Cache, Stage, TensorSpec, milliseconds_since, network_dtype

MESH = ("corners", "weights", "points")
"""Of a cache: what is known of its frame's `Mesh`, by these names."""


class Carried(NamedTuple):
    """A cache's shares of the two convolutions, where they belong in a later frame."""

    first: Tensor
    """(H/2, W/2, hidden)"""
    second: Tensor
    """(H/2, W/2, 32)"""


class Box(NamedTuple):
    """A part of a picture, at half resolution."""

    top: int
    left: int
    bottom: int
    """The row after the last."""
    right: int
    """The column after the last."""


class TelewarpTorchRuntime:
    """Full renders and split warps of `TelewarpNetworks`.

    Convolutions run in `network_dtype`; textures, paint and composition in float32.

    Args:
        avatar: An avatar with our networks.
        device: Where to run.
    """

    def __init__(self, avatar: Avatar, device: torch.device) -> None:
        assert isinstance(avatar.networks, TelewarpNetworks)
        self.stage = Stage(avatar, device)
        self.dtype = network_dtype(device)
        networks = copy.deepcopy(avatar.networks).to(device)
        self.generator, self.warper = networks.generator, networks.warper
        self.features = networks.features.texels().contiguous()
        self.paint = networks.paint.texels().contiguous()
        self._unet = self.generator.unet.to(self.dtype)
        lay_out_channels_last(self._unet)
        self._prepare_weight = self._cached_weight()
        biases = [_bias(self.warper.first), _bias(self.warper.second_cached)]
        self._prepare_bias = torch.cat(biases).to(self.dtype)
        self.live_weight = self._laid_out(self.warper.live_weight)
        self.hidden_weight = self._laid_out(self.warper.second.weight)
        half, hidden = self.stage.size // 2, self.warper.hidden
        numbers = avatar.networks.config.expressions + 9
        self.layout: tuple[TensorSpec, ...] = (
            TensorSpec("first", (half, half, hidden), self.dtype),
            TensorSpec("second", (half, half, 4 * OUTPUT_CHANNELS), self.dtype),
            TensorSpec("residual", (half, half, 4 * OUTPUT_CHANNELS), self.dtype),
            TensorSpec("uv", (half, half, 3), torch.float32),
            TensorSpec("conditioning", (numbers,), torch.float32),
            TensorSpec("points", (len(avatar.head.neutral), 3), torch.float32, mixes=False),
            TensorSpec("corners", (half, half, 3), torch.int32, mixes=False),
            TensorSpec("weights", (half, half, 3), torch.float32, mixes=False),
        )

    @torch.inference_mode()
    def refresh(self, state: FrameState, cache: Cache) -> None:
        """Render `state` in full and keep its share of the warp's convolutions."""
        frame = self.stage.frame(state)
        inputs = self._inputs(frame)
        made = self._unet(self._laid_out(inputs.half_res))
        weight, bias = self._prepare_weight, self._prepare_bias
        prepared = F.conv2d(cache_features(made), weight, bias, padding=1)[0].permute(1, 2, 0)
        cache["first"].copy_(prepared[..., : self.warper.hidden])
        cache["second"].copy_(prepared[..., self.warper.hidden :])
        cache["residual"].copy_(made.output[0, : 4 * OUTPUT_CHANNELS].permute(1, 2, 0))
        cache["residual"].sub_(self._alike(inputs, frame.conditioning, cache))
        cache["uv"].copy_(torch.cat([inputs.uv, inputs.covered], dim=1)[0].permute(1, 2, 0))
        cache["conditioning"].copy_(frame.conditioning_vector[0])
        assert frame.mesh is not None
        for name in MESH:
            cache[name].copy_(getattr(frame.mesh, name)[0])

    def _alike(self, inputs: LiveInputs, cached: Conditioning, cache: Cache) -> Tensor:
        """(H/2, W/2, 32): what a warp would make of the cached frame itself, nothing missed."""
        live = torch.cat([inputs.half_res, torch.zeros_like(inputs.uv)], dim=1)
        padding = self.live_weight.shape[1] - live.shape[1]
        live = self._laid_out(F.pad(live, (0, 0, 0, 0, 0, padding)))
        whole, code = Box(0, 0, *live.shape[2:]), self.motion(cached, cached)
        return self.convolve(whole, live, code, Carried(cache["first"], cache["second"]))[0]

    @torch.inference_mode()
    def full(self, state: FrameState) -> NDArray[np.uint8]:
        """Render `state` in full, (H, W, 3)."""
        inputs = self._inputs(self.stage.frame(state))
        made = self._unet(self._laid_out(inputs.half_res)).output[:, : 4 * OUTPUT_CHANNELS]
        return self.stage.compose(self.generator.paint_over(made.float(), inputs))

    @torch.inference_mode()
    def warp(self, state: FrameState, cache: Cache) -> WarpedImage:
        """Make `state`'s frame from an older state's cache."""
        started = time.perf_counter()
        frame = self.stage.frame(state)
        raster_ms = milliseconds_since(started)
        layers = self._warp(frame, cache)
        rgb = self.stage.compose(layers)
        return WarpedImage(rgb, raster_ms, milliseconds_since(started) - raster_ms)

    @torch.inference_mode()
    def align(self, cache: Cache, newer: Cache) -> None:
        """See `Runtime`."""
        corners, weights, points = (newer[name][None] for name in MESH)
        origin = torch.zeros(1, 2, device=self.stage.device)
        places = self._places(Mesh(corners, weights, points, origin), cache)
        for name in ("first", "second", "uv"):
            cache[name].copy_(_carried(reproject_nearest, cache[name], places))
        cache["residual"].copy_(_carried(reproject_bilinear, cache["residual"].float(), places))
        for name in MESH:
            cache[name].copy_(newer[name])

    def _warp(self, frame: FrameBatch, cache: Cache) -> Layers:
        inputs, now = self._inputs(frame), frame.conditioning
        assert frame.mesh is not None
        places, cached = (
            self._places(frame.mesh, cache),
            split_conditioning(cache["conditioning"][None]),
        )
        first, second, uv_covered = (
            _carried(reproject_nearest, cache[name], places) for name in ("first", "second", "uv")
        )
        missed = _carried(reproject_bilinear, cache["residual"].float(), places)
        second = (second + self.warper.trust(now, cached) * missed).to(self.dtype)
        uv, covered = uv_covered.permute(2, 0, 1)[None].split([2, 1], dim=1)
        live = self._laid_out(torch.cat([inputs.half_res, uv_change(inputs, uv, covered)], dim=1))
        whole, code = Box(0, 0, *live.shape[2:]), self.motion(now, cached)
        smooth = self.convolve(whole, live, code, Carried(first, second)).permute(0, 3, 1, 2)
        layers: Layers = self.generator.paint_over(smooth.float(), inputs)
        return layers

    def _places(self, now: Mesh, cache: Cache) -> Tensor:
        """(1, H/2, W/2, 2) where in a cache's frame a frame's points were."""
        return find_source_positions(now, cache["points"][None], torch.zeros_like(now.origin))

    def motion(self, now: Conditioning, cached: Conditioning) -> Tensor:
        """(hidden,) the motion code's share of the first convolution, in the networks'
        precision."""
        code: Tensor = self.warper.from_motion(self.warper.motion(now, cached))
        return code[0].to(self.dtype)

    def convolve(self, box: Box, live: Tensor, code: Tensor, carried: Carried) -> Tensor:
        """The two convolutions of a warp, for a part of the picture.

        Args:
            box: Which part, at half resolution.
            live: (1, channels of `live_weight`, H/2, W/2) of the whole picture, channels last.
            code: (hidden,) from `motion`.
            carried: Of the older frame.

        Returns:
            (1, rows, columns, 32).
        """
        top, left, bottom, right = box
        # Neighbours where there are any.
        above, before = min(top, 1), min(left, 1)
        below, after = min(live.shape[2] - bottom, 1), min(live.shape[3] - right, 1)
        part = live[:, :, top - above : bottom + below, left - before : right + after]
        x = F.conv2d(self._laid_out(part), self.live_weight, code, padding=1)
        x = x[:, :, above : above + bottom - top, before : before + right - left]
        x += carried.first[top:bottom, left:right].permute(2, 0, 1)
        x = F.conv2d(F.relu_(x), self.hidden_weight)
        x += carried.second[top:bottom, left:right].permute(2, 0, 1)
        return x.permute(0, 2, 3, 1)

    def _inputs(self, frame: FrameBatch) -> LiveInputs:
        view = frame.conditioning.pose[:, :3]
        return live_inputs(self.features, self.paint, frame.uv, frame.surface, view)

    def _cached_weight(self) -> Tensor:
        cached = self.warper.cached
        weights = [self.warper.first.weight[:, :cached], self.warper.second_cached.weight]
        return self._laid_out(torch.cat(weights))

    def _laid_out(self, x: Tensor) -> Tensor:
        return x.to(self.dtype, memory_format=torch.channels_last)


def _carried(carry: Callable[[Tensor, Tensor], Tensor], part: Tensor, places: Tensor) -> Tensor:
    """A (H/2, W/2, C) part of a cache, carried."""
    return carry(part.permute(2, 0, 1)[None], places)[0].permute(1, 2, 0)


def _bias(layer: torch.nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias
