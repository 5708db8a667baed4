"""Reads recordings in JSON, or with one JSON object per line.

Names and lists of weights (the layout of BEAT), coefficients by name, MediaPipe's results, and mesh
frames as the server takes them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contract.arkit import NEUTRAL
from models.contract.shown_text import reason, shown
from models.data.recording_pose import read_pose
from models.data.recording_table import (
    MAX_COLUMNS,
    MAX_ROWS,
    TIMES,
    RecordingError,
    Table,
    canonical,
    count_lines,
    plain_key,
    unit_of,
    untimed_note,
)
from models.data.timecode import seconds_of

Floats = NDArray[np.float64]

_MAX_OBJECTS, _MAX_VALUES = 1_000_000, 6_000_000
"""Of a recording: some 70 bytes each in memory. MediaPipe writes 53 objects for a frame, others 52
values and up to three objects."""
_FRAMES = ("frames", "results", "data", "recording", "keyframes", "samples")
_NAMES = ("names", "blendshape_names", "blendshapeNames", "expression_names")
_WEIGHTS = (
    *("weights", "blendshapes", "blendShapes", "face_blendshapes", "faceBlendshapes"),
    *("expression", "coefficients", "categories", "scores"),
)
_RATES = ("fps", "framerate", "framespersecond", "samplerate", "rate")
"""Names of the rate of frames beside them; compared without separators."""
_COUNTED = ("seq", "type", "frame", "index", "frameindex", "framenumber", "blendshapecount")
"""Values that only number or count, of which nothing is lost."""
_NO_SCORES = frozenset({*TIMES, *_COUNTED, *_RATES})


def read_json(text: str, wanted: frozenset[str]) -> Table:
    """Read a recording.

    Args:
        text: The file, decoded.
        wanted: Expression names of the avatar.

    Raises:
        RecordingError: If it is no JSON, or no list of frames is found in it.
    """
    try:
        document = _parse(text)
        names, frames = _frames(document, wanted)
        table = _table(names, frames, wanted)
        table.fps = _rate(document)
        return table
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
        # Lines are counted first: empty ones alone could fill the memory.
        if count_lines(text) > MAX_ROWS:
            raise RecordingError(f"expected at most {MAX_ROWS} frames: split it") from exc
        lines = [line for line in text.splitlines() if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith("{") for line in lines):
            raise RecordingError(f"it is no JSON: {exc}") from exc
    except ValueError as exc:  # a number of thousands of digits
        raise RecordingError(f"it is no JSON: {reason(exc)}") from exc
    try:
        return [json.loads(line) for line in lines]
    except ValueError as exc:
        raise RecordingError(f"a line is no JSON: {reason(exc)}") from exc


def _frames(document: Any, wanted: frozenset[str]) -> tuple[list[str] | None, list[Any]]:
    """Return the names of listed weights, if any, and the frames."""
    if isinstance(document, list):
        return None, document
    if isinstance(document, dict):
        names = _first(document, _NAMES)
        names = [str(name) for name in names] if isinstance(names, list) else None
        frames = _first(document, _FRAMES)
        if isinstance(frames, dict):
            frames = _first(frames, _FRAMES)
        if isinstance(frames, list):
            return names, frames
        if any(canonical(name, wanted) for name in _scores(document, names)):
            return names, [document]  # a single frame, or the only line of one per line
    raise RecordingError(
        f"expected a list of frames, or an object with one of {', '.join(_FRAMES)}"
    )


def _first(values: dict[str, Any], names: tuple[str, ...]) -> Any:
    return next((values[name] for name in names if name in values), None)


def _rate(document: Any) -> float | None:
    """Return the rate of frames that a document states, or None."""
    given = document.items() if isinstance(document, dict) else ()
    rates = [value for name, value in given if plain_key(name) in _RATES and _real(value)]
    return float(rates[0]) if rates and 1 <= rates[0] <= 1000 else None


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
    seen = [frame for _, frame, _ in faces]
    pose = read_pose(seen)
    times, time_name, untimed = _times(seen)
    unused = [name for name, column in known.items() if column is None and name != NEUTRAL]
    unused += _unread(seen, {*given, *pose.names, time_name})
    notes = [f"not used: {', '.join(shown(name) for name in unused[:6])}"] if unused else []
    if len(faces) < len(frames):
        notes.append(f"skipped {len(frames) - len(faces)} frames without a face")
    return Table(
        names=columns,
        values=values,
        rows=[number for number, _, _ in faces],
        times_s=times,
        rotations=pose.rotations,
        translations=pose.translations,
        notes=[*notes, *pose.notes, *_other_faces(seen), *untimed_note(untimed)],
    )


def _unread(frames: list[Any], read: set[str]) -> list[str]:
    """Return the names of values of frames that nothing was read from, first ones first."""
    weights = {
        next((name for name in _WEIGHTS if name in f), "") for f in frames if isinstance(f, dict)
    }
    found = Counter(
        name
        for frame in frames
        if isinstance(frame, dict)
        for name, value in frame.items()
        if name not in read and name not in weights and value not in (None, [], {}, "")
    )
    return [name for name in found if plain_key(name) not in _COUNTED]


def _other_faces(frames: list[Any]) -> list[str]:
    """Return a note where frames have several faces, of which the first is read."""
    several = 0
    for frame in frames:
        faces = _first(frame, _WEIGHTS) if isinstance(frame, dict) else frame
        is_list = isinstance(faces, list) and len(faces) > 1
        several += is_list and not (_real(faces[0]) or _category_name(faces[0]))
    return [f"{several} frames have several faces: the first is used"] if several else []


def _scores(frame: Any, names: list[str] | None) -> dict[str, Any]:
    """Return the coefficients of a frame by name; none where no face was seen."""
    if not isinstance(frame, dict):
        return dict(_categories(frame))
    weights = _first(frame, _WEIGHTS)
    # Angles of the head and the like may stand beside the weights.
    beside = {k: v for k, v in frame.items() if _real(v) and plain_key(k) not in _NO_SCORES}
    if weights is None:
        return beside
    return {**beside, **scores} if (scores := _weights(weights, names)) else {}


def _weights(weights: Any, names: list[str] | None) -> dict[str, Any]:
    if isinstance(weights, dict) and "categories" not in weights:
        return weights
    if names is not None and isinstance(weights, list) and weights and all(map(_real, weights)):
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


def _times(frames: list[Any]) -> tuple[Floats | None, str, int]:
    """Return the time of each frame in seconds, or None; its name, and how many have none."""
    first = next((frame for frame in frames if isinstance(frame, dict)), {})
    names = {plain_key(name): name for name in first}
    for key in TIMES:
        if (name := names.get(key)) is None:
            continue
        given = (frame.get(name) if isinstance(frame, dict) else None for frame in frames)
        texts = [str(v) if _real(v) else v.strip() if isinstance(v, str) else "" for v in given]
        times = seconds_of(texts, unit_of(key))
        if times is not None and (len(times) < 2 or np.ptp(times) > 0):
            return times, name, texts.count("")
    return None, "", 0
