"""Mesh frames decoded for an avatar: names, counts, vertices."""

from __future__ import annotations

import base64
import re
from dataclasses import replace

import numpy as np
import pytest

from server.errors import BadMessageError
from server.pool.fake import EXPRESSION_NAMES, JAW_OPEN, fake_avatar
from server.protocol.decode import (
    decode_mesh,
    decode_state,
    decode_view,
    to_expression,
    to_vertices,
)
from server.protocol.messages import MeshFrame, View, parse_mesh_frame
from server.protocol.requests import RenderFace, RenderView

AVATAR = fake_avatar()  # four vertices


def vertices_text(array: object) -> str:
    return base64.b64encode(np.asarray(array, "<f4").tobytes()).decode()


def test_coefficients_by_name_are_stored_at_their_indices() -> None:
    frame = parse_mesh_frame('{"seq": 1, "expression": {"jawOpen": 0.25}}')
    coefficients = to_expression(frame, AVATAR)
    assert coefficients.dtype == np.float32
    assert coefficients[JAW_OPEN] == 0.25
    assert coefficients.sum() == 0.25


def test_a_full_list_is_used_in_order() -> None:
    values = [i / 100 for i in range(len(EXPRESSION_NAMES))]
    coefficients = to_expression(MeshFrame(seq=1, expression=values), AVATAR)
    np.testing.assert_array_equal(coefficients, np.array(values, np.float32))


def test_a_coefficient_slightly_out_of_range_is_clamped() -> None:
    frame = parse_mesh_frame('{"seq": 1, "expression": {"jawOpen": 1.003, "jawLeft": -0.001}}')
    coefficients = to_expression(frame, AVATAR)
    assert coefficients[JAW_OPEN] == 1.0
    assert coefficients.sum() == 1.0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (1.2, "expression.jawOpen: expected less than or equal to 1.05, got 1.2"),
        (-0.2, "expression.jawOpen: expected greater than or equal to -0.05, got -0.2"),
    ],
)
def test_a_coefficient_far_out_of_range_is_refused(value: float, said: str) -> None:
    with pytest.raises(BadMessageError, match=re.escape(said)):
        to_expression(MeshFrame(seq=1, expression={"jawOpen": value}), AVATAR)


def test_the_range_is_that_of_the_avatar() -> None:
    wide = replace(AVATAR, expression_range=(-5.0, 5.0))
    assert to_expression(MeshFrame(seq=1, expression={"jawOpen": -3.5}), wide)[JAW_OPEN] == -3.5


def test_a_face_without_expression_is_neutral() -> None:
    assert not to_expression(MeshFrame(seq=1), AVATAR).any()


def test_a_list_of_another_length_is_refused() -> None:
    with pytest.raises(BadMessageError, match=r"expected 52 numbers .*got 3"):
        to_expression(MeshFrame(seq=1, expression=[0.0, 0.0, 0.0]), AVATAR)


@pytest.mark.parametrize("name", ["jawopen", "jaw_open", "JawOpen", "blendShape1.jawOpen"])
def test_other_spellings_of_a_name_are_accepted(name: str) -> None:
    frame = MeshFrame(seq=1, expression={name: 0.5, "_neutral": 0.9})
    expression = to_expression(frame, AVATAR)
    assert expression[JAW_OPEN] == 0.5
    assert np.count_nonzero(expression) == 1


def test_two_spellings_of_one_name_are_refused() -> None:
    with pytest.raises(BadMessageError, match="expected jawOpen once, got 'JawOpen' and 'jawOpen'"):
        to_expression(MeshFrame(seq=1, expression={"JawOpen": 0.5, "jawOpen": 0.1}), AVATAR)


@pytest.mark.parametrize("name", ["jawOpn", "jaw_opened"])
def test_an_unknown_name_is_refused_with_the_nearest_name(name: str) -> None:
    with pytest.raises(BadMessageError, match=f"got '{name}'; did you mean 'jawOpen'"):
        to_expression(MeshFrame(seq=1, expression={name: 0.5}), AVATAR)


def test_a_name_without_similar_ones_gets_no_suggestion() -> None:
    with pytest.raises(BadMessageError, match=r"got 'zzzz'$"):
        to_expression(MeshFrame(seq=1, expression={"zzzz": 0.5}), AVATAR)


def test_vertices_are_decoded() -> None:
    wanted = np.arange(12, dtype=np.float32).reshape(4, 3) / 10
    decoded = to_vertices(MeshFrame(seq=1, vertices=vertices_text(wanted)), AVATAR)
    assert decoded is not None
    np.testing.assert_array_equal(decoded, wanted)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("not base64!", "expected base64"),
        ("ü", "expected base64"),
        (vertices_text(np.zeros((5, 3))), "expected 4 x 3 float32 = 48 bytes .*got 60 bytes"),
        (vertices_text(np.full((4, 3), np.nan)), "expected finite numbers within 10 m"),
        (vertices_text(np.full((4, 3), np.inf)), "expected finite numbers within 10 m"),
        (vertices_text(np.full((4, 3), 11.0)), "expected finite numbers within 10 m"),
    ],
)
def test_vertices_that_do_not_fit_the_mesh_of_the_avatar_are_refused(text: str, said: str) -> None:
    with pytest.raises(BadMessageError, match=f"^vertices: {said}"):
        to_vertices(MeshFrame(seq=1, vertices=text), AVATAR)


def test_a_frame_becomes_a_mesh_state() -> None:
    frame = parse_mesh_frame(
        '{"seq": 7, "captured_at_ms": 12.5, "head": {"translation": [0.1, 0, 0]}}'
    )
    mesh = decode_mesh(frame, AVATAR, received_at=3.0)
    assert (mesh.seq, mesh.captured_at_ms, mesh.received_at) == (7, 12.5, 3.0)
    np.testing.assert_allclose(mesh.head_translation, [0.1, 0, 0])
    assert mesh.vertices is None


def test_a_view_becomes_a_view_state() -> None:
    view = View.model_validate_json('{"type": "view", "seq": 2, "eye": {"position": [0, 0, 1]}}')
    state = decode_view(view, received_at=4.0)
    assert (state.seq, state.sent_at_ms, state.received_at) == (2, None, 4.0)
    np.testing.assert_array_equal(state.eye_position, [0, 0, 1])
    assert state.fov_y_rad is None


def test_a_render_request_without_a_view_uses_the_view_of_the_avatar() -> None:
    state = decode_state(RenderFace(), None, AVATAR)
    np.testing.assert_allclose(state.eye_position, AVATAR.eye_position)
    assert state.fov_y_rad == AVATAR.fov_y_rad


def test_the_view_of_a_request_replaces_that_of_the_avatar() -> None:
    view = RenderView.model_validate_json('{"eye": {"position": [0.5, 0, 1]}, "fov_y_rad": 0.4}')
    state = decode_state(RenderFace(), view, AVATAR)
    np.testing.assert_array_equal(state.eye_position, [0.5, 0, 1])
    assert state.fov_y_rad == 0.4
