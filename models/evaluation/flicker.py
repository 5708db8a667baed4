"""Does a viewer see caches being swapped? Consecutive frames at swaps against those around them.

A stream is played as a server would show it: frames warped one after the other, a new cache every
`period` frames. Each refresh begins when the one before has ended, so a cache is `period` frames
old when it is swapped in and twice as old when it is swapped out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray, FrameState
from models.runtime.renderer import CachedRenderer

PLAYED_FPS = 60.0
NEIGHBOURS = 3
"""Differences looked at on either side of a swap. Few, so that the motion is the same."""


class Step(NamedTuple):
    """One frame of a played stream."""

    picture: NDArray[np.uint8]
    """(H, W, 3)"""
    swapped: bool
    """Whether this is the first frame from a new cache."""


@dataclass(frozen=True, slots=True)
class SwapFlicker:
    """How much consecutive frames differ, in 8-bit levels, averaged over pixels and channels."""

    swaps: int
    """How many were seen."""
    at_swaps: float
    """Mean difference of the first frame from a new cache to the last from the old."""
    elsewhere: float
    """Mean difference of the frames around each swap."""

    @property
    def ratio(self) -> float:
        """1 where swaps cannot be told from other frames."""
        return self.at_swaps / self.elsewhere


def doubled_rate(states: Sequence[FrameState]) -> list[FrameState]:
    """States at twice the frame rate: between any two comes the one halfway."""
    doubled = [states[0]]
    for before, after in pairwise(states):
        doubled += [halfway(before, after), after]
    return doubled


def halfway(before: FrameState, after: FrameState) -> FrameState:
    """The moment between two moments."""
    vertices = None
    if before.vertices is not None and after.vertices is not None:
        vertices = _middle(before.vertices, after.vertices)
    return replace(
        before,
        head_rotation=_middle_turn(before.head_rotation, after.head_rotation),
        head_translation=_middle(before.head_translation, after.head_translation),
        expression=_middle(before.expression, after.expression),
        eye_rotation=_middle_turn(before.eye_rotation, after.eye_rotation),
        eye_position=_middle(before.eye_position, after.eye_position),
        fov_y_rad=(before.fov_y_rad + after.fov_y_rad) / 2,
        vertices=vertices,
    )


def only_the_face_moves(states: Sequence[FrameState]) -> list[FrameState]:
    """The same expressions, with head and eye held as they are at first.

    Where hardly anything moves, a swap has nothing to hide behind.
    """
    first = states[0]
    return [
        replace(first, expression=state.expression, vertices=state.vertices) for state in states
    ]


def play(renderer: CachedRenderer, states: Sequence[FrameState], period: int) -> list[Step]:
    """Show `states` one after the other while caches are refreshed every `period` frames.

    Args:
        renderer: Who draws.
        states: One a frame.
        period: Frames that a refresh takes. In the first two periods the cache is of the first
            state, since nothing was before it.
    """
    cache, fade = renderer.allocate_cache(), renderer.crossfade()
    renderer.refresh(states[0], cache)
    steps = []
    for frame, state in enumerate(states):
        swapped = frame >= 2 * period and frame % period == 0
        if swapped:
            renderer.refresh(states[frame - period], cache)
        shown = fade.follow(cache, max(1, frame // period), frame / PLAYED_FPS)
        steps.append(Step(renderer.warp(state, shown).rgb, swapped))
    return steps


def measure_swaps(streams: Sequence[Sequence[Step]]) -> SwapFlicker | None:
    """Compare differences at swaps with those around them, swap by swap.

    Args:
        streams: What `play` made.

    Returns:
        The comparison, or None where no swap has frames on both sides.
    """
    at_swaps, elsewhere = [], []
    for steps in streams:
        differences = _differences([step.picture for step in steps])
        swaps = [index - 1 for index, step in enumerate(steps) if step.swapped]  # of differences
        for swap in swaps:
            around = range(swap - NEIGHBOURS, swap + NEIGHBOURS + 1)
            near = [i for i in around if 0 <= i < len(differences) and i not in swaps]
            if any(i < swap for i in near) and any(i > swap for i in near):
                at_swaps.append(differences[swap])
                elsewhere.append(_balanced_mean(differences, near, swap))
    if not at_swaps:
        return None
    return SwapFlicker(len(at_swaps), float(np.mean(at_swaps)), float(np.mean(elsewhere)))


def _balanced_mean(differences: list[float], near: list[int], swap: int) -> float:
    """Mean over both sides, each counting the same: motion that speeds up evenly cancels out."""
    before = np.mean([differences[i] for i in near if i < swap])
    after = np.mean([differences[i] for i in near if i > swap])
    return float(before + after) / 2


def _differences(pictures: Sequence[NDArray[np.uint8]]) -> list[float]:
    """Mean absolute difference of each picture to the one before it."""
    return [
        float(np.abs(now.astype(np.int16) - before).mean()) for before, now in pairwise(pictures)
    ]


def _middle(before: FloatArray, after: FloatArray) -> FloatArray:
    middle: FloatArray = ((before + after) / 2).astype(np.float32)
    return middle


def _middle_turn(before: FloatArray, after: FloatArray) -> FloatArray:
    """In the middle, the normalised mean of two quaternions is their spherical interpolation."""
    middle = _middle(before, after if np.dot(before, after) >= 0 else -after)
    return middle / np.linalg.norm(middle).astype(np.float32)
