"""Our networks on a CPU: warps through fused kernels (`kernels/`), full renders through torch.

The convolutions of a warp run in a kernel too (`kernels/warp_convolution.py`), unless a network's
width is none that the kernel supports; then in oneDNN.

A warp is rendered in bands of rows, by as many threads as the renderer may use, because the latency
of a frame matters. All kernels release the interpreter lock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from models.avatar.folder import Avatar
from models.contract.backdrop import Backdrop
from models.contract.channels import OUTPUT_CHANNELS, POSE_SIZE
from models.contract.frame_state import FloatArray, FrameState
from models.contract.images import Layers, Nv12Image, RgbImage, StageTimes, WarpedImage, WarpedNv12
from models.geometry.gbuffer import RasterizedHead, pose_geometry, soften_rows
from models.geometry.rasterizer_numba import rasterize_rows
from models.geometry.silhouettes_numba import allocate_edges, blend_edges
from models.kernels.bfloat16 import NetworkArray, network_array
from models.kernels.compose import compose
from models.kernels.compose_layers import compose_layers
from models.kernels.compose_nv12 import compose_nv12
from models.kernels.fill_inputs import (
    INPUT_PADDING,
    ActiveRegion,
    allocate_inputs,
    fill_inputs,
    find_active_region,
)
from models.kernels.layers_numba import allocate_levels, finish
from models.kernels.motion_code import channel_scale, motion_share
from models.kernels.nv12_numba import convert_to_nv12
from models.kernels.reproject_features import find_flow, reproject_nearest, reproject_sum
from models.kernels.texels import quantize
from models.kernels.warp_convolution import can_convolve, convolve, pack_kernels
from models.networks.conditioning import compute_conditioning
from models.networks.live_inputs import FOREGROUND_MARGIN, live_channels
from models.networks.motion import gather_weights
from models.networks.telewarp import FULL_TRUST
from models.runtime.base import Cache
from models.runtime.plain_frames import with_more
from models.runtime.telewarp_torch import (
    MESH_TENSORS,
    Box,
    ReprojectedShares,
    TelewarpTorchRuntime,
)

_BANDS_PER_THREAD = 2
"""A head covers rows unevenly; a thread that finishes early takes another band."""


class _Band(NamedTuple):
    """Rows at half resolution, from `top` up to `bottom`."""

    top: int
    bottom: int


class _CachedArrays(NamedTuple):
    """The tensors of a cache that a warp reads, as arrays; see `TelewarpTorchRuntime.layout_at`."""

    first: NetworkArray
    second: NetworkArray
    residual: NetworkArray
    uv: FloatArray
    points: FloatArray

    @classmethod
    def of(cls, cache: Cache) -> _CachedArrays:
        """Return the arrays of a cache, without a copy."""
        return cls(
            network_array(cache["first"]), network_array(cache["second"]),
            network_array(cache["residual"]), cache["uv"].numpy(), cache["points"].numpy(),
        )  # fmt: skip


class _Inputs(NamedTuple):
    """Common inputs of all bands of one frame."""

    raster: RasterizedHead
    scale: FloatArray
    """(C,) scale of the feature texture's channels for the view."""
    code: FloatArray
    """(hidden,) the motion code's contribution to the first convolution."""
    trust: float
    """Weight of the residual, as `TelewarpWarp.trust`."""
    cache: _CachedArrays


class _Smooth(NamedTuple):
    """The output of the convolutions for a band."""

    values: NetworkArray
    """(rows, columns, 32) outputs: 8 channels, each as 2x2 pixels."""
    left: int
    """The first of the columns."""


Compose = Callable[[ActiveRegion, _Band, _Inputs, _Smooth], None]
"""Composes a band into the image of a frame."""


