"""Reads and checks head files.

Head files are written by `scripts/bake_head.py` and `scripts/import_head.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contract.shown_text import shown
from models.geometry.head import JOINTS, Head, HeadError
from models.geometry.jaw import FreeJaw
from models.geometry.npz import is_numeric, is_within_limits, length, read_npz

_REQUIRED = (
    "neutral",
    "faces",
    "uvs",
    "uv_faces",
    "expression_names",
    "deltas",
    "joint_names",
    "joint_positions",
    "weights",
    "eye_yaw_rad",
    "eye_pitch_rad",
    "jaw_open_axis",
)
_FREE_JAW = ("jaw_coefficients", "jaw_shifts", "jaw_correctives")
"""Optional arrays of a head file; it must hold all of them or none."""


def load_head(path: Path) -> Head:
    """Read and check a head file.

    Raises:
        HeadError: If the file is missing, unreadable, incomplete or inconsistent.
    """
    try:
        arrays = read_npz(path, (*_REQUIRED, *_FREE_JAW))
    except (OSError, ValueError) as exc:
        raise HeadError(f"{path} is not a readable head file: {exc}") from exc
    free_jaw = any(name in arrays for name in _FREE_JAW)
    required = (*_REQUIRED, *_FREE_JAW) if free_jaw else _REQUIRED
    missing = [name for name in required if name not in arrays]
    if missing:
        raise HeadError(f"{path} lacks {', '.join(missing)}")
    _check(path, arrays)
    vertices = len(arrays["neutral"])
    return Head(
        neutral=np.ascontiguousarray(arrays["neutral"], np.float32),
        faces=np.ascontiguousarray(arrays["faces"], np.int32),
        uvs=np.ascontiguousarray(arrays["uvs"], np.float32),
        uv_faces=np.ascontiguousarray(arrays["uv_faces"], np.int32),
        expression_names=tuple(str(name) for name in arrays["expression_names"]),
        # Flat, so that `_blend` adds a coefficient's deltas in one loop.
        deltas=arrays["deltas"].astype(np.float32).reshape(len(arrays["deltas"]), vertices * 3),
        joint_positions=np.ascontiguousarray(arrays["joint_positions"], np.float32),
        weights=np.ascontiguousarray(arrays["weights"], np.float32),
        eye_yaw_rad=float(arrays["eye_yaw_rad"]),
        eye_pitch_rad=float(arrays["eye_pitch_rad"]),
        jaw_open_axis=np.asarray(arrays["jaw_open_axis"], np.float32),
        free_jaw=_free_jaw(arrays) if free_jaw else None,
    )


def _free_jaw(arrays: dict[str, NDArray[Any]]) -> FreeJaw:
    return FreeJaw(
        coefficients=arrays["jaw_coefficients"].astype(np.int32),
        shifts=arrays["jaw_shifts"].astype(np.float32),
        correctives=arrays["jaw_correctives"].astype(np.float32).reshape(9, -1),
    )


def check_numbers(path: Path, name: str, array: NDArray[Any], shape: tuple[int, ...]) -> None:
    """Check that an array of a file holds finite numbers in a certain shape.

    Raises:
        HeadError: If it does not.
    """
    if array.shape != shape:
        raise HeadError(f"{path}: {name} must be {shape}, got {array.shape}")
    if not is_numeric(array):
        raise HeadError(f"{path}: {name} must be numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        raise HeadError(f"{path}: {name} has values that are not finite")


def check_limits(path: Path, name: str, array: NDArray[Any]) -> None:
    """Check that the numbers of an array of a file are not absurdly large.

    Raises:
        HeadError: If one is.
    """
    if not is_within_limits(array):
        raise HeadError(f"{path}: {name} has values beyond a million")


def _check(path: Path, arrays: dict[str, NDArray[Any]]) -> None:
    """Check shapes, finiteness, joint names and index ranges."""
    vertices, triangles = length(arrays["neutral"]), length(arrays["faces"])
    expressions = length(arrays["expression_names"])
    expected: dict[str, tuple[int, ...]] = {
        "neutral": (vertices, 3),
        "faces": (triangles, 3),
        "uv_faces": (triangles, 3),
        "uvs": (length(arrays["uvs"]), 2),
        "deltas": (expressions, vertices, 3),
        "joint_positions": (len(JOINTS), 3),
        "weights": (vertices, len(JOINTS)),
        "eye_yaw_rad": (),
        "eye_pitch_rad": (),
        "jaw_open_axis": (3,),
        "jaw_coefficients": (3,),
        "jaw_shifts": (expressions, 3),
        "jaw_correctives": (9, vertices, 3),
    }
    for name, shape in expected.items():
        if name not in arrays:
            continue  # an optional array
        check_numbers(path, name, arrays[name], shape)
        check_limits(path, name, arrays[name])
    for name, count in {"expression_names": expressions, "joint_names": len(JOINTS)}.items():
        if arrays[name].shape != (count,) or arrays[name].dtype.kind != "U":
            raise HeadError(f"{path}: {name} must be {count} names")
    if tuple(arrays["joint_names"]) != JOINTS:
        got = ", ".join(shown(name) for name in arrays["joint_names"])
        raise HeadError(f"{path}: joint_names must be {', '.join(JOINTS)}, got {got}")
    indices = {"faces": vertices, "uv_faces": len(arrays["uvs"]), "jaw_coefficients": expressions}
    for name, count in indices.items():
        values = arrays.get(name, np.zeros(0))
        if values.size and not 0 <= values.min() <= values.max() < count:
            raise HeadError(f"{path}: {name} must index 0..{count - 1}")
