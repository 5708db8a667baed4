"""Frames of runtimes that warp in plain torch: rasterized, warped and composed one by one."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Self, TypeVar

import torch

from models.contract.backdrop import Backdrop
from models.contract.frame_state import FrameState
from models.contract.images import StageTimes, WarpedImage, WarpedNv12
from models.kernels.layers import finish
from models.kernels.nv12_numba import convert_to_nv12
from models.networks.frame_batch import FrameBatch
from models.networks.telewarp import Foreground
from models.runtime.base import Cache, Stage, TensorSpec

Image = TypeVar("Image")


class PlainFrames(ABC):
    """The warps of `Runtime`, from the output of a subclass's networks."""

    stage: Stage

    @property
    def layout(self) -> tuple[TensorSpec, ...]:
        """See `Runtime`."""
        return self.layout_at(self.stage.size)

    @abstractmethod
    def layout_at(self, size: int) -> tuple[TensorSpec, ...]:
        """See `Runtime`."""

    def resized(self, size: int) -> Self:
        """See `Runtime`. Buffers and graphs of one size are the subclass's to replace."""
        other = copy.copy(self)
        other.stage = self.stage.resized(size)
        return other

    @torch.inference_mode()
    def warp(self, state: FrameState, cache: Cache) -> WarpedImage:
        """Warp an older state's cache to `state`."""
        return WarpedImage(*self._composed(self.stage.compose, state, cache))

    @torch.inference_mode()
    def warp_nv12(
        self, state: FrameState, cache: Cache, backdrop: Backdrop | None = None
    ) -> WarpedNv12:
        """Warp an older state's cache to `state`, see `Runtime.warp_nv12`."""
        if backdrop is None:
            return as_nv12(self.warp(state, cache))
        return WarpedNv12(
            *self._composed(
                lambda head: finish(self.stage.layers(head), backdrop).numpy(), state, cache
            )
        )

    def warp_nv12_batch(self, frames: Sequence[tuple[FrameState, Cache]]) -> list[WarpedNv12]:
        """Warp caches one by one."""
        return [self.warp_nv12(state, cache) for state, cache in frames]

    @abstractmethod
    def _warp(self, frame: FrameBatch, cache: Cache) -> Foreground:
        """Warp a cache to a frame."""

    def _composed(
        self, compose: Callable[[Foreground], Image], state: FrameState, cache: Cache
    ) -> tuple[Image, StageTimes]:
        """Return a frame, and the time each stage took."""
        started = time.perf_counter()
        frame = self.stage.frame(state)
        rasterized = time.perf_counter()
        image = compose(self._warp(frame, cache))
        warp_ms = (time.perf_counter() - rasterized) * 1e3
        return image, {"raster": (rasterized - started) * 1e3, "warp": warp_ms}


def as_nv12(warped: WarpedImage) -> WarpedNv12:
    """Convert a frame of a runtime that composes RGB."""
    started = time.perf_counter()
    nv12 = convert_to_nv12(warped.rgb)
    convert_ms = (time.perf_counter() - started) * 1e3
    return WarpedNv12(nv12, with_more(warped.stages_ms, "warp", convert_ms))


def with_more(stages_ms: StageTimes, stage: str, elapsed_ms: float) -> StageTimes:
    """Return the times of stages, one of which took longer."""
    return {**stages_ms, stage: stages_ms[stage] + elapsed_ms}
