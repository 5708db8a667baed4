"""Reads recordings in JSON, or with one JSON object per line.

Layouts: names and lists of weights (BEAT, Audio2Face), coefficients by name, lists of names with
scores (MediaPipe, VTube Studio), and mesh frames in the server's format.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.contract.arkit import NEUTRAL
from models.contract.shown_text import shown
from models.data.recording_frames import RATES, FaceFinder, find_frames
from models.data.recording_objects import parse
from models.data.recording_pose import read_pose
from models.data.recording_rows import frames_of_rows
from models.data.recording_table import (
    MAX_COLUMNS,
    MAX_ROWS,
    TIMES,
    RecordingError,
    Table,
    canonical,
    count_lines,
    first_of,
    plain_key,
    unit_of,
    untimed_note,
)
from models.data.timecode import seconds_of

Floats = NDArray[np.float64]
_Known = Callable[[str], str | None]
"""Returns what a name in a file means: a name of the avatar's, ARKit's or an angle's, or None."""

_WEIGHTS = (
    *("weights", "blendshapes", "faceblendshapes", "expression", "coefficients", "categories"),
    *("scores", "parametervalues", "animationvalues"),
)
"""Names of coefficients within a frame, the preferred first; compared without separators."""
_LONGEST_NAME = 200
_MAX_LINES = 1_000_000
"""Rows of a table with one coefficient in each: ten minutes of 52 coefficients."""
_LABELS = ("categoryName", "category_name", "name", "k", "id")
_SCORES = ("score", "value", "v")
"""Names of the score of a coefficient in a list: MediaPipe's, VTube Studio's."""
_COUNTED = ("seq", "type", "frame", "index", "frameindex", "framenumber", "blendshapecount")
"""Values that only number or count: ignoring them is not reported."""
_FOUND = ("facefound", "hasface")
"""Whether a face was seen: without one, trackers repeat their last values."""
_NO_SCORES = frozenset({*TIMES, *_COUNTED, *RATES, *_FOUND})


def read_json(text: str, wanted: frozenset[str]) -> Table:
    """Read a recording.

    Args:
        text: The file, decoded.
        wanted: Expression names of the avatar.

    Raises:
        RecordingError: If it is no JSON, or no list of frames is found in it.
    """
    try:
        document, doubled = parse(text)
        known = _meaning(wanted)
        found = find_frames(document, lambda one: _has_face(one, None, known))
        table = _table(found.names, found.frames, known)
    except RecursionError:
        raise RecordingError("the JSON is nested too deeply") from None
    table.fps = found.fps
    if found.names is not None and len(set(found.names)) < len(found.names):
        table.notes.append("names of weights twice, of which the first counts")
    if found.unused:
        table.notes.append(f"not used: {', '.join(map(shown, found.unused[:6]))}")
    if doubled:
        twice = ", ".join(map(shown, doubled[:6]))
        table.notes.append(f"names twice in an object, of which the last counts: {twice}")
    return table


def read_rows(text: str, wanted: frozenset[str]) -> Table:
    """Read a table with one coefficient in each row.

    Raises:
        RecordingError: If a score is no number, or a row ends early.
    """
    if count_lines(text) > _MAX_LINES:
        raise RecordingError(f"expected at most {_MAX_LINES} rows: split it")
    frames, unused = frames_of_rows(text)
    table = _table(None, frames, _meaning(wanted))
    if unused:
        table.notes.append(f"not used: {', '.join(map(shown, unused[:6]))}")
    return table


def _meaning(wanted: frozenset[str]) -> _Known:
    return lru_cache(4096)(lambda name: canonical(name, wanted))


def _table(names: list[str] | None, given: list[Any], known: _Known) -> Table:
    if len(given) > MAX_ROWS:
        raise RecordingError(f"expected at most {MAX_ROWS} frames: split it")
    finder = FaceFinder(lambda one: _has_face(one, names, known))
    faces: list[tuple[int, Any, dict[str, Any]]] = []
    for number, frame in enumerate(given, 1):
        scores = _scores(frame, names, known)
        if not any(known(name) for name in scores):
            frame = finder.within(frame)
            scores = _scores(frame, names, known)
        if scores:
            faces.append((number, frame, scores))
    found = dict.fromkeys(name for _, _, scores in faces for name in scores)
    if len(found) > MAX_COLUMNS:
        raise RecordingError(f"expected at most {MAX_COLUMNS} names of coefficients")
    columns = list(dict.fromkeys(name for name in map(known, found) if name is not None))
    values, notes = _values(faces, columns, known)
    seen = [frame for _, frame, _ in faces]
    pose = read_pose(seen)
    times, time_name, untimed = _times(seen)
    others = [name for name in found if known(name) is None and name != NEUTRAL]
    unused = others + _unread(seen, {*found, *pose.names, time_name})
    if unused:
        notes.append(f"not used: {', '.join(shown(name) for name in unused[:6])}")
    if len(faces) < len(given):
        notes.append(f"skipped {len(given) - len(faces)} frames without a face")
    return Table(
        names=columns,
        values=values,
        rows=[number for number, _, _ in faces],
        times_s=times,
        rotations=pose.rotations,
        translations=pose.translations,
        other_names=others or _unread(given, set()),
        notes=[*notes, *pose.notes, *_other_faces(seen, finder.several), *untimed_note(untimed)],
    )


