"""The recording file: bit-exact, readable when truncated, with errors that name the line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from server.errors import BadMessageError
from server.pool.fake import fake_avatar
from server.protocol.states import MeshState, neutral_mesh
from server.recordings.file_format import (
    Header,
    encode_end,
    encode_header,
    encode_mesh,
    is_recording,
    read_end,
    read_header,
    read_meshes,
)

AVATAR = fake_avatar()
HEADER = Header(
    stream="me",
    avatar="default",
    expression_names=list(AVATAR.expression_names),
    started_at="2030-01-01T00:00:00+00:00",
)
UNIT = st.floats(0, 1, width=32)


def mesh(seq: int = 0, jaw: float = 0.25, vertices: bool = False) -> MeshState:
    state = neutral_mesh(AVATAR)
    expression = state.expression.copy()
    expression[AVATAR.expression_names.index("jawOpen")] = jaw
    points = np.full((AVATAR.vertex_count, 3), jaw, np.float32) if vertices else None
    return replace(
        state, seq=seq, expression=expression, vertices=points, captured_at_ms=10.0 * seq
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "take.ndjson"
    lines = [encode_mesh(mesh(seq, seq / 10), 33.3 * seq) for seq in range(5)]
    path.write_bytes(encode_header(HEADER) + b"".join(lines) + encode_end("stopped", 170.0, 5))
    return path


def test_a_file_is_read_as_it_was_written(file: Path) -> None:
    assert is_recording(file)
    assert read_header(file) == HEADER
    end = read_end(file)
    assert end is not None
    assert (end.reason, end.frames, end.at_ms) == ("stopped", 5, 170.0)
    found = list(read_meshes(file, AVATAR))
    assert [frame.at_ms for frame in found] == pytest.approx([0, 33.3, 66.6, 99.9, 133.2])
    assert [frame.mesh.seq for frame in found] == [0, 1, 2, 3, 4]
    assert [frame.mesh.captured_at_ms for frame in found] == [0, 10, 20, 30, 40]


@given(arrays(np.float32, len(AVATAR.expression_names), elements=UNIT), st.integers(0, 2**32 - 1))
def test_every_number_is_stored_bit_exactly(
    expression: np.ndarray[tuple[int], np.dtype[np.float32]], seed: int
) -> None:
    random = np.random.default_rng(seed)
    rotation = random.normal(size=4)
    state = replace(
        mesh(),
        expression=expression,
        head_rotation=(rotation / np.linalg.norm(rotation)).astype(np.float32),
        head_translation=random.uniform(-1, 1, 3).astype(np.float32),
        vertices=random.normal(size=(AVATAR.vertex_count, 3)).astype(np.float32),
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "take.ndjson"
        path.write_bytes(encode_header(HEADER) + encode_mesh(state, 0.0))
        (frame,) = read_meshes(path, AVATAR)
    for name in ("expression", "head_rotation", "head_translation", "vertices"):
        assert getattr(frame.mesh, name).tobytes() == getattr(state, name).tobytes(), name


@given(st.data())
def test_a_truncated_file_is_read_up_to_its_end(data: st.DataObject) -> None:
    first = encode_header(HEADER)
    lines = [encode_mesh(mesh(seq), 10.0 * seq) for seq in range(3)]
    whole = first + b"".join(lines)
    at = data.draw(st.integers(len(first), len(whole)))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "take.ndjson"
        path.write_bytes(whole[:at])
        found = [frame.mesh.seq for frame in read_meshes(path, AVATAR)]
        assert read_end(path) is None
    ends = np.cumsum([len(first), *(len(line) for line in lines)])[1:]
    assert found == [seq for seq, end in enumerate(ends) if end <= at]


def test_lines_of_other_types_are_skipped(file: Path) -> None:
    voice = {"type": "voice", "at_ms": 1.0, "rtp_timestamp": 960, "opus": "AAAA"}
    file.write_bytes(
        encode_header(HEADER)
        + b'{"type":"gaze","x":1}\n'
        + json.dumps(voice).encode()
        + b"\n"
        + encode_mesh(mesh(7), 3.0)
    )
    assert [frame.mesh.seq for frame in read_meshes(file, AVATAR)] == [7]


def test_coefficients_are_matched_by_name(file: Path) -> None:
    other = replace(AVATAR, expression_names=("somethingElse", "jawOpen"))
    found = list(read_meshes(file, other))
    assert [frame.mesh.expression.tolist() for frame in found[:2]] == [
        [0.0, 0.0],
        [0.0, pytest.approx(0.1)],
    ]
    with pytest.raises(BadMessageError, match="names no expression of avatar 'flame'"):
        list(read_meshes(file, replace(AVATAR, id="flame", expression_names=("expr0",))))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{broken\n", "line 2: expected a JSON object"),
        (b"[1]\n", "line 2: expected a JSON object"),
        (b'{"type":"mesh","at_ms":0}\n', "line 2: seq: expected a value, got nothing"),
        (encode_mesh(mesh(), 0).replace(b"0.25", b"1e999"), "line 2: expression"),
        (encode_mesh(mesh(), 0).replace(b"1.0]", b"5.0]"), "expected a unit quaternion"),
        (encode_mesh(mesh(vertices=True), 0).replace(b'"vertices":"', b'"vertices":"AAAA'), "got"),
        (encode_mesh(mesh(), 0).replace(b"[0.0,0.0,0.0,", b"[0.0,", 1), "line 2: head.rotation"),
    ],
)
def test_a_malformed_line_is_named_in_the_error(file: Path, line: bytes, said: str) -> None:
    file.write_bytes(encode_header(HEADER) + line + encode_mesh(mesh(), 5))
    with pytest.raises(BadMessageError, match=said):
        list(read_meshes(file, AVATAR))


@pytest.mark.parametrize("text", [b"", b"Timecode,BlendShapeCount\n", b'{"format":"other"}\n'])
def test_a_file_of_another_format_is_refused(file: Path, text: bytes) -> None:
    file.write_bytes(text)
    assert not is_recording(file)
    with pytest.raises(BadMessageError, match="expected a recording"):
        list(read_meshes(file, AVATAR))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert not is_recording(tmp_path / "missing")
