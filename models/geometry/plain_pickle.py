"""Reads arrays from pickle files without running any code that the file names.

A pickle is a program: Python's own reader imports and calls whatever it names. This reader looks
every name up in a short list of stand-in classes that only keep data, and refuses all others. Made
for FLAME's files, written by Python 2: numpy arrays, scipy's sparse matrices, chumpy's variables.
"""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

_NUMERIC_TYPE = re.compile(r"^[<>=|]?([?biuf])(\d{0,2})$")
_SPARSE_CLASSES = ("csc_matrix", "csr_matrix", "coo_matrix", "csc_array", "csr_array", "coo_array")


class PickleError(ValueError):
    """A pickle file is broken, or holds anything but arrays."""


def read_plain_pickle(path: Path) -> dict[str, Any]:
    """Read a pickled dictionary of arrays.

    Returns:
        Arrays by name, sparse ones converted to dense, and plain Python values as they are.

    Raises:
        PickleError: If the file is unreadable or names a class or function that is not on the list.
    """
    try:
        with path.open("rb") as file:
            # latin1 maps bytes to code points one to one: Python 2 wrote array data as strings.
            loaded = _Reader(file, encoding="latin1").load()
        if not isinstance(loaded, dict):
            raise PickleError(f"expected a dictionary, got {type(loaded).__name__}")
        return {str(name): _value(value) for name, value in loaded.items()}
    except PickleError as exc:
        raise PickleError(f"{path}: {exc}") from exc
    except Exception as exc:  # a broken pickle can raise anything
        raise PickleError(f"{path} is not a readable pickle file: {exc}") from exc


class _Inert:
    """Accepts any arguments and state, and keeps nothing; the base of all stand-ins."""

    def __new__(cls, *_given: Any) -> Self:
        return super().__new__(cls)

    def __setstate__(self, state: Any) -> None:
        pass


class _Dtype(_Inert):
    """Stands in for `numpy.dtype`; numeric types only."""

    def __new__(cls, code: str = "", *_given: Any) -> Self:
        made = super().__new__(cls)
        # Object arrays would bring in arbitrary pickled objects.
        if not isinstance(code, str) or not _NUMERIC_TYPE.match(code):
            raise PickleError(f"arrays must be of numbers, got type {str(code)[:20]!r}")
        made.code = code.lstrip("<>=|")
        made.order = "="
        return made

    code: str
    order: str

    def __setstate__(self, state: Any) -> None:
        if len(state) > 1 and state[1] in ("<", ">", "=", "|"):
            self.order = state[1]

    def build(self) -> np.dtype[Any]:
        """Return the numpy type."""
        return np.dtype(self.order + self.code if self.order != "|" else self.code)


class _Array(_Inert):
    """Stands in for `numpy.ndarray`."""

    array: NDArray[Any]

    def __setstate__(self, state: Any) -> None:
        *_, shape, dtype, fortran, raw = state
        data = raw.encode("latin1") if isinstance(raw, str) else bytes(raw)
        flat: NDArray[Any] = np.frombuffer(data, dtype.build())
        self.array = flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)


class _FromBuffer:
    """Stands in for numpy's `_frombuffer`, which pickle protocol 5 uses for arrays."""

    def __new__(cls, data: Any, dtype: Any, shape: Any, order: str, *_given: Any) -> Any:
        made = _Array()
        made.__setstate__((shape, dtype, order == "F", data))
        return made

    def __setstate__(self, state: Any) -> None:
        pass


class _Scalar(_Inert):
    """Stands in for a numpy scalar, whose value is not needed."""


class _Text:
    """Stands in for `_codecs.encode`, by which Python 3 writes bytes in old protocols."""

    def __new__(cls, text: str, encoding: str = "") -> bytes:  # type: ignore[misc]
        if encoding != "latin1":
            raise PickleError(f"bytes must be written as latin1, got {encoding[:20]!r}")
        return text.encode("latin1")

    def __setstate__(self, state: Any) -> None:
        pass


class _Fields(_Inert):
    """Stands in for an object; keeps the dictionary of its fields."""

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple):
            state = state[0]
        if not isinstance(state, dict):
            raise PickleError(f"an object's fields must be a dictionary, got {type(state)}")
        self.fields = state

    fields: dict[str, Any]


