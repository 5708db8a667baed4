"""Measure cache-swap flicker: differences of consecutive frames at swaps and around them.

A sequence is played as a server would render it: each frame is a warp, with a new cache every
`period` frames. Each refresh starts when the one before has ended, so a cache is `period` frames
old when it is swapped in and twice as old when it is swapped out. It is rendered for the poses that
are expected when it is swapped in.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState
from models.contract.pose_motion import TimedPose, expected_state
from models.runtime.renderer import CachedRenderer

PLAYED_FPS = 60.0
"""Frame rate of played sequences, twice that of datasets."""
NEIGHBOURS = 3
"""Differences compared on either side of a swap; few, so that the motion is nearly constant."""


class Step(NamedTuple):
    """One frame of a played sequence."""

    image: NDArray[np.uint8]
    """(H, W, 3) uint8 image."""
    swapped: bool
    """Whether this is the first frame from a new cache."""


@dataclass(frozen=True, slots=True)
class SwapFlicker:
    """Differences of consecutive frames in 8-bit levels, averaged over pixels and channels."""

    swaps: int
    """Number of swaps measured."""
    at_swaps: float
    """Mean difference of the first frame from a new cache to the last from the old."""
    elsewhere: float
    """Mean difference of the frames around each swap."""

    @property
    def ratio(self) -> float:
        """Return the ratio of both differences; 1 means that swaps are invisible."""
        return self.at_swaps / self.elsewhere


def double_rate(states: Sequence[FrameState]) -> list[FrameState]:
    """Return states at twice the frame rate, with interpolated states in between."""
    doubled = [states[0]]
    for before, after in pairwise(states):
        doubled += [interpolate_halfway(before, after), after]
    return doubled


def interpolate_halfway(before: FrameState, after: FrameState) -> FrameState:
    """Return the state halfway between two states."""
    vertices = None
    if before.vertices is not None and after.vertices is not None:
        vertices = _middle(before.vertices, after.vertices)
    return replace(
        before,
        head_rotation=_middle_rotation(before.head_rotation, after.head_rotation),
        head_translation=_middle(before.head_translation, after.head_translation),
        expression=_middle(before.expression, after.expression),
        eye_rotation=_middle_rotation(before.eye_rotation, after.eye_rotation),
        eye_position=_middle(before.eye_position, after.eye_position),
        fov_y_rad=(before.fov_y_rad + after.fov_y_rad) / 2,
        vertices=vertices,
    )


def hold_head_and_eye(states: Sequence[FrameState]) -> list[FrameState]:
    """Return the same expressions with the head pose and view of the first state.

    Without other motion, a swap is easier to see.
    """
    first = states[0]
    return [
        replace(first, expression=state.expression, vertices=state.vertices) for state in states
    ]


def rendered_ahead(states: Sequence[FrameState], fps: float, ahead_s: float) -> FrameState:
    """Return what a server renders ahead after these states.

    Args:
        states: One state per frame, the newest last.
        fps: Frame rate.
        ahead_s: How far ahead.
    """
    times = [number / fps for number in range(len(states))]
    timed = list(zip(times, states, strict=True))
    heads = [TimedPose(at, state.head_rotation, state.head_translation) for at, state in timed]
    eyes = [TimedPose(at, state.eye_rotation, state.eye_position) for at, state in timed]
    return expected_state(states[-1], heads, eyes, times[-1], ahead_s)


def play(renderer: CachedRenderer, states: Sequence[FrameState], period: int) -> list[Step]:
    """Render `states` with a cache that is refreshed every `period` frames.

    Args:
        renderer: Renderer of the avatar.
        states: One state per frame.
        period: Duration of a refresh in frames. The first two periods use the cache of the first
            state, since no earlier one exists.
    """
    cache, fade = renderer.allocate_cache(), renderer.crossfade()
    renderer.refresh(states[0], cache)
    steps = []
    for frame, state in enumerate(states):
        swapped = frame >= 2 * period and frame % period == 0
        if swapped:
            known = states[: frame - period + 1]
            renderer.refresh(rendered_ahead(known, PLAYED_FPS, period / PLAYED_FPS), cache)
        blended = fade.follow(cache, max(1, frame // period), frame / PLAYED_FPS)
        steps.append(Step(renderer.warp(state, blended).rgb, swapped))
    return steps


def measure_swaps(sequences: Sequence[Sequence[Step]]) -> SwapFlicker | None:
    """Compare differences at swaps with those around them, swap by swap.

    Args:
        state_sequences: Results of `play`.

    Returns:
        The comparison, or None if no swap has frames on both sides.
    """
    at_swaps, elsewhere = [], []
    for steps in sequences:
        differences = _differences([step.image for step in steps])
        swaps = [index - 1 for index, step in enumerate(steps) if step.swapped]  # of differences
        for swap in swaps:
            around = range(swap - NEIGHBOURS, swap + NEIGHBOURS + 1)
            # Differences at other swaps are not motion.
            near = [i for i in around if 0 <= i < len(differences) and i not in swaps]
            if any(i < swap for i in near) and any(i > swap for i in near):
                at_swaps.append(differences[swap])
                elsewhere.append(_balanced_mean(differences, near, swap))
    if not at_swaps:
        return None
    return SwapFlicker(len(at_swaps), float(np.mean(at_swaps)), float(np.mean(elsewhere)))


def _balanced_mean(differences: list[float], near: list[int], swap: int) -> float:
    """Return the mean over both sides with equal weights: constant acceleration cancels out."""
    before = np.mean([differences[i] for i in near if i < swap])
    after = np.mean([differences[i] for i in near if i > swap])
    return float(before + after) / 2


def _differences(images: Sequence[NDArray[np.uint8]]) -> list[float]:
    """Return the mean absolute difference of each image to the previous one."""
    return [float(np.abs(now.astype(np.int16) - before).mean()) for before, now in pairwise(images)]


def _middle(before: FloatArray, after: FloatArray) -> FloatArray:
    middle: FloatArray = ((before + after) / 2).astype(np.float32)
    return middle


def _middle_rotation(before: FloatArray, after: FloatArray) -> FloatArray:
    """Return the rotation halfway between two quaternions."""
    # Halfway, the normalized mean equals the spherical interpolation. A quaternion and its negative
    # are the same rotation; the signs must match to interpolate along the shorter way.
    middle = _middle(before, after if np.dot(before, after) >= 0 else -after)
    return middle / np.linalg.norm(middle).astype(np.float32)
