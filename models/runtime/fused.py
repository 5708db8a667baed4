"""Our networks on a CPU: the warp's two ends fused (`networks/live_kernel.py`), its middle in
oneDNN.

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

from models.avatar import Avatar
from models.conditioning import describe, from_flat
from models.geometry.gbuffer import Geometry, pose_geometry, soften_rows
from models.geometry.rasterizer_numba import rasterize_rows
from models.networks.bfloat16 import network_array
from models.networks.live import REACH, live_channels
from models.networks.live_kernel import (
    PAINT_TEXEL,
    Reach,
    allocate_half,
    compose,
    fill,
    find_reach,
    quantize,
)
from models.networks.texture import harmonic_scale
from models.runtime.base import Cache, Picture, milliseconds_since
from models.runtime.live import Box, LiveRuntime
from models.state import FloatArray, FrameState

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
    code: Tensor
    """(hidden,) from `LiveRuntime.motion`."""
    cache: Cache
    rgb: NDArray[np.uint8]
    """(H, W, 3), filled."""


class FusedLiveRuntime(LiveRuntime):
    """As `LiveRuntime`, with a warp that stays close to the cache lines.

    Args:
        avatar: An avatar with our networks.
        threads: How many threads draw a warp.
    """

    def __init__(self, avatar: Avatar, threads: int) -> None:
        super().__init__(avatar, torch.device("cpu"))
        self._features = quantize(_channels_last(self.features), self.features.shape[1])
        self._paint = quantize(_channels_last(self.paint), PAINT_TEXEL)
        paint_over = self.warper.paint_over
        self._line = np.array([paint_over.slope.item(), paint_over.offset.item()], np.float32)
        size, live = self.stage.size, live_channels(self.features.shape[1])
        self._half = allocate_half(size, live, self.dtype)
        self._triangle = np.empty((self.stage.size, self.stage.size), np.int32)
        self._depth = np.empty((self.stage.size, self.stage.size), np.float32)
        self._soft = np.empty((self.stage.size, self.stage.size), np.uint8)
        padding = self._half.shape[2] - self.live_weight.shape[1]
        padded = F.pad(self.live_weight, (0, 0, 0, 0, 0, padding))
        self.live_weight = padded.contiguous(memory_format=torch.channels_last)
        self._bands = _split(self.stage.size // 2, threads * _BANDS_PER_THREAD)
        self._pool = ThreadPoolExecutor(threads, "warp-band") if threads > 1 else None

    @torch.inference_mode()
    def warp(self, state: FrameState, cache: Cache) -> Picture:
        """Make `state`'s frame from an older state's cache."""
        started = time.perf_counter()
        size = self.stage.size
        numbers = torch.from_numpy(describe(state))[None]
        now, cached = from_flat(numbers), from_flat(cache["numbers"][None])
        inputs = _Inputs(
            pose_geometry(self.stage.head, state, size),
            harmonic_scale(now.pose[:, :3], self.features.shape[1])[0].numpy(),
            self.motion(now, cached),
            cache,
            np.empty((size, size, 3), np.uint8),
        )
        # Each step looks one row into its neighbours' share of the step before.
        self._for_all_bands(self._rasterize, inputs)
        self._for_all_bands(self._fill, inputs)
        reach = Reach(*find_reach(self._soft, REACH))
        raster_ms = milliseconds_since(started)
        self._for_all_bands(partial(self._draw, reach), inputs)
        return Picture(inputs.rgb, raster_ms, milliseconds_since(started) - raster_ms)

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
            self._features, inputs.scale, inputs.cache["uv"].numpy(), *band,
        )  # fmt: skip

    @torch.inference_mode()
    def _draw(self, reach: Reach, band: _Band, inputs: _Inputs) -> None:
        box = _box(reach, band)
        live = self._half.permute(2, 0, 1)[None]
        smooth = network_array(self.convolve(box, live, inputs.code, inputs.cache)[0])
        compose(
            smooth, self._triangle, self._soft, inputs.geometry, self.stage.head, self._paint,
            self._line, reach, self.stage.background_rgb, box.top, box.left, inputs.rgb,
        )  # fmt: skip


def _box(reach: Reach, band: _Band) -> Box:
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
