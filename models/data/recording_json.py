"""Reads recordings in JSON, or with one JSON object per line.

Names and lists of weights (the layout of BEAT), coefficients by name, MediaPipe's results, and mesh
frames as the server takes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contract.arkit import NEUTRAL
from models.contract.shown_text import reason, shown
from models.data.recording_table import MAX_COLUMNS, MAX_ROWS, RecordingError, Table, canonical
from models.data.timecode import numbers_in_seconds

Floats = NDArray[np.float64]

_MAX_OBJECTS, _MAX_VALUES = 1_000_000, 6_000_000
"""Of a recording: some 70 bytes each in memory. MediaPipe writes 53 objects for a frame, others 52
values and up to three objects."""
_FRAMES = ("frames", "results", "data", "recording")
_NAMES = ("names", "blendshape_names", "blendshapeNames", "expression_names")
_WEIGHTS = (
    *("weights", "blendshapes", "blendShapes", "face_blendshapes", "faceBlendshapes"),
    *("expression", "coefficients", "categories", "scores"),
)
_SECONDS = ("time", "t", "timestamp", "time_s", "seconds")
_MILLISECONDS = (
    "captured_at_ms",
    "timestamp_ms",
    "timestampMs",
    "time_ms",
    "timestamp_milliseconds",
)
_MATRICES = (
    *("facial_transformation_matrixes", "facialTransformationMatrixes"),
    *("facial_transformation_matrix", "matrix"),
)


def read_json(text: str, wanted: frozenset[str]) -> Table:
    """Read a recording.

    Args:
        text: The file, decoded.
        wanted: Expression names of the avatar.

    Raises:
        RecordingError: If it is no JSON, or no list of frames is found in it.
    """
    try:
        names, frames = _frames(_parse(text))
        return _table(names, frames, wanted)
    except RecursionError:
        raise RecordingError("the JSON is nested too deeply") from None


def _parse(text: str) -> Any:
    if text.count("{") + text.count("[") > _MAX_OBJECTS or text.count(",") > _MAX_VALUES:
        raise RecordingError(
            f"expected JSON of at most {_MAX_OBJECTS} objects and {_MAX_VALUES} values: split it"
        )
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) > MAX_ROWS:
            raise RecordingError(f"expected at most {MAX_ROWS} frames: split it") from exc
        if len(lines) < 2 or not all(line.lstrip().startswith("{") for line in lines):
            raise RecordingError(f"it is no JSON: {exc}") from exc
    except ValueError as exc:  # a number of thousands of digits
        raise RecordingError(f"it is no JSON: {reason(exc)}") from exc
    try:
        return [json.loads(line) for line in lines]
    except ValueError as exc:
        raise RecordingError(f"a line is no JSON: {reason(exc)}") from exc


def _frames(document: Any) -> tuple[list[str] | None, list[Any]]:
    """Return the names of listed weights, if any, and the frames."""
    if isinstance(document, list):
        return None, document
    if isinstance(document, dict):
        names = _first(document, _NAMES)
        frames = _first(document, _FRAMES)
        if isinstance(frames, list):
            return [str(name) for name in names] if isinstance(names, list) else None, frames
    raise RecordingError(
        f"expected a list of frames, or an object with one of {', '.join(_FRAMES)}"
    )


def _first(values: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if name in values), None)


def _table(names: list[str] | None, frames: list[Any], wanted: frozenset[str]) -> Table:
    if len(frames) > MAX_ROWS:
        raise RecordingError(f"expected at most {MAX_ROWS} frames: split it")
    faces = [(i, f, _scores(f, names)) for i, f in enumerate(frames, 1)]
    faces = [(i, frame, scores) for i, frame, scores in faces if scores]
    given = dict.fromkeys(name for _, _, scores in faces for name in scores)
    if len(given) > MAX_COLUMNS:
        raise RecordingError(f"expected at most {MAX_COLUMNS} names of coefficients")
    known = {name: canonical(name, wanted) for name in given}
    columns = list(dict.fromkeys(name for name in known.values() if name is not None))
    order = {name: index for index, name in enumerate(columns)}
    values = np.zeros((len(faces), len(columns)))
    for row, (number, _, scores) in enumerate(faces):
        for name, score in scores.items():
            if (column := known[name]) is not None:
                values[row, order[column]] = _finite(score, f"frame {number}, {name[:40]}")
    unused = [name for name, column in known.items() if column is None and name != NEUTRAL]
    notes = [f"not used: {', '.join(shown(name) for name in unused[:6])}"] if unused else []
    if len(faces) < len(frames):
        notes.append(f"skipped {len(frames) - len(faces)} frames without a face")
    return Table(
        names=columns,
        values=values,
        rows=[number for number, _, _ in faces],
        times_s=_times([frame for _, frame, _ in faces]),
        rotations=_rotations([frame for _, frame, _ in faces]),
        notes=notes,
    )


def _scores(frame: Any, names: list[str] | None) -> dict[str, Any]:
    """Return the coefficients of a frame by name; none where no face was seen."""
    if not isinstance(frame, dict):
        return dict(_categories(frame))
    weights = _first(frame, _WEIGHTS)
    if weights is None:
        return {k: v for k, v in frame.items() if k not in (*_SECONDS, *_MILLISECONDS) and _real(v)}
    if isinstance(weights, dict) and "categories" not in weights:
        return weights
    if names is not None and isinstance(weights, list) and all(map(_real, weights)):
        if len(weights) != len(names):
            raise RecordingError(f"expected {len(names)} weights per frame, got {len(weights)}")
        return dict(zip(names, weights, strict=True))
    return dict(_categories(weights))


def _categories(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and score of MediaPipe's categories, of the first face of a frame."""
    for _ in range(4):  # faces, then the categories of a face: no layout is nested more
        if isinstance(value, dict):
            value = value.get("categories")
        if isinstance(value, list) and value and not _category_name(value[0]):
            value = value[0]
    for category in value if isinstance(value, list) else ():
        if name := _category_name(category):
            yield name, category.get("score")


def _category_name(category: Any) -> str | None:
    if not isinstance(category, dict):
        return None
    name = _first(category, ("categoryName", "category_name", "name"))
    return name if isinstance(name, str) else None


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: Any, where: str) -> float:
    try:
        number = float(value) if _real(value) else np.nan
    except OverflowError:
        number = np.nan
    if not np.isfinite(number):
        raise RecordingError(f"{where}: expected a finite number, got {str(value)[:20]!r}")
    return number


def _times(frames: list[Any]) -> Floats | None:
    """Return the time of each frame in seconds, or None where one has none."""
    for keys, unit in ((_MILLISECONDS, 0.001), (_SECONDS, None)):
        given = [_first(frame, keys) if isinstance(frame, dict) else None for frame in frames]
        if given and all(map(_real, given)):
            values = np.array([_finite(value, "time") for value in given])
            return values * unit if unit else numbers_in_seconds(values)
    return None


def _rotations(frames: list[Any]) -> Floats | None:
    """Return the rotation (rows, 3, 3) in MediaPipe's matrices; None where a frame has none."""
    found = [_matrix(_first(f, _MATRICES)) if isinstance(f, dict) else None for f in frames]
    kept = [rotation for rotation in found if rotation is not None]
    return np.stack(kept) if kept and len(kept) == len(found) else None


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
    except (TypeError, ValueError):
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
