"""Our networks on a CPU: the warp's two ends fused (`networks/live_kernel.py`), and where the CPU
multiplies bfloat16, its middle as well (`networks/live_convolution.py`); else that is oneDNN's.

A frame is drawn in bands of rows, by as many threads as the renderer may use: a frame's latency is
what counts, and everything here works without the interpreter lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.folder import Avatar
from models.contract.channels import OUTPUT_CHANNELS, POSE_SIZE
from models.contract.frame_state import FloatArray, FrameState
from models.contract.images import WarpedImage
from models.geometry.gbuffer import Geometry, pose_geometry, soften_rows
from models.geometry.rasterizer_numba import rasterize_rows
from models.kernels.bfloat16 import NetworkArray, bits_of, network_array
from models.kernels.motion_code import channel_scale, motion_share
from models.kernels.reproject_features import find_offsets, reproject_nearest, reproject_sum
from models.kernels.warp_convolution import can_convolve, convolve, pack_kernels
from models.kernels.warp_pixels import (
    HALF_PADDING,
    ActiveRegion,
    allocate_half,
    compose,
    fill,
    find_active_region,
    quantize,
)
from models.networks.conditioning import compute_conditioning
from models.networks.motion import gather_weights
from models.networks.telewarp import FOREGROUND_MARGIN, FULL_TRUST, live_channels
from models.runtime.base import Cache, milliseconds_since
from models.runtime.telewarp_torch import MESH, Box, Carried, TelewarpTorchRuntime

_BANDS_PER_THREAD = 2
"""A head covers the rows of a picture unevenly; the thread that is done first takes another
band."""


class _Band(NamedTuple):
    """Rows at half resolution, from `top` up to `bottom`."""

    top: int
    bottom: int


class _Inputs(NamedTuple):
    """What all bands of one frame need."""

    geometry: Geometry
    scale: FloatArray
    """(C,) of the texture's channels."""
    code: FloatArray
    """(hidden,) the motion's share of the first convolution."""
    trust: float
    """As `TelewarpWarp.trust`."""
    cache: Cache
    rgb: NDArray[np.uint8]
    """(H, W, 3), filled."""


class _Smooth(NamedTuple):
    """What convolutions made of a band."""

    values: NetworkArray
    """(rows, columns, 32)"""
    left: int
    """The first of the columns."""