class TelewarpCpuRuntime(TelewarpTorchRuntime):
    """The same results as `TelewarpTorchRuntime`, with warps that touch little memory.

    Args:
        avatar: An avatar with our networks.
        threads: Number of threads that render a warp.
    """

    def __init__(self, avatar: Avatar, threads: int) -> None:
        super().__init__(avatar, torch.device("cpu"))
        self._feature_texels = quantize(_as_array(self.features))
        self._paint_texels = quantize(_as_array(self.paint))
        warper = self.warper
        self._motion = gather_weights(warper.motion, warper.from_motion)
        paint_over, self._half_trust = self.generator.paint_over, warper.half_trust.item()
        self._outline = np.array([paint_over.slope, paint_over.offset], np.float32)
        self._channels = self.features.shape[1]
        self._multiplies = can_convolve(warper.hidden)
        # Our own kernel needs pairs of channels, oneDNN whole blocks.
        self._multiple = 2 if self._multiplies else INPUT_PADDING
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, "warp-band") if threads > 1 else None
        self._allocate_buffers()
        padding = self._live.shape[2] - warper.live_weight.shape[1]
        padded = F.pad(warper.live_weight, (0, 0, 0, 0, 0, padding))
        self.live_weight = self._channels_last(padded)
        self._kernels = (
            pack_kernels(padded, warper.second.weight, self.dtype) if self._multiplies else None
        )

    def resized(self, size: int) -> Self:
        """See `Runtime`."""
        other = super().resized(size)
        other._allocate_buffers()
        return other

    def _allocate_buffers(self) -> None:
        """Allocate the buffers that every warp fills anew, and what else depends on the size."""
        size, hidden = self.stage.size, self.warper.hidden
        half, outputs = size // 2, 4 * OUTPUT_CHANNELS
        self._background_nv12 = convert_to_nv12(self.stage.background_rgb)
        self._live = allocate_inputs(
            size, live_channels(self._channels), self._multiple, self.dtype
        )
        self._live_array = network_array(self._live)
        threads = self._threads
        self._bands = _split(half, threads * _BANDS_PER_THREAD if threads > 1 else 1)
        self._flow = np.empty((half, half, 2), np.float32)
        self._reprojected = ReprojectedShares(
            *(torch.zeros((half, half, width), dtype=self.dtype) for width in (hidden, outputs))
        )
        self._first_array, self._second_array = (network_array(x) for x in self._reprojected)
        self._smooth = np.empty((half, half, outputs), np.float32)
        self._triangle = np.empty((size, size), np.int32)
        self._depth = np.empty((size, size), np.float32)
        self._soft = np.empty((size, size), np.uint8)
        self._edges = allocate_edges(size)
        self._layers = np.empty((size, size, 4), np.uint8)
        self._levels = allocate_levels(size)

    def warp(self, state: FrameState, cache: Cache) -> WarpedImage:
        """Warp an older state's cache to `state`."""
        size = self.stage.size
        rgb = np.empty((size, size, 3), np.uint8)  # anew, because the caller keeps it
        return WarpedImage(rgb, self._warp_into(partial(self._compose, rgb), state, cache))

    def warp_nv12(
        self, state: FrameState, cache: Cache, backdrop: Backdrop | None = None
    ) -> WarpedNv12:
        """Warp an older state's cache to `state`, see `Runtime.warp_nv12`."""
        if backdrop is not None:
            return self._warp_over(state, cache, backdrop)
        nv12 = np.empty_like(self._background_nv12)
        return WarpedNv12(nv12, self._warp_into(partial(self._compose_nv12, nv12), state, cache))

    def _warp_over(self, state: FrameState, cache: Cache, backdrop: Backdrop) -> WarpedNv12:
        """Warp a cache to a frame over a backdrop."""
        compose = partial(self._compose_layers, self._layers)
        stages_ms = self._warp_into(compose, state, cache)
        composed = time.perf_counter()
        nv12 = finish(self._layers, backdrop, self._levels)
        finish_ms = (time.perf_counter() - composed) * 1e3
        return WarpedNv12(nv12, with_more(stages_ms, "warp", finish_ms))

    @torch.inference_mode()
    def _warp_into(self, compose: Compose, state: FrameState, cache: Cache) -> StageTimes:
        """Warp a cache, and compose each band of the frame; return the time each stage took."""
        started = time.perf_counter()
        conditioning, cached = compute_conditioning(state), cache["conditioning"].numpy()
        geometry = pose_geometry(self.stage.head, state, self.stage.size)
        inputs = _Inputs(
            RasterizedHead(
                self._triangle, self._edges.blend, self._soft, geometry, self.stage.head
            ),
            channel_scale(conditioning, self._channels),
            motion_share(conditioning, cached, *self._motion),
            self._trust(conditioning, cached),
            _CachedArrays.of(cache),
        )
        # All bands finish a step before the next one: it reads a row beyond its band.
        self._for_all_bands(self._rasterize, inputs)
        self._blend_edges(inputs.raster)
        self._for_all_bands(self._fill, inputs)
        active = ActiveRegion(*find_active_region(self._soft, FOREGROUND_MARGIN))
        rasterized = time.perf_counter()
        self._for_all_bands(partial(self._render, compose, active), inputs)
        warp_ms = (time.perf_counter() - rasterized) * 1e3
        return {"raster": (rasterized - started) * 1e3, "warp": warp_ms}

    @torch.inference_mode()
    def align(self, cache: Cache, newer: Cache) -> None:
        """Reproject a cache in place to the frame of a newer one, see `Runtime.align`."""
        corners, weights, points = (newer[name].numpy() for name in MESH_TENSORS)
        find_flow(corners, weights, points, cache["points"].numpy(), self._flow)
        size = self.stage.size // 2
        whole = 0, size, np.zeros(size, np.int32), np.full(size, size, np.int32)
        for name in ("first", "second", "uv"):
            # A copy, because pixels are read after others have been written.
            older = network_array(cache[name].clone())
            reproject_nearest(self._flow, older, *whole, network_array(cache[name]))
        residual, zeros = cache["residual"].clone(), torch.zeros_like(cache["residual"])
        reproject_sum(
            self._flow, network_array(zeros), network_array(residual), 1.0, *whole,
            network_array(cache["residual"]),
        )  # fmt: skip
        for name in MESH_TENSORS:
            cache[name].copy_(newer[name])

    def _trust(self, now: FloatArray, cached: FloatArray) -> float:
        """Return the weight of the residual, as `TelewarpWarp.trust`."""
        rotated = np.square(now[:POSE_SIZE] - cached[:POSE_SIZE]).sum()
        return float(FULL_TRUST / (1 + rotated / self._half_trust**2))

    def _for_all_bands(self, call: Callable[[_Band, _Inputs], None], inputs: _Inputs) -> None:
        """Call a step for all bands, and wait until all have finished."""
        if self._pool is None:
            for band in self._bands:
                call(band, inputs)
        else:
            for finished in [self._pool.submit(call, band, inputs) for band in self._bands]:
                finished.result()

    def _rasterize(self, band: _Band, inputs: _Inputs) -> None:
        """Rasterize a band."""
        triangle, geometry, head = self._triangle, inputs.raster.geometry, inputs.raster.head
        rows = slice(2 * band.top, 2 * band.bottom)
        triangle[rows] = -1
        self._depth[rows] = 0
        rasterize_rows(
            geometry.xy, geometry.inverse_depth, head.faces, rows.start, rows.stop,
            triangle, self._depth,
        )  # fmt: skip

    def _blend_edges(self, raster: RasterizedHead) -> None:
        """Find how pixels mix at silhouettes; not in bands, because edges cross them."""
        geometry, head = raster.geometry, raster.head
        blend_edges(
            head.edges, head.faces, geometry.xy, geometry.inverse_depth,
            self._triangle, self._depth, self._edges,
        )  # fmt: skip

    def _fill(self, band: _Band, inputs: _Inputs) -> None:
        """Compute soft coverage, live inputs and flow of a band."""
        soften_rows(self._edges.cover, 2 * band.top, 2 * band.bottom, self._soft)
        fill_inputs(
            self._live_array, inputs.raster, self._feature_texels, inputs.scale,
            inputs.cache.uv, inputs.cache.points, self._flow, *band,
        )  # fmt: skip

    def _render(self, compose: Compose, active: ActiveRegion, band: _Band, inputs: _Inputs) -> None:
        """Reproject the cache, convolve and compose a band."""
        self._reproject(active, band, inputs)
        convolve_band = self._convolve_by_kernel if self._multiplies else self._convolve_by_torch
        compose(active, band, inputs, convolve_band(active, band, inputs))

    def _compose(
        self, rgb: RgbImage, active: ActiveRegion, band: _Band, inputs: _Inputs, smooth: _Smooth
    ) -> None:
        """Compose a band of an RGB image."""
        compose(
            smooth.values, inputs.raster, self._paint_texels, self._outline, active,
            self.stage.background_rgb, band.top, smooth.left, rgb,
        )  # fmt: skip

    def _compose_nv12(
        self, nv12: Nv12Image, active: ActiveRegion, band: _Band, inputs: _Inputs, smooth: _Smooth
    ) -> None:
        """Compose a band of an NV12 image."""
        compose_nv12(
            smooth.values, inputs.raster, self._paint_texels, self._outline, active,
            self.stage.background_rgb, self._background_nv12, band.top, smooth.left, nv12,
        )  # fmt: skip

    def _compose_layers(
        self, layers: Layers, active: ActiveRegion, band: _Band, inputs: _Inputs, smooth: _Smooth
    ) -> None:
        """Compose a band of a head without background."""
        compose_layers(
            smooth.values, inputs.raster, self._paint_texels, self._outline, active, band.top,
            smooth.left, layers,
        )  # fmt: skip

    def _reproject(self, active: ActiveRegion, band: _Band, inputs: _Inputs) -> None:
        """Reproject the cache's contributions and its residual to the current frame."""
        cache, flow = inputs.cache, self._flow
        reproject_nearest(flow, cache.first, *band, *active, self._first_array)
        reproject_sum(
            flow, cache.second, cache.residual, inputs.trust, *band, *active, self._second_array
        )

    def _convolve_by_kernel(self, active: ActiveRegion, band: _Band, inputs: _Inputs) -> _Smooth:
        """Run both convolutions by our kernel, within the active region only."""
        rows = self._smooth[band.top : band.bottom]
        assert self._kernels is not None
        convolve(
            self._live_array, self._channels, self._first_array, self._second_array, inputs.code,
            *self._kernels, *active, *band, rows,
        )  # fmt: skip
        return _Smooth(rows, 0)

    @torch.inference_mode()
    def _convolve_by_torch(self, active: ActiveRegion, band: _Band, inputs: _Inputs) -> _Smooth:
        """Run both convolutions by oneDNN, for the rectangle around the active region."""
        box, side = _active_box(active, band), self.stage.size // 2
        live = self._live[1 : side + 1, 1 : side + 1].permute(2, 0, 1)[None]
        code = torch.from_numpy(inputs.code).to(self.dtype)
        made = self.convolve(box, live, code, self._reprojected)[0]
        return _Smooth(network_array(made), box.left)


def _active_box(active: ActiveRegion, band: _Band) -> Box:
    """Return the rectangle around a band's active columns; one column wide where there is none."""
    rows = active.left[band.top : band.bottom] < active.right[band.top : band.bottom]
    if not rows.any():
        return Box(band.top, 0, band.bottom, 1)
    left = int(active.left[band.top : band.bottom][rows].min())
    return Box(band.top, left, band.bottom, int(active.right[band.top : band.bottom].max()))


def _as_array(texels: Tensor) -> FloatArray:
    """Return (1, C, h, w) texels as an array (h, w, C)."""
    return texels[0].permute(1, 2, 0).numpy()


def _split(rows: int, bands: int) -> list[_Band]:
    """Split rows into bands of about the same height."""
    edges = np.linspace(0, rows, bands + 1).round().astype(int)
    return [_Band(int(top), int(bottom)) for top, bottom in pairwise(edges)]
