"""Cache-swap flicker is measured at cache swaps and not elsewhere."""

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
    rendered_ahead,
)
from models.geometry.camera import rotation_vector_to_quaternion
from models.networks.avatar_networks import Variant
from models.runtime.renderer import CachedRenderer


def stream(levels: list[int], swaps: list[int]) -> list[Step]:
    return [
        Step(np.full((4, 4, 3), level, np.uint8), index in swaps)
        for index, level in enumerate(levels)
    ]


def test_a_visible_swap_is_measured_against_the_motion_around_it() -> None:
    # Two levels per frame, but five at the swap to frame 4.
    measured = measure_swaps([stream([0, 2, 4, 6, 11, 13, 15, 17], [4])])
    assert measured is not None
    assert (measured.swaps, measured.at_swaps, measured.elsewhere) == (1, 5, 2)
    assert measured.ratio == 2.5


def test_evenly_accelerated_motion_is_not_flicker() -> None:
    levels = np.cumsum([0, 1, 2, 3, 4, 5, 6, 7]).tolist()
    measured = measure_swaps([stream(levels, [4])])
    assert measured is not None
    assert measured.ratio == 1


def test_negative_differences_do_not_wrap() -> None:
    measured = measure_swaps([stream([9, 7, 5, 3, 1], [2])])
    assert measured is not None
    assert measured.at_swaps == 2


def test_other_swaps_are_not_counted_as_motion() -> None:
    measured = measure_swaps([stream([0, 1, 2, 12, 13, 14, 24, 25, 26], [3, 6])])
    assert measured is not None
    assert (measured.swaps, measured.at_swaps, measured.elsewhere) == (2, 10, 1)


@pytest.mark.parametrize("swaps", [[], [1], [3]])
def test_without_frames_on_both_sides_nothing_is_measured(swaps: list[int]) -> None:
    assert measure_swaps([stream([0, 1, 2, 3], swaps)]) is None


def test_the_state_halfway_has_half_the_rotation(front: FrameState) -> None:
    turn = np.array([0.1, 0.6, 0.2])
    # A negated quaternion is the same rotation: interpolation must take the shorter way.
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


def test_a_cache_is_shown_after_the_duration_of_its_refresh(
    build_avatar: Callable[[Variant], Avatar], front: FrameState, turned: FrameState
) -> None:
    renderer = CachedRenderer(build_avatar("live"))
    states = double_rate(double_rate([front, turned])) * 8
    steps = play(renderer, states, period=13)
    assert [index for index, step in enumerate(steps) if step.swapped] == [26, 39]
    cache = renderer.allocate_cache()
    for shown, cached in ((25, 0), (38, 13), (39, 26)):
        # What was expected when the refresh began, for its end.
        ahead = rendered_ahead(states[: cached + 1], 60, 13 / 60)
        renderer.refresh(ahead if cached else states[0], cache)
        expected = renderer.warp(states[shown], cache).rgb
        same = np.array_equal(steps[shown].image, expected)
        assert same == (shown != 39)  # the crossfade to the new cache is not complete
