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

from models.avatar import Avatar
from models.conditioning import describe
from models.geometry.gbuffer import Geometry, pose_geometry, soften_rows
from models.geometry.rasterizer_numba import rasterize_rows
from models.networks.bfloat16 import NetworkArray, bits_of, network_array
from models.networks.live import PICTURE, REACH, live_channels
from models.networks.live_convolution import can_convolve, convolve, pack_kernels
from models.networks.live_kernel import (
    HALF_PADDING,
    Reach,
    allocate_half,
    compose,
    fill,
    find_reach,
    quantize,
)
from models.networks.motion_numba import channel_scale, gather_weights, motion_share
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
    code: FloatArray
    """(hidden,) the motion's share of the first convolution."""
    cache: Cache
    rgb: NDArray[np.uint8]
    """(H, W, 3), filled."""


class _Smooth(NamedTuple):
    """What convolutions made of a band."""

    values: NetworkArray
    """(rows, columns, 32)"""
    left: int
    """The first of the columns."""


class FusedLiveRuntime(LiveRuntime):
    """As `LiveRuntime`, with a warp that stays close to the cache lines.

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
        self._line = np.array([warper.paint_over.slope, warper.paint_over.offset], np.float32)
        self._channels = self.features.shape[1]
        live = live_channels(self._channels)
        self._multiplies = can_convolve(warper.hidden, self.dtype)
        self._half = allocate_half(size, live, 2 if self._multiplies else HALF_PADDING, self.dtype)
        padding = self._half.shape[2] - warper.live_weight.shape[1]
        padded = F.pad(warper.live_weight, (0, 0, 0, 0, 0, padding))
        self.live_weight = self._laid_out(padded)
        self._kernels = pack_kernels(padded, warper.second.weight) if self._multiplies else None
        self._smooth = np.empty((size // 2, size // 2, 4 * PICTURE), np.float32)
        self._triangle = np.empty((size, size), np.int32)
        self._depth = np.empty((size, size), np.float32)
        self._soft = np.empty((size, size), np.uint8)
        self._bands = _split(size // 2, threads * _BANDS_PER_THREAD if threads > 1 else 1)
        self._pool = ThreadPoolExecutor(threads, "warp-band") if threads > 1 else None

    @torch.inference_mode()
    def warp(self, state: FrameState, cache: Cache) -> Picture:
        """Make `state`'s frame from an older state's cache."""
        started = time.perf_counter()
        size = self.stage.size
        numbers = describe(state)
        inputs = _Inputs(
            pose_geometry(self.stage.head, state, size),
            channel_scale(numbers, self._channels),
            motion_share(numbers, cache["numbers"].numpy(), *self._motion),
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

    def _draw(self, reach: Reach, band: _Band, inputs: _Inputs) -> None:
        make = self._multiply if self._multiplies else self._convolve
        smooth = make(reach, band, inputs)
        compose(
            smooth.values, self._triangle, self._soft, inputs.geometry, self.stage.head,
            self._paint, self._line, reach, self.stage.background_rgb, band.top, smooth.left,
            inputs.rgb,
        )  # fmt: skip

    def _multiply(self, reach: Reach, band: _Band, inputs: _Inputs) -> _Smooth:
        """Both convolutions, within the reach only."""
        rows = self._smooth[band.top : band.bottom]
        assert self._kernels is not None
        convolve(
            bits_of(self._half), self._channels, bits_of(inputs.cache["first"]),
            bits_of(inputs.cache["second"]), inputs.code, *self._kernels, *reach, *band, rows,
        )  # fmt: skip
        return _Smooth(rows, 0)

    @torch.inference_mode()
    def _convolve(self, reach: Reach, band: _Band, inputs: _Inputs) -> _Smooth:
        """The same by oneDNN, for a rectangle."""
        box, side = _box(reach, band), self.stage.size // 2
        live = self._half[1 : side + 1, 1 : side + 1].permute(2, 0, 1)[None]
        code = torch.from_numpy(inputs.code).to(self.dtype)
        made = self.convolve(box, live, code, inputs.cache)[0]
        return _Smooth(network_array(made), box.left)


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