def _values(
    faces: list[tuple[int, Any, dict[str, Any]]], columns: list[str], known: _Known
) -> tuple[Floats, list[str]]:
    """Return the coefficients (faces, columns), and notes on what is doubled or missing."""
    order = {name: index for index, name in enumerate(columns)}
    values, twice, short = np.zeros((len(faces), len(columns))), 0, 0
    for row, (number, _, scores) in enumerate(faces):
        filled, doubled = set[str](), False
        for name, score in scores.items():
            column = known(name)
            if column is None:
                continue
            if column not in filled:
                values[row, order[column]] = _finite(score, number, name)
            else:
                doubled = True
            filled.add(column)
        twice += doubled
        short += len(filled) < len(columns)
    notes = []
    if twice:
        notes.append(f"{twice} frames have a coefficient twice: the first is used")
    if short:
        notes.append(f"{short} frames lack some coefficients: they are read as 0")
    return values, notes


def _unread(frames: list[Any], read: set[str]) -> list[str]:
    """Return the names of values of frames that were not used, in the order of the file."""
    found = Counter(
        name
        for frame in frames
        if isinstance(frame, dict)
        for name, value in frame.items()
        if name not in read and name != _weights_name(frame) and value not in (None, [], {}, "")
    )
    return [name for name in found if _key(name) not in (*_COUNTED, *_FOUND, *RATES)]


def _other_faces(frames: list[Any], several: int) -> list[str]:
    """Return a note where frames have several faces, of which the first is read."""
    for frame in frames:
        faces: Any = frame.get(_weights_name(frame)) if isinstance(frame, dict) else frame
        is_list = isinstance(faces, list) and len(faces) > 1
        several += is_list and not (_real(faces[0]) or _category_name(faces[0]))
    return [f"{several} frames have several faces: the first is used"] if several else []


def _key(name: str) -> str:
    return _cached_key(name[:_LONGEST_NAME])


@lru_cache(1024)
def _cached_key(name: str) -> str:
    return plain_key(name)


def _weights_name(frame: dict[str, Any]) -> str | None:
    """Return the member of a frame that holds its coefficients, or None."""
    found = [name for name in frame if _key(name) in _WEIGHTS]
    return min(found, key=lambda name: _WEIGHTS.index(_key(name))) if found else None


def _has_face(one: Any, names: list[str] | None, known: _Known) -> bool:
    return any(known(name) is not None for name in _scores(one, names, known))


def _scores(frame: Any, names: list[str] | None, known: _Known) -> dict[str, Any]:
    """Return the coefficients of a frame by name; none where no face was seen."""
    if not isinstance(frame, dict):
        return _weights(frame, names)
    if any(value is False and _key(name) in _FOUND for name, value in frame.items()):
        return {}
    # Angles of the head and the like may stand beside the weights.
    beside = {
        name: number
        for name, value in frame.items()
        if (number := _number(value, name, known)) is not None and _key(name) not in _NO_SCORES
    }
    member = _weights_name(frame)
    if member is None or frame[member] is None:
        return beside
    weights = _weights(frame[member], names)
    if any(isinstance(value, str) for value in weights.values()):
        weights = {k: v if (n := _number(v, k, known)) is None else n for k, v in weights.items()}
    return {**beside, **weights} if weights else {}


def _number(value: Any, name: str, known: _Known) -> Any:
    """Return a number, also one in quotes of a coefficient that is known; None for others."""
    if _real(value):
        return value
    # `float()` would accept 1_0.
    if not isinstance(value, str) or "_" in value or known(name) is None:
        return None
    try:
        return float(value.replace(",", "."))
    except ValueError:
        return None


def _weights(weights: Any, names: list[str] | None) -> dict[str, Any]:
    if isinstance(weights, dict) and "categories" not in weights:
        return weights
    if names is not None and isinstance(weights, list) and weights and all(map(_real, weights)):
        if len(weights) != len(names):
            raise RecordingError(f"expected {len(names)} weights per frame, got {len(weights)}")
        # Of a name that is listed twice, the first value is used.
        return dict(zip(reversed(names), reversed(weights), strict=True))
    return dict(_categories(weights))


def _categories(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield name and score of a list of them, of the first face of a frame."""
    for _ in range(4):  # faces, then the categories of a face: no layout is nested more
        if isinstance(value, dict):
            value = value.get("categories")
        if isinstance(value, list) and value and not _category_name(value[0]):
            value = value[0]
    for category in value if isinstance(value, list) else ():
        if (name := _category_name(category)) and category.keys() & _SCORES:
            yield name, first_of(category, _SCORES)


def _category_name(category: Any) -> str | None:
    if not isinstance(category, dict):
        return None
    name = first_of(category, _LABELS)
    return name if isinstance(name, str) else None


def _real(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _finite(value: Any, frame: int, name: str) -> float:
    try:
        number = float(value) if _real(value) else np.nan
    except OverflowError:
        number = np.nan
    if not np.isfinite(number):
        raise RecordingError(
            f"frame {frame}, {shown(name)}: expected a finite number, got {shown(value, 20)!r}"
        )
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
        # Values that never change are no times.
        if times is not None and (len(times) < 2 or np.ptp(times) > 0):
            return times, name, texts.count("")
    return None, "", 0
