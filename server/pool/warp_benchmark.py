"""What a benchmark of warps measures, and the viewer that it imitates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage

_VIEWER_SWAY_M = 0.1
"""Distance that the viewer of a benchmark moves to either side, metres."""


@dataclass(frozen=True)
class WarpTimes:
    """How long one warp took."""

    elapsed_s: float
    """From call to image, rasterization included."""
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
    images: list[RgbImage]
    """The last few images, each (H, W, 3) uint8."""

    @classmethod
    def of(cls, times: list[WarpTimes], images: list[RgbImage]) -> WarpBenchmark:
        """Summarize the times of warps; `images` are the last few of theirs."""
        return cls(
            _lower_quartile([time.elapsed_s for time in times]),
            _lower_quartile([time.thread_s for time in times]),
            _lower_quartile([time.locked_s for time in times]),
            images,
        )


def swaying(avatar: AvatarInfo, phase_rad: float) -> FrameState:
    """Return a neutral face, seen by a viewer who moves from side to side."""
    x, y, z = avatar.eye_position
    return FrameState(
        head_rotation=np.array([0, 0, 0, 1], np.float32),
        head_translation=np.zeros(3, np.float32),
        expression=np.zeros(len(avatar.expression_names), np.float32),
        vertices=None,
        eye_rotation=np.array([0, 0, 0, 1], np.float32),
        eye_position=np.array([x + _VIEWER_SWAY_M * np.sin(phase_rad), y, z], np.float32),
        fov_y_rad=avatar.fov_y_rad,
    )


def _lower_quartile(values: list[float]) -> float:
    return sorted(values)[len(values) // 4]
