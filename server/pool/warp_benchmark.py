"""Benchmark of warps for a simulated moving viewer."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState, default_state
from models.contract.images import Nv12Image
from models.contract.rendition import Rendition
from server.pool.interface import Engine

_VIEWER_SWAY_M = 0.1
"""Distance that the viewer of a benchmark moves to either side, metres."""
_IMAGES = 10
"""Number of images that are kept to time the encoder."""


@dataclass(frozen=True)
class WarpTimes:
    """How long one warp took."""

    elapsed_s: float
    """Time from call to image, rasterization included."""
    thread_s: float
    """Time that the warp thread computed, other threads of the same warp not included."""
    locked_s: float
    """Part of it outside the rasterizer: on a GPU, Python calls that launch kernels and hold the
    interpreter lock."""


@dataclass(frozen=True, eq=False)
class WarpBenchmark:
    """Result of timing warps on one device: lower quartiles of its `WarpTimes`.

    Not the means, because other work during the start of the server slows some warps down.
    """

    warp_s: float
    thread_s: float
    locked_s: float
    images: list[Nv12Image]
    """The last few images, each (3 H/2, W) uint8."""

    @classmethod
    def of(cls, times: list[WarpTimes], images: list[Nv12Image]) -> WarpBenchmark:
        """Summarize the times of warps; `images` are the last few of theirs."""
        return cls(
            _lower_quartile([time.elapsed_s for time in times]),
            _lower_quartile([time.thread_s for time in times]),
            _lower_quartile([time.locked_s for time in times]),
            images,
        )


class BenchmarkRun:
    """Warps for a moving viewer, one at a time; used by the thread that warps.

    Args:
        engine: Warps.
        rendition: Avatar and frame size of the warps.

    Raises:
        PoolBusyError: If there is no memory for a cache.
    """

    def __init__(self, engine: Engine, rendition: Rendition) -> None:
        self._engine, self._rendition = engine, rendition
        self._avatar = engine.avatars[rendition.avatar_id]
        self._times: list[WarpTimes] = []
        self._images: list[Nv12Image] = []
        self._memory = engine.allocate(rendition)

    def refresh(self) -> None:
        """Fill the cache that is warped."""
        self._engine.refresh(self._rendition, swaying(self._avatar, 0.0), self._memory.slot(0))

    def warp(self) -> None:
        """Time one warp."""
        # A tenth of a radian per frame: 30 per second are half a sway per second, and no two equal.
        state = swaying(self._avatar, len(self._times) / 10)
        # The inner pair of clocks is the thread's, so that reading the other does not count in it.
        began, thread_began = time.perf_counter(), time.thread_time()
        image = self._engine.warp(self._rendition, state, self._memory.slot(0))
        thread_s = time.thread_time() - thread_began
        elapsed_s = time.perf_counter() - began
        locked_s = max(0.0, thread_s - image.stages_ms["raster"] / 1e3)
        self._times.append(WarpTimes(elapsed_s, thread_s, locked_s))
        self._images = [*self._images[1 - _IMAGES :], image.nv12]

    def result(self) -> WarpBenchmark:
        """Summarize the warps so far, at least one."""
        return WarpBenchmark.of(self._times, self._images)

    def close(self) -> None:
        """Free the cache."""
        self._memory.close()


def swaying(avatar: AvatarInfo, phase_rad: float) -> FrameState:
    """Return a neutral face, seen by a viewer who moves from side to side."""
    x, y, z = avatar.eye_position
    eye_position = np.array([x + _VIEWER_SWAY_M * np.sin(phase_rad), y, z], np.float32)
    return replace(default_state(avatar), eye_position=eye_position)


def _lower_quartile(values: list[float]) -> float:
    return sorted(values)[len(values) // 4]
