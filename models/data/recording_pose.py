"""Reads the pose of the head in JSON: MediaPipe's matrices, and frames in the server's format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.geometry.camera import quaternion_to_matrix

Floats = NDArray[np.float64]

_MATRICES = (
    *("facial_transformation_matrixes", "facialTransformationMatrixes"),
    *("facial_transformation_matrix", "facialTransformationMatrix", "matrix"),
)
_HEAD = "head"


@dataclass(frozen=True)
class Pose:
    """The pose of the head in each frame."""

    rotations: Floats | None = None
    """(frames, 3, 3), or None where no frame has one."""
    translations: Floats | None = None
    """(frames, 3) metres, or None where no frame has one."""
    names: frozenset[str] = frozenset()
    """Names of the values that were read."""
    notes: tuple[str, ...] = ()
    """Notes on filled values."""


def read_pose(frames: list[Any]) -> Pose:
    """Return the pose of the head in frames; one without a pose keeps the previous one."""
    for names, read in ((_MATRICES, _matrix), ((_HEAD,), _rotation)):
        found = [read(_value(frame, names)) for frame in frames]
        missing = sum(one is None for one in found)
        if missing == len(found):
            continue
        used = {name for f in frames if isinstance(f, dict) for name in names if name in f}
        rotations = np.stack(_filled(found, np.eye(3)))
        moved = names == (_HEAD,) and [_translation(_value(f, names)) for f in frames]
        note = f"{missing} frames without a pose of the head keep the one before"
        return Pose(
            rotations,
            np.stack(_filled(moved, np.zeros(3))) if moved else None,
            frozenset(used),
            (note,) if missing else (),
        )
    return Pose()


def _value(frame: Any, names: tuple[str, ...]) -> Any:
    if not isinstance(frame, dict):
        return None
    return next((frame[name] for name in names if name in frame), None)


def _filled(found: list[Floats | None], first: Floats) -> list[Floats]:
    filled = []
    for one in found:
        first = first if one is None else one
        filled.append(first)
    return filled


def _rotation(head: Any) -> Floats | None:
    """Return the matrix of `{"rotation": [x, y, z, w]}`, or None; it is upright without one."""
    if not isinstance(head, dict) or not head.keys() & {"rotation", "translation"}:
        return None
    quaternion = _numbers(head.get("rotation", [0, 0, 0, 1]), 4)
    if quaternion is None or not 1e-6 < np.linalg.norm(quaternion) < 1e6:
        return None
    return quaternion_to_matrix(quaternion.astype(np.float32))


def _translation(head: Any) -> Floats | None:
    return _numbers(head.get("translation", [0, 0, 0]), 3) if isinstance(head, dict) else None


def _numbers(value: Any, count: int) -> Floats | None:
    try:
        numbers = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return numbers if numbers.shape == (count,) and np.isfinite(numbers).all() else None


def _matrix(value: Any) -> Floats | None:
    """Return the rotation of a 4x4 matrix, nested by rows or flat by columns, or None."""
    by_columns = False
    for _ in range(2):
        if isinstance(value, dict):  # the browser's Matrix lists columns
            value, by_columns = value.get("data"), True
        elif isinstance(value, list) and len(value) == 1:
            value = value[0]
    try:
        matrix = np.array(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    if matrix.size != 16 or not np.isfinite(matrix).all():
        return None
    square = matrix.reshape(4, 4)
    if by_columns or matrix.ndim == 1:
        square = square.T
    left, sizes, right = np.linalg.svd(square[:3, :3])
    # A face is neither mirrored nor flat.
    proper = sizes[-1] > 1e-6 and np.linalg.det(left @ right) > 0
    return np.asarray(left @ right) if proper else None
