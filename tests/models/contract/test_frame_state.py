"""When two states show the same image, and the default state of an avatar."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState, default_state, neutral_state

AVATAR = AvatarInfo(
    id="a",
    name="A",
    resolution=64,
    expression_names=("jawOpen", "tongueOut"),
    vertex_count=4,
    triangle_count=2,
    licence="CC0-1.0",
    origin="this test",
    eye_position=(0.1, 0.2, 0.7),
    fov_y_rad=0.4,
)
STATE = replace(
    neutral_state(3, (0.0, 0.1, 0.7), 0.5), vertices=np.arange(12, dtype=np.float32).reshape(4, 3)
)


def test_states_of_equal_values_show_the_same_image() -> None:
    assert STATE.same_image(STATE)
    assert STATE.same_image(deepcopy(STATE))


@pytest.mark.parametrize("name", [field.name for field in fields(FrameState)])
def test_a_change_of_any_field_changes_the_image(name: str) -> None:
    value: dict[str, Any] = {name: getattr(STATE, name) + np.float32(0.01)}
    changed = replace(STATE, **value)
    assert not STATE.same_image(changed)
    assert not changed.same_image(STATE)


def test_own_vertices_differ_from_none() -> None:
    without = replace(STATE, vertices=None)
    assert not without.same_image(STATE)
    assert not STATE.same_image(without)
    assert without.same_image(replace(deepcopy(STATE), vertices=None))


def test_the_default_state_is_the_neutral_face_in_the_default_view() -> None:
    state = default_state(AVATAR)
    assert state.expression.shape == (2,)
    assert not state.expression.any()
    assert state.vertices is None
    np.testing.assert_array_equal(state.eye_position, np.array(AVATAR.eye_position, np.float32))
    np.testing.assert_array_equal(state.eye_rotation, [0, 0, 0, 1])
    assert state.fov_y_rad == AVATAR.fov_y_rad