class _Variable(_Fields):
    """Stands in for a chumpy variable, which holds its array as `x`."""


class _Columns(_Fields):
    """Stands in for a sparse matrix compressed by columns."""


class _Rows(_Fields):
    """Stands in for a sparse matrix compressed by rows."""


class _Coordinates(_Fields):
    """Stands in for a sparse matrix with row and column of every entry."""


class _Reconstructor(_Inert):
    """Stands in for `copyreg._reconstructor`, by which Python 2 creates objects."""

    def __new__(cls, made: Any = None, *_given: Any) -> Any:
        # Only stand-ins: any other type, even a builtin one, could run code when called.
        if not (isinstance(made, type) and issubclass(made, _Inert)):
            raise PickleError("an object is of no known type")
        return made()


_STAND_INS: dict[tuple[str, str], type] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Dtype,
    ("_codecs", "encode"): _Text,
    ("chumpy.ch", "Ch"): _Variable,
    **{(module, "_reconstructor"): _Reconstructor for module in ("copy_reg", "copyreg")},
    **{(m, name): _Inert for m in ("__builtin__", "builtins") for name in ("object", "set")},
    **{
        (f"numpy.{core}.multiarray", name): stand_in
        for core in ("core", "_core")
        for name, stand_in in (("_reconstruct", _Array), ("scalar", _Scalar))
    },
    ("numpy.core.numeric", "_frombuffer"): _FromBuffer,
    ("numpy._core.numeric", "_frombuffer"): _FromBuffer,
}
_SPARSE_STAND_INS = {"csc": _Columns, "csr": _Rows, "coo": _Coordinates}


class _Reader(pickle.Unpickler):
    """Unpickler that resolves names to stand-ins only."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[:2] == ["scipy", "sparse"] and name in _SPARSE_CLASSES:
            return _SPARSE_STAND_INS[name[:3]]
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise PickleError(
                f"refused: the pickle file names {module}.{name}, which is no array; nothing of it "
                "was run. Save its arrays as .npz with a program that you trust"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise PickleError("refused: the pickle file refers to things outside of it")


def _value(value: Any) -> Any:
    """Convert a stand-in to an array; return anything else unchanged."""
    match value:
        case _Array():
            return value.array
        case _Variable():
            return _value(value.fields.get("x"))
        case _Columns():
            return _dense(value, compressed=1)
        case _Rows():
            return _dense(value, compressed=0)
        case _Coordinates():
            return _from_coordinates(value)
    return value


def _dense(matrix: _Fields, compressed: int) -> NDArray[Any]:
    """Convert a compressed matrix to dense; `compressed` is its compressed axis."""
    data, others, starts = (_field(matrix, name) for name in ("data", "indices", "indptr"))
    own = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    index = (own, others) if compressed == 0 else (others, own)
    return _scatter(matrix, index, data)


def _from_coordinates(matrix: _Fields) -> NDArray[Any]:
    """Convert a matrix of coordinates to dense, of either of scipy's layouts."""
    index = tuple(_value(part) for part in matrix.fields.get("coords", ()))
    if not index:
        index = (_field(matrix, "row"), _field(matrix, "col"))
    return _scatter(matrix, index, _field(matrix, "data"))


def _scatter(matrix: _Fields, index: tuple[Any, ...], data: NDArray[Any]) -> NDArray[Any]:
    """Return a dense array with `data` at `index`."""
    shape = matrix.fields.get("_shape", matrix.fields.get("shape"))
    if not (isinstance(shape, tuple) and len(shape) == 2):
        raise PickleError(f"a sparse matrix must have two dimensions, got {shape}")
    dense = np.zeros(shape, data.dtype)
    np.add.at(dense, index, data)  # sparse formats allow duplicates, which add up
    return dense


def _field(matrix: _Fields, name: str) -> NDArray[Any]:
    """Return a matrix's array of this name."""
    value = _value(matrix.fields.get(name))
    if not isinstance(value, np.ndarray):
        raise PickleError(f"a sparse matrix lacks {name}")
    return value
