"""Cache swaps: seen where there are any, and not where there are none."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState
from models.evaluation.flicker import (
    Step,
    double_rate,
    hold_head_and_eye,
    interpolate_halfway,
    measure_swaps,
    play,
)
from models.geometry.camera import rotation_vector_to_quaternion
from models.networks.avatar_networks import Variant
from models.runtime.renderer import CachedRenderer


def stream(levels: list[int], swaps: list[int]) -> list[Step]:
    return [
        Step(np.full((4, 4, 3), level, np.uint8), index in swaps)
        for index, level in enumerate(levels)
    ]


def test_a_swap_that_shows_is_measured_against_the_motion_around_it() -> None:
    # Two levels a frame, but five at the swap to frame 4.
    seen = measure_swaps([stream([0, 2, 4, 6, 11, 13, 15, 17], [4])])
    assert seen is not None
    assert (seen.swaps, seen.at_swaps, seen.elsewhere) == (1, 5, 2)
    assert seen.ratio == 2.5


def test_motion_that_speeds_up_evenly_is_no_flicker() -> None:
    levels = np.cumsum([0, 1, 2, 3, 4, 5, 6, 7]).tolist()
    seen = measure_swaps([stream(levels, [4])])
    assert seen is not None
    assert seen.ratio == 1


def test_levels_below_zero_do_not_wrap() -> None:
    seen = measure_swaps([stream([9, 7, 5, 3, 1], [2])])
    assert seen is not None
    assert seen.at_swaps == 2


def test_other_swaps_are_not_taken_for_motion() -> None:
    seen = measure_swaps([stream([0, 1, 2, 12, 13, 14, 24, 25, 26], [3, 6])])
    assert seen is not None
    assert (seen.swaps, seen.at_swaps, seen.elsewhere) == (2, 10, 1)


@pytest.mark.parametrize("swaps", [[], [1], [3]])
def test_without_frames_on_both_sides_nothing_is_measured(swaps: list[int]) -> None:
    assert measure_swaps([stream([0, 1, 2, 3], swaps)]) is None


def test_the_state_halfway_is_half_the_turn(front: FrameState) -> None:
    turn = np.array([0.1, 0.6, 0.2])
    # A quaternion's negative is the same turn: the way there must not lead through the far side.
    later = replace(
        front,
        head_rotation=-rotation_vector_to_quaternion(turn),
        head_translation=np.array([0.2, 0, 0], np.float32),
        expression=np.array([1, 0, 0.5, 0], np.float32),
    )
    middle = interpolate_halfway(front, later)
    expected = rotation_vector_to_quaternion(turn / 2)
    assert abs(np.dot(middle.head_rotation, expected)) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(middle.head_translation, [0.1, 0, 0])
    np.testing.assert_allclose(middle.expression, [0.5, 0, 0.25, 0])
    assert double_rate([front, later, front])[0::2] == [front, later, front]


def test_head_and_eye_are_held_still(front: FrameState, turned: FrameState) -> None:
    _, state = hold_head_and_eye([front, turned])
    assert state.eye_position is front.eye_position
    assert state.head_rotation is front.head_rotation
    assert state.expression is turned.expression


def test_caches_are_as_old_as_their_refresh_took(
    build_avatar: Callable[[Variant], Avatar], front: FrameState, turned: FrameState
) -> None:
    renderer = CachedRenderer(build_avatar("live"))
    states = double_rate(double_rate([front, turned])) * 8
    steps = play(renderer, states, period=13)
    assert [index for index, step in enumerate(steps) if step.swapped] == [26, 39]
    cache = renderer.allocate_cache()
    for shown, cached in ((25, 0), (38, 13), (39, 26)):
        renderer.refresh(states[cached], cache)
        expected = renderer.warp(states[shown], cache).rgb
        same = np.array_equal(steps[shown].image, expected)
        assert same == (shown != 39)  # there the new one is still coming in
