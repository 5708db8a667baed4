"""Packed mesh frames: the bytes of the publish page, and refused frames."""

from __future__ import annotations

import json
import math
import re
from contextlib import suppress
from pathlib import Path
from struct import pack

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import BadMessageError
from server.pool.fake import EXPRESSION_NAMES, fake_avatar
from server.protocol.decode import decode_mesh
from server.protocol.messages import parse_mesh_frame
from server.protocol.packed_mesh import is_packed, unpack_mesh

KNOWN = json.loads((Path(__file__).parents[2] / "client_web" / "packed_mesh.json").read_text())
POSE = (0, 0, 0, 32767, 0, 0, 0)


def packed(
    seq: int = 1,
    captured_at_ms: float = math.nan,
    pose: tuple[int, ...] = POSE,
    steps: tuple[int, ...] = (),
) -> bytes:
    return pack(f"<BQd7h{len(steps)}h", 1, seq, captured_at_ms, *pose, *steps)


def test_bytes_packed_by_the_page_decode_to_its_frame() -> None:
    frame, sent = unpack_mesh(bytes.fromhex(KNOWN["packed"])), KNOWN["frame"]
    assert (frame.seq, frame.captured_at_ms) == (sent["seq"], sent["captured_at_ms"])
    same = parse_mesh_frame(json.dumps(sent))
    np.testing.assert_allclose(frame.head.rotation, same.head.rotation, atol=3e-5)
    np.testing.assert_allclose(frame.head.translation, same.head.translation, atol=5.1e-5)
    assert isinstance(frame.expression, list)
    np.testing.assert_allclose(frame.expression, sent["expression"], atol=2.6e-4)


def test_a_frame_without_a_capture_time_has_none() -> None:
    assert unpack_mesh(packed()).captured_at_ms is None


def test_a_packed_frame_that_does_not_fit_its_avatar_is_refused() -> None:
    steps = (2000,) + (0,) * (len(EXPRESSION_NAMES) - 1)
    mesh = decode_mesh(unpack_mesh(packed(steps=steps)), fake_avatar(), 0.0)
    assert (mesh.expression[0], mesh.expression.sum()) == (1.0, 1.0)
    with pytest.raises(BadMessageError, match=re.escape("expected 52 numbers (avatar 'default'")):
        decode_mesh(unpack_mesh(packed(steps=(1,))), fake_avatar(), 0.0)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (b"\x01", "expected a packed frame of 31 bytes and 2 for each coefficient, got 1 bytes"),
        (packed()[:-1], "expected a packed frame of 31 bytes and 2 for each coefficient, got 30"),
        (packed() + b"\0", "expected a packed frame of 31 bytes and 2 for each coefficient, got"),
        (packed(seq=2**53), "seq: expected less than or equal to 9007199254740991"),
        (packed(captured_at_ms=math.inf), "captured_at_ms: expected"),
        (packed(captured_at_ms=1e16), "captured_at_ms: expected less than or equal to"),
        (packed(pose=(0,) * 7), "head.rotation: expected a unit quaternion [x, y, z, w]"),
        (packed(steps=(0, 30_000)), "expression.1: expected less than or equal to 10, got 15"),
    ],
)
def test_a_malformed_packed_frame_is_refused_with_the_reason(message: bytes, said: str) -> None:
    with pytest.raises(BadMessageError, match=re.escape(said)):
        unpack_mesh(message)


def test_json_is_not_a_packed_frame() -> None:
    assert is_packed(packed())
    assert not any(map(is_packed, (b'{"seq": 1}', b" {}", b"[]", b"\xef\xbb\xbf{}", b"")))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.binary(max_size=200))
def test_any_bytes_are_accepted_or_refused(rest: bytes) -> None:
    with suppress(BadMessageError):
        unpack_mesh(b"\x01" + rest)
