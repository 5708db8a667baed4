"""Reads the accessors of glTF files: arrays that may be strided, normalised or sparse.

Files are untrusted: sizes are checked against the file, and in total, before anything is allocated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contract.shown_text import shown
from models.heads.gltf_file import GltfFile, MeshFileError, whole
from models.heads.meshes import Floats, Ints

MAX_VALUES = 20_000_000
"""Numbers in all accessors that are read together: 128 000 vertices with 52 expressions."""
_LEAST_VALUES = 500
"""Each read counts as at least this many numbers, which bounds the number of reads."""
_FLOAT = 5126
_COMPONENTS = {5120: "i1", 5121: "u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_COUNTS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}


class Accessors:
    """The accessors of a file.

    Args:
        file: The file.
    """

    def __init__(self, file: GltfFile) -> None:
        self._file = file
        self._left = MAX_VALUES

    def count(self, index: int) -> int:
        """Return the rows of an accessor, without reading it."""
        return whole(self._described(index)["count"], f"count of accessor {index}")

    def name(self, index: int) -> str | None:
        """Return the name of an accessor; None if it has none."""
        name = self._described(index).get("name")
        return name if isinstance(name, str) and name.strip() else None

    def vectors(self, index: int, width: int, rows: int) -> Floats:
        """Return (rows, width) finite numbers.

        Raises:
            MeshFileError: If the accessor holds others.
        """
        if self.count(index) != rows:
            raise MeshFileError(f"accessor {index}: expected {rows} rows, got {self.count(index)}")
        values = self.values(index)
        if values.shape[1] != width or not np.isfinite(values).all():
            raise MeshFileError(f"accessor {index}: expected {width} finite numbers in each row")
        return values

    def indices(self, index: int, below: int) -> Ints:
        """Return (count,) whole numbers from 0 to `below` - 1.

        Raises:
            MeshFileError: If the accessor holds others.
        """
        values = self.values(index)
        if values.size and not 0 <= values.min() <= values.max() < below:
            raise MeshFileError(
                f"accessor {index}: expected numbers below {below}, got {values.max():g}"
            )
        return values.astype(np.int64).reshape(-1)

    def values(self, index: int) -> Floats:
        """Return (count, components) numbers."""
        accessor = self._described(index)
        kind, count = accessor["componentType"], self.count(index)
        width = _COUNTS.get(str(accessor["type"]))
        if kind not in _COMPONENTS or width is None:
            raise MeshFileError(
                f"accessor {index}: expected componentType and type of glTF 2.0, got "
                f"{shown(kind)} and {shown(accessor['type'])}"
            )
        self._left -= max(count * width, _LEAST_VALUES)
        if self._left < 0:
            raise MeshFileError(f"expected at most {MAX_VALUES} numbers in all accessors")
        if accessor.get("bufferView") is not None:
            values = self._view(accessor, kind, count, width)
        else:
            values = np.zeros((count, width))
        if accessor.get("sparse") is not None:
            self._replace_sparse(values, accessor["sparse"], kind)
        if accessor.get("normalized") is True and kind != _FLOAT:
            limit = np.iinfo(np.dtype(_COMPONENTS[kind])).max
            values = np.maximum(values / limit, -1)
        return values

    def _described(self, index: int) -> dict[str, Any]:
        return self._file.item("accessors", index)

    def _replace_sparse(self, values: Floats, sparse: dict[str, Any], kind: int) -> None:
        """Set the rows of an accessor that are stored apart, in place."""
        where, count = sparse["indices"], whole(sparse["count"], "count of a sparse accessor")
        if count > len(values):
            raise MeshFileError(f"a sparse accessor has {len(values)} rows, but {count} to set")
        rows = self._view(where, where["componentType"], count, 1)[:, 0]
        if rows.size and not 0 <= rows.min() <= rows.max() < len(values):
            raise MeshFileError(f"rows of a sparse accessor must be 0..{len(values) - 1}")
        values[rows.astype(np.int64)] = self._view(sparse["values"], kind, count, values.shape[1])

    def _view(self, owner: dict[str, Any], kind: int, count: int, width: int) -> Floats:
        """Return (count, width) numbers of the buffer view that an accessor refers to."""
        index = owner["bufferView"]
        data = self._file.view(index)
        item = np.dtype(_COMPONENTS[kind])
        row = item.itemsize * width
        start = whole(owner.get("byteOffset", 0), "byteOffset of an accessor")
        stride = self._file.item("bufferViews", index).get("byteStride") or row
        # Smaller strides would repeat the same bytes for any number of rows.
        if whole(stride, f"byteStride of buffer view {index}") < row:
            raise MeshFileError(f"buffer view {index}: expected a stride of {row} bytes or more")
        if count and start + stride * (count - 1) + row > len(data):
            raise MeshFileError(f"buffer view {index} is shorter than what is read from it")
        array: NDArray[Any] = np.ndarray(
            (count, width), item, data, start if count else 0, (stride, item.itemsize)
        )
        return array.astype(np.float64)