class TelewarpCpuRuntime(TelewarpTorchRuntime):
    """As `TelewarpTorchRuntime`, with a warp that stays close to the cache lines.

    Args:
        avatar: An avatar with our networks.
        threads: How many threads draw a warp.
    """

    def __init__(self, avatar: Avatar, threads: int) -> None:
        super().__init__(avatar, torch.device("cpu"))
        self._features = quantize(_channels_last(self.features))
        self._paint = quantize(_channels_last(self.paint))
        warper, size = self.warper, self.stage.size
        self._motion = gather_weights(warper.motion, warper.from_motion)
        paint_over, self._half_trust = self.generator.paint_over, warper.half_trust.item()
        self._line = np.array([paint_over.slope, paint_over.offset], np.float32)
        self._channels = self.features.shape[1]
        live = live_channels(self._channels)
        self._multiplies = can_convolve(warper.hidden, self.dtype)
        self._half = allocate_half(size, live, 2 if self._multiplies else HALF_PADDING, self.dtype)
        padding = self._half.shape[2] - warper.live_weight.shape[1]
        padded = F.pad(warper.live_weight, (0, 0, 0, 0, 0, padding))
        self.live_weight = self._laid_out(padded)
        self._kernels = pack_kernels(padded, warper.second.weight) if self._multiplies else None
        self._moved = np.empty((size // 2, size // 2, 2), np.float32)
        shapes = [(size // 2, size // 2, width) for width in (warper.hidden, 4 * OUTPUT_CHANNELS)]
        self._carried = Carried(*(torch.zeros(shape, dtype=self.dtype) for shape in shapes))
        self._smooth = np.empty((size // 2, size // 2, 4 * OUTPUT_CHANNELS), np.float32)
        self._triangle = np.empty((size, size), np.int32)
        self._depth = np.empty((size, size), np.float32)
        self._soft = np.empty((size, size), np.uint8)
        self._bands = _split(size // 2, threads * _BANDS_PER_THREAD if threads > 1 else 1)
        self._pool = ThreadPoolExecutor(threads, "warp-band") if threads > 1 else None

    @torch.inference_mode()
    def warp(self, state: FrameState, cache: Cache) -> WarpedImage:
        """Make `state`'s frame from an older state's cache."""
        started = time.perf_counter()
        size = self.stage.size
        numbers, cached = compute_conditioning(state), cache["conditioning"].numpy()
        inputs = _Inputs(
            pose_geometry(self.stage.head, state, size),
            channel_scale(numbers, self._channels),
            motion_share(numbers, cached, *self._motion),
            self._trust(numbers, cached),
            cache,
            np.empty((size, size, 3), np.uint8),
        )
        # Each step looks one row into its neighbours' share of the step before.
        self._for_all_bands(self._rasterize, inputs)
        self._for_all_bands(self._fill, inputs)
        reach = ActiveRegion(*find_active_region(self._soft, FOREGROUND_MARGIN))
        raster_ms = milliseconds_since(started)
        self._for_all_bands(partial(self._draw, reach), inputs)
        return WarpedImage(inputs.rgb, raster_ms, milliseconds_since(started) - raster_ms)

    @torch.inference_mode()
    def align(self, cache: Cache, newer: Cache) -> None:
        """See `Runtime`."""
        corners, weights, points = (newer[name].numpy() for name in MESH)
        find_offsets(corners, weights, points, cache["points"].numpy(), self._moved)
        size = self.stage.size // 2
        left, right = np.zeros(size, np.int32), np.full(size, size, np.int32)
        for name in ("first", "second", "uv"):
            older = network_array(cache[name].clone())
            now = network_array(cache[name])
            reproject_nearest(self._moved, older, 0, size, left, right, now)
        missed, nothing = cache["residual"].clone(), torch.zeros_like(cache["residual"])
        reproject_sum(
            self._moved, network_array(nothing), network_array(missed), 1.0, 0, size, left, right,
            network_array(cache["residual"]),
        )  # fmt: skip
        for name in MESH:
            cache[name].copy_(newer[name])

    def _trust(self, now: FloatArray, cached: FloatArray) -> float:
        turned = np.square(now[:POSE_SIZE] - cached[:POSE_SIZE]).sum()
        return float(FULL_TRUST / (1 + turned / self._half_trust**2))

    def _for_all_bands(self, call: Callable[[_Band, _Inputs], None], inputs: _Inputs) -> None:
        if self._pool is None:
            for band in self._bands:
                call(band, inputs)
        else:
            for finished in [self._pool.submit(call, band, inputs) for band in self._bands]:
                finished.result()

    def _rasterize(self, band: _Band, inputs: _Inputs) -> None:
        head, geometry = self.stage.head, inputs.geometry
        rows = slice(2 * band.top, 2 * band.bottom)
        self._triangle[rows] = -1
        self._depth[rows] = 0
        rasterize_rows(
            geometry.xy, geometry.inverse_depth, head.faces, rows.start, rows.stop,
            self._triangle, self._depth,
        )  # fmt: skip

    def _fill(self, band: _Band, inputs: _Inputs) -> None:
        soften_rows(self._triangle, 2 * band.top, 2 * band.bottom, self._soft)
        fill(
            network_array(self._half), self._triangle, self._soft, inputs.geometry, self.stage.head,
            self._features, inputs.scale, inputs.cache["uv"].numpy(),
            inputs.cache["points"].numpy(), self._moved, *band,
        )  # fmt: skip

    def _draw(self, reach: ActiveRegion, band: _Band, inputs: _Inputs) -> None:
        self._carry(reach, band, inputs)
        make = self._multiply if self._multiplies else self._convolve
        smooth = make(reach, band, inputs)
        compose(
            smooth.values, self._triangle, self._soft, inputs.geometry, self.stage.head,
            self._paint, self._line, reach, self.stage.background_rgb, band.top, smooth.left,
            inputs.rgb,
        )  # fmt: skip

    def _carry(self, reach: ActiveRegion, band: _Band, inputs: _Inputs) -> None:
        """Take the cache's shares to where they belong now."""
        first, second, missed = (
            network_array(inputs.cache[name]) for name in ("first", "second", "residual")
        )
        carried_first, carried_second = (network_array(x) for x in self._carried)
        reproject_nearest(self._moved, first, *band, *reach, carried_first)
        reproject_sum(self._moved, second, missed, inputs.trust, *band, *reach, carried_second)

    def _multiply(self, reach: ActiveRegion, band: _Band, inputs: _Inputs) -> _Smooth:
        """Both convolutions, within the reach only."""
        rows = self._smooth[band.top : band.bottom]
        assert self._kernels is not None
        convolve(
            bits_of(self._half), self._channels, bits_of(self._carried.first),
            bits_of(self._carried.second), inputs.code, *self._kernels, *reach, *band, rows,
        )  # fmt: skip
        return _Smooth(rows, 0)

    @torch.inference_mode()
    def _convolve(self, reach: ActiveRegion, band: _Band, inputs: _Inputs) -> _Smooth:
        """The same by oneDNN, for a rectangle."""
        box, side = _box(reach, band), self.stage.size // 2
        live = self._half[1 : side + 1, 1 : side + 1].permute(2, 0, 1)[None]
        code = torch.from_numpy(inputs.code).to(self.dtype)
        made = self.convolve(box, live, code, self._carried)[0]
        return _Smooth(network_array(made), box.left)


def _box(reach: ActiveRegion, band: _Band) -> Box:
    """A band without the columns that show nothing but background; one column at least."""
    shows = reach.left[band.top : band.bottom] < reach.right[band.top : band.bottom]
    if not shows.any():
        return Box(band.top, 0, band.bottom, 1)
    left = int(reach.left[band.top : band.bottom][shows].min())
    return Box(band.top, left, band.bottom, int(reach.right[band.top : band.bottom].max()))


def _channels_last(texels: Tensor) -> FloatArray:
    return texels[0].permute(1, 2, 0).numpy()


def _split(rows: int, bands: int) -> list[_Band]:
    """`rows` in `bands` parts, as equal as can be."""
    edges = np.linspace(0, rows, bands + 1).round().astype(int)
    return [_Band(int(top), int(bottom)) for top, bottom in pairwise(edges)]
