"""Messages: accepted and refused ones, and the text of errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.errors import BadMessageError
from server.protocol.json_text import split_array
from server.protocol.messages import (
    LONGEST_EXPRESSION,
    Display,
    MeshMessage,
    View,
    each_mesh_frame,
    parse_mesh_frame,
    parse_viewer_message,
)
from server.protocol.requests import parse_render_request, parse_stream_request


def view(**changes: Any) -> str:
    eye = {"rotation": [0, 0, 0, 1], "position": [0, 0.1, 0.7]}
    return json.dumps({"type": "view", "seq": 5, "sent_at_ms": 99.1, "eye": eye} | changes)


def refusal(text: str | bytes) -> str:
    with pytest.raises(BadMessageError) as caught:
        parse_mesh_frame(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "expected an object with a type, got {}"),
        ('{"type": "x"}', "expected type 'view', 'mesh', 'ping', 'display', got 'x'"),
        ('{"type": null}', "expected type 'view', 'mesh', 'ping', 'display', got null"),
    ],
)
def test_a_message_of_an_unknown_type_is_refused_with_the_known_types(
    text: str, message: str
) -> None:
    with pytest.raises(BadMessageError) as caught:
        parse_viewer_message(text)
    assert str(caught.value) == message


def test_a_view_is_parsed() -> None:
    message = parse_viewer_message(view(fov_y_rad=0.5))
    assert isinstance(message, View)
    assert message.seq == 5
    assert message.eye.position == (0.0, 0.1, 0.7)
    assert message.fov_y_rad == 0.5


@pytest.mark.parametrize(("size", "expected"), [(1, 1), (2532, 2532), (800.0, 800)])
def test_a_display_message_contains_its_pixels(size: float, expected: int) -> None:
    message = parse_viewer_message(json.dumps({"type": "display", "size_px": size}))
    assert isinstance(message, Display)
    assert message.size_px == expected


@pytest.mark.parametrize("size", [0, -5, 16385, 1e300, 800.5, "800", None, True])
def test_a_display_without_a_size_is_refused(size: object) -> None:
    with pytest.raises(BadMessageError, match="size_px"):
        parse_viewer_message(json.dumps({"type": "display", "size_px": size}))


def test_a_mesh_message_is_a_mesh_frame_with_a_type() -> None:
    message = parse_viewer_message('{"type": "mesh", "seq": 1, "expression": {"jawOpen": 0.3}}')
    assert isinstance(message, MeshMessage)
    assert message.expression == {"jawOpen": 0.3}


def test_a_frame_needs_only_its_seq() -> None:
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
        (
            '{"seq": 1, "head": {"rotation": [0, 0, 0, 1, 1]}}',
            "head.rotation: expected a list that has at most 4 items, got [0, 0, 0, 1, 1]",
        ),
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
        ('{"seq": 1, "expression": [0, true]}', "expression.1: expected a valid number, got true"),
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
def test_an_invalid_frame_is_refused_with_the_expected_and_actual_value(
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
def test_an_invalid_viewer_message_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        parse_viewer_message(text)
    assert said in str(caught.value)


def test_an_error_quotes_the_input_truncated() -> None:
    said = refusal(json.dumps({"seq": "9" * 10_000}))
    assert len(said) < 200


def test_many_errors_are_summarised() -> None:
    said = refusal(json.dumps({"seq": 1, "expression": [20.0] * 52}))
    assert said.endswith("and 49 more")


def test_one_frame_or_an_array_is_parsed() -> None:
    assert [frame.seq for frame in each_mesh_frame(b' {"seq": 3}', 2)] == [3]
    assert [frame.seq for frame in each_mesh_frame(b' [{"seq": 3}, {"seq": 4}]', 2)] == [3, 4]


def test_an_array_that_is_too_long_is_refused() -> None:
    with pytest.raises(BadMessageError, match="at most 2 frames, got 3"):
        list(each_mesh_frame(b'[{"seq": 3}, {"seq": 4}, {"seq": 5}]', 2))


def test_an_error_in_an_array_contains_the_index_of_the_element() -> None:
    with pytest.raises(BadMessageError, match=r"^1\.seq: expected a valid integer"):
        list(each_mesh_frame(b'[{"seq": 3}, {"seq": "x"}]', 2))


def test_a_render_request_uses_defaults_for_missing_fields() -> None:
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


@pytest.mark.parametrize(
    ("text", "seq"), [("3.0", 3), ("1e2", 100), ("9007199254740991.0", 2**53 - 1)]
)
def test_an_integer_may_be_written_as_a_float(text: str, seq: int) -> None:
    frame = parse_mesh_frame(f'{{"seq": {text}}}')
    assert frame.seq == seq
    assert isinstance(frame.seq, int)


@pytest.mark.parametrize("text", ["3.5", "1e300", "-1.0", "1e999", "true", '"3"', "null"])
def test_a_fraction_is_refused_where_an_integer_is_expected(text: str) -> None:
    assert refusal(f'{{"seq": {text}}}').startswith("seq: expected ")


def test_null_is_accepted_for_optional_fields() -> None:
    frame = parse_mesh_frame(
        '{"seq": 1, "head": null, "expression": null, "vertices": null, "captured_at_ms": null}'
    )
    assert frame == parse_mesh_frame('{"seq": 1}')
    turned = parse_mesh_frame('{"seq": 1, "head": {"rotation": null, "translation": null}}')
    assert turned == frame
    nulls = dict.fromkeys(("avatar", "frame", "view", "mode", "cached"))
    assert parse_render_request(json.dumps(nulls).encode()) == parse_render_request(b"{}")
    assert parse_stream_request(b'{"avatar": null, "id": null}') == parse_stream_request(b"")


def test_null_is_refused_for_required_fields_in_the_terms_of_json() -> None:
    assert refusal('{"seq": null}') == "seq: expected a valid integer, got null"
    assert refusal('{"seq": 1, "expression": {"jawOpen": [null, false]}}').endswith(
        "expected a valid number, got [null, false]"
    )


@pytest.mark.parametrize("text", ['\ufeff{"seq": 4}', b'\xef\xbb\xbf{"seq": 4}'])
def test_a_byte_order_mark_is_ignored(text: str | bytes) -> None:
    assert parse_mesh_frame(text).seq == 4


def test_a_byte_order_mark_before_an_array_is_ignored() -> None:
    assert [frame.seq for frame in each_mesh_frame(b'\xef\xbb\xbf[{"seq": 4}]', 1)] == [4]


def test_the_largest_number_of_coefficients_is_accepted() -> None:
    expression = {f"name{number}": 0.5 for number in range(LONGEST_EXPRESSION)}
    assert len(
        parse_mesh_frame(json.dumps({"seq": 1, "expression": expression})).expression or ()
    ) == (LONGEST_EXPRESSION)


@pytest.mark.parametrize(
    "bomb",
    [
        b'{"frame": {"expression": [' + b"9e9," * 400_000 + b"1]}}",
        b"{" + b",".join(b'"%x":1' % number for number in range(100_000)) + b"}",
        b'{"frame":' * 100_000,
        b"[" * 100_000,
    ],
)
def test_a_text_with_too_many_values_is_refused_before_validation(bomb: bytes) -> None:
    for parse in (
        parse_mesh_frame,
        parse_render_request,
        parse_stream_request,
        parse_viewer_message,
    ):
        with pytest.raises(BadMessageError, match=r"expected at most \d+ (values|characters), got"):
            parse(bomb)


def test_parsing_an_array_stops_at_its_first_error() -> None:
    frames = each_mesh_frame(b'[{"seq": 1}, 1' + b", 1" * 500_000 + b"]", 1024)
    assert next(frames).seq == 1
    with pytest.raises(BadMessageError, match=r"^1: expected an object, got 1$"):
        next(frames)


@pytest.mark.parametrize(
    ("text", "seqs"),
    [
        (rb'[{"seq": 1, "expression": {}}, {"seq": 2}]', [1, 2]),
        (b"[ ]", []),
        (b'[{"seq": 1}' + b" " * 60_000 + b"]", [1]),
    ],
)
def test_an_array_is_split_into_its_elements(text: bytes, seqs: list[int]) -> None:
    assert [frame.seq for frame in each_mesh_frame(text, 8)] == seqs


def test_quotes_and_brackets_inside_strings_do_not_end_an_element() -> None:
    written = [rb'"a\\"', rb'"\""', rb'"\\\"],["', rb'"]"', rb'{"a": "}\\\\"}']
    assert list(split_array(b"[" + b",".join(written) + b"]", 8)) == written


def test_an_array_far_over_its_limit_is_not_parsed_to_its_end() -> None:
    with pytest.raises(BadMessageError, match="at most 2 frames, got more than 3"):
        list(each_mesh_frame(b"[" + b'{"seq":1},' * 100_000 + b'{"seq":1}]', 2))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"[", "0: expected JSON, got an array without an end"),
        (b'[{"seq": 1}', "0: expected JSON, got an array without an end"),
        (b'[{"seq": 1},]', "1: expected JSON"),
        (b"[,]", "0: expected JSON"),
        (b'[{"seq": 1] }', "0: expected JSON"),
        (b'[{"seq": 1}] {', "got characters after the end of the array"),
        (b'[{"seq": 1} {"seq": 2}]', "0: expected JSON"),
        (b'[{"seq": "]', "0: expected JSON, got an array without an end"),
        (b'[{"se\\"q]": 1}]', "expected no such field"),
        (b"[[" + b"1," * 2000 + b"1]]", "0: expected at most 1088 values"),
    ],
)
def test_an_array_that_is_not_json_is_refused(text: bytes, said: str) -> None:
    with pytest.raises(BadMessageError) as caught:
        list(each_mesh_frame(text, 8))
    assert said in str(caught.value)


def test_a_view_may_have_a_few_kilobytes_and_a_mesh_more() -> None:
    with pytest.raises(BadMessageError, match="expected at most 4096 characters"):
        parse_viewer_message(view() + " " * 5000)
    assert parse_viewer_message('{"type": "mesh", "seq": 1}' + " " * 5000)


def test_a_long_name_is_truncated_in_the_error() -> None:
    assert len(refusal(json.dumps({"seq": 1, "x" * 100_000: 1}))) < 200
