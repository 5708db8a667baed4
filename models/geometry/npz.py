"""Reads `.npz` files within bounds: a file of kilobytes can declare or inflate to gigabytes."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from models.contract.shown_text import reason, shown

MAX_BYTES = 192 << 20
"""Maximum size of a file, and of all arrays that are read together. Head files have 10 to 50 MB,
FLAME's 60."""
_MODERATE = np.float64(1e6)
# Readers of the format's versions; the third is for names of fields, which no array here has.
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Versions that numpy writes. Others can ask for gigabytes of memory before their first byte."""


def read_npz(path: Path, names: Collection[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file by name, none of objects.

    Args:
        path: The file.
        names: Arrays to read; missing ones are left out.

    Raises:
        ValueError: If it is no such file, or its arrays are larger than `MAX_BYTES`.
        OSError: If it cannot be opened.
    """
    # Opened here, because np.load does not close a file that it cannot read.
    with path.open("rb") as opened:
        try:
            _check_sizes(opened, path.stat().st_size, names)
            opened.seek(0)
            with np.load(opened, allow_pickle=False) as file:
                return {name: file[name] for name in names if name in file.files}
        except Exception as exc:  # zipfile, zlib and numpy raise a dozen types on broken files
            raise ValueError(reason(exc)) from exc


def read_npy(path: Path) -> NDArray[Any]:
    """Return the array of an `.npy` file, none of objects.

    Raises:
        ValueError: If it is no such file, or its array is larger than `MAX_BYTES`.
        OSError: If it cannot be opened.
    """
    with path.open("rb") as opened:
        try:
            _check_header(path.name, opened, min(path.stat().st_size, MAX_BYTES))
            opened.seek(0)
            return np.asarray(np.load(opened, allow_pickle=False))
        except Exception as exc:  # numpy raises half a dozen types on broken files
            raise ValueError(f"{path} is not a readable .npy file: {reason(exc)}") from exc


def is_numeric(array: NDArray[Any]) -> bool:
    """Return whether an array is of real numbers."""
    return array.dtype.kind in "biuf"


def is_within_limits(array: NDArray[Any]) -> bool:
    """Return whether an array is of numbers within a million, which float32 can hold and add."""
    return bool(((array >= -_MODERATE) & (array <= _MODERATE)).all())


def length(array: NDArray[Any]) -> int:
    """Return the rows of an array; 0 of a single number, whose `len` is an error."""
    return array.shape[0] if array.ndim else 0


def _check_sizes(file: IO[bytes], size: int, names: Collection[str]) -> None:
    """Check what is to be read before anything of it is."""
    if size > MAX_BYTES:
        raise ValueError(f"expected a file of {MAX_BYTES >> 20} MB at most, got {size >> 20} MB")
    left = MAX_BYTES
    with zipfile.ZipFile(file) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name not in names:
                continue
            left -= entry.file_size
            if left < 0:
                raise ValueError(f"{name}: expected arrays of {MAX_BYTES >> 20} MB at most")
            if entry.compress_type not in _METHODS:
                raise ValueError(f"{name}: expected deflate, got method {entry.compress_type}")
            with archive.open(entry) as opened:
                _check_header(name, opened, entry.file_size)


def _check_header(name: str, file: IO[bytes], size: int) -> None:
    """Check that an array's declared shape fits its size in the file."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"{name}: expected version 1 or 2 of npy, got {version}")
    shape, _, dtype = _HEADERS[version](file)
    # Elements without bytes could be any number.
    if min(shape, default=0) < 0 or math.prod(shape) * max(dtype.itemsize, 1) > size:
        raise ValueError(f"{name}: the file ends before an array of {shown(shape)}")
