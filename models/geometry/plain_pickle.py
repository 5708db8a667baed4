"""Reads arrays from pickle files without running any code that the file names.

A pickle is a program: Python's own reader imports and calls whatever it names. This reader looks
every name up in a short list of stand-in classes that only keep data, and refuses all others. Made
for FLAME's files, written by Python 2: numpy arrays, scipy's sparse matrices, chumpy's variables.
"""

from __future__ import annotations

import mmap
import pickle
import pickletools
import re
from pathlib import Path
from typing import IO, Any, BinaryIO, Self, cast

import numpy as np
from numpy.typing import NDArray

from models.contract.shown_text import reason, shown

_NUMERIC_TYPE = re.compile(r"^[<>=|]?([?biuf])(\d{0,2})$")
_MAX_BYTES = 1 << 29
"""Maximum size of a file, and of its arrays together; FLAME's files have 50 to 300 MB."""
_MAX_STEPS = 50_000
"""Instructions of a file; FLAME's have some hundreds. Values nested 200 000 deep overflow the stack
of Python's reader."""
_MAX_DENSE = 1 << 22
"""Numbers of all sparse matrices made dense; FLAME's have 5 x 5023."""
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
            size = path.stat().st_size
            _check_steps(file, size)
            # latin1 maps bytes to code points one to one: Python 2 wrote array data as strings.
            loaded = _Reader(file, encoding="latin1").load()
        if not isinstance(loaded, dict):
            raise PickleError(f"expected a dictionary, got {type(loaded).__name__}")
        arrays = _Arrays(size)
        return {str(name): arrays.value(value) for name, value in loaded.items()}
    except PickleError as exc:
        raise PickleError(f"{path}: {exc}") from exc
    except (OSError, ValueError, EOFError, pickle.UnpicklingError) as exc:
        raise PickleError(f"{path} is not a readable pickle file: {reason(exc)}") from exc
    except Exception as exc:  # instructions that do not fit together can raise anything
        kind = type(exc).__name__
        raise PickleError(
            f"{path} is not a readable pickle file: its instructions fail ({kind})"
        ) from exc


def _check_steps(file: BinaryIO, size: int) -> None:
    """Refuse what makes the reader allocate more than the file holds, before it runs.

    It allocates as much as a length says, and up to each index of the memo.
    """
    if size > _MAX_BYTES:
        raise PickleError(f"expected at most {_MAX_BYTES >> 20} MB, got {size >> 20} MB")
    if size == 0:
        raise PickleError("not a readable pickle file: it is empty")
    # Mapped, because reading past the end of a mapped file allocates nothing.
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        steps = pickletools.genops(cast(IO[bytes], mapped))
        for step, (opcode, argument, _) in enumerate(steps):
            if step >= _MAX_STEPS:
                raise PickleError(f"expected at most {_MAX_STEPS} instructions")
            memo = opcode.name in ("PUT", "BINPUT", "LONG_BINPUT")
            if memo and argument is not None and argument > _MAX_STEPS:
                raise PickleError(f"the memo has no entry {argument}")


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
            raise PickleError(f"arrays must be of numbers, got type {shown(code, 20)!r}")
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
    """Stands in for `numpy.ndarray`.

    Its bytes are decoded when all is read: a file can name the same bytes any number of times.
    """

    def __setstate__(self, state: Any) -> None:
        *_, self.shape, self.dtype, self.fortran, self.raw = state

    shape: Any
    dtype: Any
    fortran: Any
    raw: Any

    def build(self) -> NDArray[Any]:
        """Return the numpy array."""
        if not (isinstance(self.dtype, _Dtype) and isinstance(self.shape, tuple)):
            raise PickleError("an array needs a type and a shape")
        raw = self.raw.text if isinstance(self.raw, _Text) else self.raw
        data = raw.encode("latin1") if isinstance(raw, str) else raw
        flat: NDArray[Any] = np.frombuffer(data, self.dtype.build())
        return flat.reshape(self.shape[::-1]).T if self.fortran else flat.reshape(self.shape)


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

    def __init__(self, text: str, encoding: str = "") -> None:
        if encoding != "latin1":
            raise PickleError(f"bytes must be written as latin1, got {shown(encoding, 20)!r}")
        self.text = text

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
    meant = "a sparse matrix"


