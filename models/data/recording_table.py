"""Reads recordings that are tables: CSV by any spreadsheet or tracker, names in the header."""

from __future__ import annotations

import csv
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from models.contract.arkit import NEUTRAL, arkit_name
from models.contract.shown_text import shown
from models.data.timecode import seconds_of

Floats = NDArray[np.float64]

ANGLES = tuple(
    f"{part}{angle}"
    for part in ("Head", "LeftEye", "RightEye")
    for angle in ("Yaw", "Pitch", "Roll")
)
"""Columns of Live Link Face, radians."""
_ANGLE_KEYS = {name.lower(): name for name in ANGLES}
_TIMES = (
    "timecode",
    "timestamp",
    "timestampms",
    "timestamps",
    "time",
    "timems",
    "times",
    "seconds",
)
"""Names of time columns, in the order in which they are preferred; compared without separators."""
_COUNT = "blendshapecount"
"""Live Link Face: the number of values that follow, 0 in a row without a face."""
_SEPARATORS = (",", ";", "\t")
MAX_ROWS, MAX_COLUMNS, _MAX_CELLS = 300_000, 1000, 14_000_000
"""Of a table; an hour of Live Link Face at 60 rows a second has 216 000 rows of 63 cells."""


class RecordingError(ValueError):
    """A recording is unreadable or has no usable rows."""


@dataclass
class Table:
    """The numbers of a recording, by canonical names."""

    names: list[str]
    """ARKit's names and `ANGLES`; for other avatars the names as they are."""
    values: Floats
    """(rows, names)"""
    rows: list[int]
    """Where each row is in the file, from 1; the header of a table is row 1."""
    times_s: Floats | None = None
    """(rows,), or None where the file has no usable time."""
    rotations: Floats | None = None
    """(rows, 3, 3) of the head, where the file has matrices."""
    notes: list[str] = field(default_factory=list)
    """What was skipped or is not used."""


def canonical(name: str, wanted: frozenset[str]) -> str | None:
    """Return what a column holds: a name of `wanted`, one of ARKit's or of `ANGLES`, or None."""
    plain = name.strip()
    if plain in wanted:
        return plain
    return arkit_name(plain) or _ANGLE_KEYS.get(_key(plain))


def read_table(text: str, wanted: frozenset[str]) -> Table:
    """Read a table whose header names coefficients.

    Args:
        text: The file, decoded.
        wanted: Expression names of the avatar, which may be no names of ARKit's.

    Raises:
        RecordingError: If a cell is no finite number; the message names row and column.
    """
    if text.count("\n") > MAX_ROWS:
        raise RecordingError(f"expected at most {MAX_ROWS} rows: split it")
    lines = text.splitlines()
    first = next((i for i, line in enumerate(lines) if line.strip()), len(lines))
    header_line = lines[first] if first < len(lines) else ""
    separator = max(_SEPARATORS, key=header_line.count)
    if header_line.count(separator) >= MAX_COLUMNS:
        raise RecordingError(f"expected at most {MAX_COLUMNS} columns")
    if text.count(separator) > _MAX_CELLS:
        raise RecordingError(f"expected at most {_MAX_CELLS} cells: split it")
    reader = csv.reader(lines[first:], delimiter=separator)
    try:
        header = [cell.strip().strip("\ufeff") for cell in next(reader, [])]
        cells = ((first + reader.line_num, row) for row in reader if any(map(str.strip, row)))
        return _Reader(header, separator, wanted).table(cells)
    except csv.Error as exc:
        raise RecordingError(f"the table is broken: {exc}") from exc


def _key(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


class _Reader:
    def __init__(self, header: list[str], separator: str, wanted: frozenset[str]) -> None:
        self._header, self._comma = header, separator != ","
        self._columns: dict[str, int] = {}
        unused = []
        for index, name in enumerate(header):
            known = canonical(name, wanted)
            if known is not None and known not in self._columns:
                self._columns[known] = index
            else:
                unused.append((index, name))
        keys = {_key(name): index for index, name in reversed(unused)}
        self._time = next((keys[name] for name in _TIMES if name in keys), None)
        self._count = keys.get(_COUNT)
        self._unused = [
            name
            for index, name in unused
            if index not in (self._time, self._count) and name not in ("", NEUTRAL)
        ]

    def table(self, cells: Iterable[tuple[int, list[str]]]) -> Table:
        """Read rows one by one: as text, an hour of them would take a gigabyte."""
        indices = list(self._columns.values())
        kept, lost, times, values = list[int](), list[int](), list[str](), array("d")
        for number, row in cells:
            if self._without_face(row):
                lost.append(number)
                continue
            kept.append(number)
            values.extend(self._number(number, row, index) for index in indices)
            if self._time is not None:
                times.append(row[self._time].strip() if self._time < len(row) else "")
        return Table(
            names=list(self._columns),
            values=np.array(values, np.float64).reshape(len(kept), len(indices)),
            rows=kept,
            times_s=self._times(times),
            notes=self._notes(lost),
        )

    def _without_face(self, row: list[str]) -> bool:
        """Return whether a row holds no values: trackers write such rows while no face is seen."""
        if self._count is not None and self._count < len(row) and row[self._count].strip() == "0":
            return True
        return not any(i < len(row) and row[i].strip() for i in self._columns.values())

    def _number(self, number: int, row: list[str], index: int) -> float:
        name = self._header[index]
        if index >= len(row):
            raise RecordingError(
                f"row {number} ends before {name}: {len(row)} of {len(self._header)}"
            )
        text = row[index].strip()
        if self._comma:
            text = text.replace(",", ".")
        try:
            value = float(text.removesuffix("%"))
        except ValueError:
            raise RecordingError(
                f"row {number}, {name}: expected a number, got {text[:20]!r}"
            ) from None
        if not np.isfinite(value):
            raise RecordingError(f"row {number}, {name}: {text[:20]} is not finite")
        return value

    def _times(self, texts: list[str]) -> Floats | None:
        if not texts:
            return None
        if self._comma:
            texts = [text.replace(",", ".") for text in texts]
        return seconds_of(texts)

    def _notes(self, lost: list[int]) -> list[str]:
        notes = []
        if self._unused:
            notes.append(f"not used: {_some(self._unused)}")
        if lost:
            notes.append(f"skipped {len(lost)} rows without a face: {_some(list(map(str, lost)))}")
        return notes


def _some(names: list[str]) -> str:
    """Join the first few of a list of names."""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(shown(name) for name in names[:6]) + more
