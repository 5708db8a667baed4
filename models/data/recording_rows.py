"""Reads recordings that are tables with one coefficient in each row: frame, name, score.

Scripts around MediaPipe write such tables.
"""

from __future__ import annotations

import csv
from typing import Any

from models.contract.arkit import arkit_name
from models.data.recording_table import TIMES, RecordingError, first_of, plain_key

_NAMES = ("categoryname", "blendshapename", "blendshape", "category", "shape", "name")
_SCORES = ("score", "value", "weight")
_FRAMES = ("frame", "frameindex", "framenumber", "index")
_SEPARATORS = ",;\t|"
_LONGEST_HEADER = 1000


def is_by_row(text: str, wanted: frozenset[str]) -> bool:
    """Return whether the header of a table names a column of names and one of scores.

    Args:
        text: The file, decoded.
        wanted: Expression names of the avatar: a table with such a column has one frame in each
            row.
    """
    _, keys = _header(text)
    if not (keys.keys() & _NAMES and keys.keys() & _SCORES):
        return False
    return not any(arkit_name(key) or key in map(plain_key, wanted) for key in keys)


def frames_of_rows(text: str) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a frame for each group of rows, as JSON has them, and the names of unused columns.

    Rows belong together while their frame or time is the same, and no name is there twice.

    Raises:
        RecordingError: If a row ends early.
    """
    separator, keys = _header(text)
    name, score = (first_of(keys, wanted) for wanted in (_NAMES, _SCORES))
    assert name is not None
    assert score is not None
    time = next((key for key in TIMES if key in keys), None)
    group = keys[time] if time else first_of(keys, _FRAMES)
    frames: list[dict[str, Any]] = []
    scores: dict[str, str] = {}
    before: str | None = None
    rows = csv.reader(text.lstrip("\ufeff").splitlines()[1:], delimiter=separator)
    try:
        for number, row in enumerate(rows, 2):
            if not any(cell.strip() for cell in row):
                continue
            if len(row) <= max(name, score, group or 0):
                raise RecordingError(f"row {number} has {len(row)} cells of {len(keys)}")
            now = row[group].strip() if group is not None else None
            if not frames or now != before or row[name] in scores:
                scores, before = {}, now
                frames.append({"weights": scores, **({time: now} if time else {})})
            scores[row[name]] = row[score].strip()
    except csv.Error as exc:
        raise RecordingError(f"the table is broken: {exc}") from exc
    used = {name, score, group}
    return frames, [key for key, column in keys.items() if key and column not in used]


def _header(text: str) -> tuple[str, dict[str, int]]:
    """Return the separator, and the columns by their plain names."""
    line = text[:_LONGEST_HEADER].lstrip("\ufeff").split("\n", 1)[0].rstrip("\r")
    separator = max(_SEPARATORS, key=line.count)
    return separator, {plain_key(cell): i for i, cell in enumerate(line.split(separator))}