class _Variable(_Fields):
    """Stands in for a chumpy variable, which holds its array as `x`."""

    meant = "a chumpy variable"


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
                f"refused: the pickle file names {shown(f'{module}.{name}', 60)}, which is no "
                "array; nothing of it was run. Save its arrays as .npz with a program that you "
                "trust"
            ) from None

    def persistent_load(self, pid: Any) -> Any:
        raise PickleError("refused: the pickle file refers to things outside of it")


class _Arrays:
    """Converts stand-ins to arrays, which together have no more bytes than the file.

    Args:
        size: Bytes of the file.
    """

    def __init__(self, size: int) -> None:
        self._left, self._dense_left = size, _MAX_DENSE

    def value(self, value: Any) -> Any:
        """Convert a stand-in to an array; return anything else unchanged."""
        match value:
            case _Variable():
                return self._field(value, "x")
            case _Columns():
                return self._dense(value, compressed=1)
            case _Rows():
                return self._dense(value, compressed=0)
            case _Coordinates():
                return self._from_coordinates(value)
            case _Array():
                return self._array(value)
        return value

    def _array(self, stand_in: _Array) -> NDArray[Any]:
        array = stand_in.build()
        self._left -= array.nbytes
        if self._left < 0:
            raise PickleError("its arrays have more bytes than the file")
        return array

    def _field(self, owner: _Fields, name: str) -> NDArray[Any]:
        """Return an object's array of this name."""
        value = owner.fields.get(name)
        if not isinstance(value, _Array):
            raise PickleError(f"{owner.meant} lacks the array {name}")
        return self._array(value)

    def _dense(self, matrix: _Fields, compressed: int) -> NDArray[Any]:
        """Convert a compressed matrix to dense; `compressed` is its compressed axis."""
        data, others, starts = (self._field(matrix, n) for n in ("data", "indices", "indptr"))
        counts = np.diff(starts)
        if (counts < 0).any() or counts.sum() != len(others):
            raise PickleError(f"a sparse matrix must have {len(others)} entries")
        own = np.repeat(np.arange(len(starts) - 1), counts)
        return self._scatter(matrix, (own, others) if compressed == 0 else (others, own), data)

    def _from_coordinates(self, matrix: _Fields) -> NDArray[Any]:
        """Convert a matrix of coordinates to dense, of either of scipy's layouts."""
        given = matrix.fields.get("coords")
        if isinstance(given, tuple) and len(given) == 2:
            index = tuple(self.value(part) for part in given)
        else:
            index = (self._field(matrix, "row"), self._field(matrix, "col"))
        return self._scatter(matrix, index, self._field(matrix, "data"))

    def _scatter(self, matrix: _Fields, index: tuple[Any, ...], data: NDArray[Any]) -> NDArray[Any]:
        """Return a dense array with `data` at `index`."""
        shape = matrix.fields.get("_shape", matrix.fields.get("shape"))
        match shape:
            case (int(rows), int(columns)) if rows >= 0 <= columns:
                self._dense_left -= rows * columns
            case _:
                raise PickleError(f"a sparse matrix must have two dimensions, got {shown(shape)}")
        if self._dense_left < 0:
            raise PickleError(f"sparse matrices must have at most {_MAX_DENSE} numbers")
        for part, count in zip(index, shape, strict=True):
            if part.shape != data.shape or not ((part >= 0) & (part < count)).all():
                raise PickleError(f"entries of a sparse matrix must lie in {shape}")
        dense = np.zeros(shape, data.dtype)
        np.add.at(dense, index, data)  # sparse formats allow duplicates, which add up
        return dense
