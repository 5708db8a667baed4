"""Arrays of untrusted files are read within bounds, or refused with the reason."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from models.geometry.flame import flame_head, load_flame
from models.geometry.head import HeadError
from models.geometry.head_file import load_head
from models.geometry.npz import read_npy, read_npz
from tests.models.bounds import within_bounds
from tests.models.flame_file import flame_arrays, write_flame_npz


def header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    out = io.BytesIO()
    description = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, description)
    return out.getvalue()


def write(path: Path, data: bytes, method: int = zipfile.ZIP_DEFLATED, zeros: int = 0) -> Path:
    """Write one array named `a`, with megabytes of zeros after its data."""
    level = None if method == zipfile.ZIP_LZMA else 1
    with (
        zipfile.ZipFile(path, "w", method, compresslevel=level) as archive,
        archive.open("a.npy", "w") as entry,
    ):
        entry.write(data)
        for _ in range(zeros):
            entry.write(bytes(1 << 20))
    return path


@pytest.fixture(scope="module")
def head_arrays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, NDArray[Any]]:
    path = tmp_path_factory.mktemp("flame") / "flame.npz"
    write_flame_npz(path)
    return flame_head(load_flame(path))


def test_requested_arrays_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "f.npz", a=np.arange(3), b=np.zeros(2), c=np.array(["x"]))
    arrays = read_npz(tmp_path / "f.npz", ("a", "c", "missing"))
    assert list(arrays) == ["a", "c"]
    np.testing.assert_array_equal(arrays["a"], [0, 1, 2])


@pytest.mark.parametrize(
    ("data", "zeros", "message"),
    [
        (header((10**9,)), 0, r"a: the file ends before an array of \(1000000000,\)"),
        (header((10**15,), "|S0"), 0, "the file ends before an array"),
        (header((-1,)), 0, "the file ends before an array"),
        (header((25 * 10**6,)), 193, "a: expected arrays of 192 MB at most"),
        (header((1000,)) + b"\0" * 100, 0, "the file ends before an array"),
        (header((1,), "|O"), 0, "Object arrays cannot be loaded"),
        (b"solid", 0, "magic string"),
        (b"\x93NUMPY\x01\0\x05\0((((\n", 0, "."),
    ],
)
def test_a_zip_bomb_or_a_broken_array_is_refused(
    tmp_path: Path, data: bytes, zeros: int, message: str
) -> None:
    path = write(tmp_path / "a.npz", data, zeros=zeros)
    with within_bounds(), pytest.raises(ValueError, match=message) as failed:
        read_npz(path, ("a",))
    assert str(failed.value).isprintable()


def test_arrays_that_are_not_requested_are_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", header((10**9,)), zeros=1)
    with within_bounds():
        assert read_npz(path, ("b",)) == {}


def test_compression_methods_that_need_memory_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", header((1,)) + bytes(8), zipfile.ZIP_LZMA)
    with pytest.raises(ValueError, match="a: expected deflate, got method 14"):
        read_npz(path, ("a",))


def test_a_single_array_is_read_within_the_same_bounds(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(4.0))
    np.testing.assert_array_equal(read_npy(tmp_path / "a.npy"), [0, 1, 2, 3])
    (tmp_path / "a.npy").write_bytes(header((10**10,)))
    with within_bounds(), pytest.raises(ValueError, match=r"a\.npy is not a readable \.npy file"):
        read_npy(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"v_template": np.array(1.0)}, r"v_template must be \(0, 3\), got \(\)"),
        ({"shapedirs": np.zeros(3)}, r"shapedirs must be \(726, 3, 0\), got \(3,\)"),
        ({"weights": np.full((726, 5), "x")}, "weights must be numbers, got <U1"),
        ({"v_template": np.full((726, 3), 1e39)}, "v_template has values beyond a million"),
    ],
)
def test_wrong_arrays_of_a_flame_file_are_reported(
    tmp_path: Path, changes: dict[str, NDArray[Any]], message: str
) -> None:
    np.savez(tmp_path / "f.npz", allow_pickle=False, **{**flame_arrays(), **changes})
    with pytest.raises(HeadError, match=message):
        load_flame(tmp_path / "f.npz")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"neutral": np.array(1.0)}, r"neutral must be \(0, 3\)"),
        ({"expression_names": np.array("x")}, "must be"),
        ({"joint_names": np.zeros(5)}, "joint_names must be 5 names"),
        ({"eye_yaw_rad": np.zeros(2)}, r"eye_yaw_rad must be \(\), got \(2,\)"),
        ({"weights": np.full((726, 5), "x")}, "weights must be numbers, got <U1"),
        ({"neutral": np.full((726, 3), 1e39)}, "neutral has values beyond a million"),
    ],
)
def test_wrong_arrays_of_a_head_file_are_reported(
    tmp_path: Path,
    changes: dict[str, NDArray[Any]],
    message: str,
    head_arrays: dict[str, NDArray[Any]],
) -> None:
    np.savez(tmp_path / "h.npz", allow_pickle=False, **{**head_arrays, **changes})
    with pytest.raises(HeadError, match=message):
        load_head(tmp_path / "h.npz")
