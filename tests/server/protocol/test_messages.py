"""Messages: what is taken, what is refused, and whether the refusal helps."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.errors import BadMessageError
from server.protocol.messages import (
    MeshMessage,
    View,
    parse_mesh_frame,
    parse_mesh_frames,
    parse_render_request,
    parse_stream_request,
    parse_viewer_message,
)


def view(**changes: Any) -> str:
    eye = {"rotation": [0, 0, 0, 1], "position": [0, 0.1, 0.7]}
    return json.dumps({"type": "view", "seq": 5, "sent_at_ms": 99.1, "eye": eye} | changes)


def refusal(text: str | bytes) -> str:
    with pytest.raises(BadMessageError) as caught:
        parse_mesh_frame(text)
    return str(caught.value)


def test_a_view_is_read() -> None:
    message = parse_viewer_message(view(fov_y_rad=0.5))
    assert isinstance(message, View)
    assert message.seq == 5
    assert message.eye.position == (0.0, 0.1, 0.7)
    assert message.fov_y_rad == 0.5


def test_a_mesh_message_is_a_frame_with_a_type() -> None:
    message = parse_viewer_message('{"type": "mesh", "seq": 1, "expression": {"jawOpen": 0.3}}')
    assert isinstance(message, MeshMessage)
    assert message.expression == {"jawOpen": 0.3}


def test_a_frame_needs_no_more_than_its_seq() -> None:
    frame = parse_mesh_frame('{"seq": 0}')
    assert frame.head.rotation == (0.0, 0.0, 0.0, 1.0)
    assert frame.head.translation == (0.0, 0.0, 0.0)
    assert frame.expression is None


def test_a_quaternion_within_one_percent_is_normalised() -> None:
    frame = parse_mesh_frame('{"seq": 1, "head": {"rotation": [0.603, 0, 0, 0.804]}}')
    assert frame.head.rotation == pytest.approx((0.6, 0.0, 0.0, 0.8))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected JSON"),
        ("{", "expected JSON"),
        (b"\xff", "expected JSON"),
        ("[]", "expected an object, got []"),
        ("{}", "seq: expected a value, got nothing"),
        ('{"seq": "1"}', "seq: expected a valid integer, got '1'"),
        ('{"seq": -1}', "seq: expected greater than or equal to 0, got -1"),
        ('{"seq": 1.5}', "seq: expected a valid integer"),
        ('{"seq": 99999999999999999999}', "seq: expected less than or equal to 9007199254740991"),
        ('{"seq": 1, "speed": 2}', "speed: expected no such field"),
        ('{"seq": 1, "captured_at_ms": NaN}', "captured_at_ms: expected a finite number, got nan"),
        ('{"seq": 1, "captured_at_ms": 1e300}', "captured_at_ms: expected less than"),
        (
            '{"seq": 1, "head": {"translation": [0, 0, Infinity]}}',
            "head.translation.2: expected a finite number, got inf",
        ),
        (
            '{"seq": 1, "head": {"translation": [0, 0, 11]}}',
            "head.translation.2: expected less than or equal to 10, got 11",
        ),
        (
            '{"seq": 1, "head": {"translation": [0, 0]}}',
            "head.translation.2: expected a value, got nothing",
        ),
        (
            '{"seq": 1, "head": {"rotation": [0, 0, 0, 1.02]}}',
            "head.rotation: expected a unit quaternion [x, y, z, w] (length 1 within 1 %), "
            "got length 1.02",
        ),
        ('{"seq": 1, "head": {"rotation": [0, 0, 0, 0]}}', "got length 0"),
        ('{"seq": 1, "head": {"rotation": [1e308, 0, 0, 0]}}', "head.rotation.0: expected less"),
        ('{"seq": 1, "expression": {"jawOpen": 11}}', "expression.jawOpen: expected less than"),
        ('{"seq": 1, "expression": [0, true]}', "expression.1: expected a valid number, got True"),
        (
            '{"seq": 1, "expression": "smile"}',
            "expression: expected an object of name: coefficient, or a list of coefficients, "
            "got 'smile'",
        ),
        (
            '{"seq": 1, "expression": {}, "vertices": ""}',
            "expected expression or vertices, got both",
        ),
    ],
)
def test_a_broken_frame_is_refused_with_what_was_expected_and_got(
    text: str | bytes, said: str
) -> None:
    assert said in refusal(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (view(type="vieww"), "'vieww'"),
        (view(eye={"position": [0, 0, 1e9]}), "view.eye.position.2: expected less than"),
        (view(fov_y_rad=0), "view.fov_y_rad: expected greater than or equal to 0.05, got 0"),
        (view(zoom=1), "view.zoom: expected no such field"),
    ],
)
def test_a_broken_viewer_message_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        parse_viewer_message(text)
    assert said in str(caught.value)


def test_what_came_is_shown_but_cut_short() -> None:
    said = refusal(json.dumps({"seq": "9" * 10_000}))
    assert len(said) < 200


def test_many_errors_are_summed_up() -> None:
    said = refusal(json.dumps({"seq": 1, "expression": [20.0] * 52}))
    assert said.endswith("and 49 more")


def test_one_frame_or_an_array_is_read() -> None:
    assert [frame.seq for frame in parse_mesh_frames(b' {"seq": 3}', 2)] == [3]
    assert [frame.seq for frame in parse_mesh_frames(b' [{"seq": 3}, {"seq": 4}]', 2)] == [3, 4]


def test_an_array_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadMessageError, match="at most 2 frames, got 3"):
        parse_mesh_frames(b'[{"seq": 3}, {"seq": 4}, {"seq": 5}]', 2)


def test_an_error_in_an_array_names_the_element() -> None:
    with pytest.raises(BadMessageError, match=r"^1\.seq: expected a valid integer"):
        parse_mesh_frames(b'[{"seq": 3}, {"seq": "x"}]', 2)


def test_a_render_request_fills_in_what_is_left_out() -> None:
    request = parse_render_request(b"{}")
    assert request.avatar == "default"
    assert request.mode == "full"
    assert request.view is None
    assert request.cached is None


def test_an_empty_stream_request_selects_the_defaults() -> None:
    request = parse_stream_request(b"")
    assert request.avatar == "default"
    assert request.id is None


@pytest.mark.parametrize("stream_id", ["", "../x", ".hidden", "a b", "x" * 65, "ü"])
def test_a_stream_id_that_would_need_escaping_is_refused(stream_id: str) -> None:
    with pytest.raises(BadMessageError, match=r"^id: "):
        parse_stream_request(json.dumps({"id": stream_id}).encode())
