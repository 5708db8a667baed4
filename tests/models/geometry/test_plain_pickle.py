"""Untrusted pickles are read within bounds, or refused with the reason."""

from __future__ import annotations

import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.geometry.plain_pickle import PickleError, read_plain_pickle
from tests.models.bounds import within_bounds


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def array(values: NDArray[Any]) -> bytes:
    """Return the instructions that make an array."""
    return pickle.dumps(values, 2)[2:-1]


def sparse(**fields: object) -> bytes:
    """Return the instructions that make a scipy matrix."""
    state = b"}("
    for name, value in fields.items():
        instructions = (
            array(value) if isinstance(value, np.ndarray) else pickle.dumps(value, 2)[2:-1]
        )
        state += text(name) + instructions
    return b"cscipy.sparse.csc\ncsc_matrix\n)\x81" + state + b"ub"


def dictionary(instructions: bytes) -> bytes:
    return b"\x80\x02}" + text("a") + instructions + b"s."


def matrix(
    shape: tuple[int, int], data: list[float], indices: list[int], starts: list[int]
) -> bytes:
    return dictionary(
        sparse(
            _shape=shape,
            data=np.array(data),
            indices=np.array(indices, np.int32),
            indptr=np.array(starts, np.int64),
        )
    )


def shared_bytes() -> bytes:
    """Return a pickle of 1000 arrays that share 1 MB of bytes."""
    raw = b"T" + struct.pack("<I", 1 << 20) + b"\xff" * (1 << 20) + b"q\x00"
    dtype = b"cnumpy\ndtype\nX\x02\x00\x00\x00u1\x85R"
    one = b"cnumpy\nndarray\n)\x81(K\x01J\x00\x00\x10\x00\x85" + dtype + b"\x89h\x00tb"
    parts = b"".join(text(str(index)) + one for index in range(1000))
    return b"\x80\x02" + raw + b"0}(" + parts + b"u."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x02Nr\xff\xff\xff\x7f.", "the memo has no entry 2147483647"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**34) + b"x.", "expected 17179869184 bytes"),
        (b"\x80\x02\x8b" + struct.pack("<i", 2**31 - 1) + b"1.", "not enough data"),
        (b"\x80\x02]" + b"N" * 60_000 + b".", "expected at most 50000 instructions"),
        (b"\x80\x02}" + b"N" + b"\x85" * 300_000 + b"Ns.", "at most 50000 instructions"),
        (b"\x80\x02" + b"(" * 20_000 + b"t" * 20_000 + b".", "expected a dictionary, got tuple"),
        (matrix((10**6, 10**6), [1.0], [0], [0, 1]), "at most 4194304 numbers"),
        (matrix((10, 10), [1.0], [0], [0, 10**11]), "a sparse matrix must have 1 entries"),
        (matrix((10, 10), [1.0], [-5], [0, 1]), r"must lie in \(10, 10\)"),
        (matrix((10, 10), [1.0], [10], [0, 1]), r"must lie in \(10, 10\)"),
        (matrix((-10, -10), [1.0], [0], [0, 1]), "must have two dimensions"),
        (dictionary(sparse(_shape=(2, 2))), "a sparse matrix lacks the array data"),
        (shared_bytes(), "its arrays have more bytes than the file"),
        (dictionary(b"cchumpy.ch\nCh\n)\x81q\x01}" + text("x") + b"h\x01sb"), "chumpy variable"),
        (b"\x80\x02c\x00\x1bos\n" + b"x" * 500 + b"\n.", r"names \?\?os\.x{55}\.\.\., which is no"),
        (b"\x80\x02cnumpy\ndtype\n}b.", r"its instructions fail \(TypeError\)"),
    ],
)
def test_a_pickle_bomb_is_refused_with_the_reason(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = tmp_path / "flame.pkl"
    path.write_bytes(content)
    with within_bounds(), pytest.raises(PickleError, match=message) as failed:
        read_plain_pickle(path)
    assert str(failed.value).isprintable()
    assert len(str(failed.value)) < len(str(path)) + 220


def test_a_sparse_matrix_is_converted_to_a_dense_one(tmp_path: Path) -> None:
    path = tmp_path / "flame.pkl"
    path.write_bytes(matrix((3, 2), [1.0, 2.0, 3.0], [0, 2, 2], [0, 2, 3]))
    np.testing.assert_array_equal(read_plain_pickle(path)["a"], [[1, 0], [0, 0], [2, 3]])


def test_other_values_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "flame.pkl"
    path.write_bytes(pickle.dumps({"bs_style": "lbs", "n": 3}, 2))
    assert read_plain_pickle(path) == {"bs_style": "lbs", "n": 3}
