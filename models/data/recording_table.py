"""Reads recordings that are tables: CSV by any spreadsheet or tracker, names in the header."""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from models.contract.arkit import NEUTRAL, arkit_name
from models.contract.shown_text import shown
from models.data.timecode import seconds_of

Floats = NDArray[np.float64]
_Value = TypeVar("_Value")

ANGLES = tuple(
    f"{part}{angle}"
    for part in ("Head", "LeftEye", "RightEye")
    for angle in ("Yaw", "Pitch", "Roll")
)
"""Columns of Live Link Face, radians."""
_ANGLE_KEYS = {name.lower(): name for name in ANGLES}
TIMES = (
    *(
        "capturedatms",
        "timecode",
        "timestamp",
        "timestampms",
        "timestampus",
        "timestampns",
        "timestamps",
    ),
    *("time", "timems", "timeus", "timens", "times", "timesec", "timeseconds", "timemilliseconds"),
    *("t", "seconds", "elapsed", "elapsedms", "elapseds", "elapsedtime", "datetime", "unixtime"),
)
"""Names of time columns, in the order in which they are preferred; compared without separators."""
_MOST_TIMES = 3
"""Columns of times that are kept, of which the first usable one counts."""
_UNITS = {"milliseconds": 1e-3, "ms": 1e-3, "us": 1e-6, "ns": 1e-9, "sec": 1.0, "seconds": 1.0}
"""Seconds of a unit that ends the name of a time column."""
_COUNT = "blendshapecount"
"""Live Link Face: the number of values that follow, 0 in a row without a face."""
_SEPARATORS = (",", ";", "\t", "|")
_EXCEL_SEPARATOR = re.compile(r"sep=(.)\s*", re.IGNORECASE)
"""A line in front of a table that names the separator for Excel."""
_LINES_BEFORE_HEADER = 20
"""Maximum number of titles and comments before the header."""
_LONGEST_NAME = 200
_LONGEST_HEADER = 1 << 18
"""Characters of a line in which names are sought."""
_LINE_END = re.compile(r"\r\n|\r|\n")
MAX_ROWS, MAX_COLUMNS, _MAX_CELLS = 300_000, 1000, 14_000_000
"""Limits of a table; an hour of Live Link Face at 60 rows a second has 216 000 rows of 63 cells."""


class RecordingError(ValueError):
    """A recording is unreadable or has no usable rows."""


@dataclass
class Table:
    """The numbers of a recording, by canonical names."""

    names: list[str]
    """ARKit's names and `ANGLES`; for other avatars the names as they are."""
    values: Floats
    """(rows, names) coefficients as 0..1 or percent, angles as radians or degrees, as in the
    file."""
    rows: list[int]
    """Number of each row in the file, from 1; the header of a table is row 1."""
    times_s: Floats | None = None
    """(rows,), or None where the file has no usable time."""
    fps: float | None = None
    """Rows per second, where the file states them."""
    rotations: Floats | None = None
    """(rows, 3, 3) of the head, where the file has matrices or quaternions."""
    translations: Floats | None = None
    """(rows, 3) of the head in metres, where the file has them in the server's format."""
    notes: list[str] = field(default_factory=list)
    """Notes on skipped and unused parts."""
    other_names: list[str] = field(default_factory=list)
    """Other names in the file, for messages."""


def canonical(name: str, wanted: frozenset[str]) -> str | None:
    """Return the meaning of a column: a name of `wanted`, of ARKit's or of `ANGLES`, or None."""
    plain = name.strip()
    if plain in wanted:
        return plain
    return arkit_name(plain) or _ANGLE_KEYS.get(plain_key(plain))


def read_table(text: str, wanted: frozenset[str]) -> Table:
    """Read a table whose header names coefficients.

    Args:
        text: The file, decoded.
        wanted: Expression names of the avatar, which may be no names of ARKit's.

    Raises:
        RecordingError: If a cell is no finite number; the message names row and column.
    """
    if count_lines(text) > MAX_ROWS:
        raise RecordingError(f"expected at most {MAX_ROWS} rows: split it")
    lines = _LINE_END.split(text)
    header = _find_header(lines, wanted)
    if text.count(header.separator) > _MAX_CELLS:
        raise RecordingError(f"expected at most {_MAX_CELLS} cells: split it")
    reader = csv.reader(lines[header.line :], delimiter=header.separator)
    try:
        names = [cell.strip().strip("\ufeff") for cell in next(reader, [])]
        cells = ((header.line + reader.line_num, row) for row in reader if any(map(str.strip, row)))
        table = _Reader(names, header.separator, wanted).table(cells)
    except csv.Error as exc:
        raise RecordingError(f"the table is broken: {exc}") from exc
    if header.skipped:
        table.notes.append(f"not used: {header.skipped} lines before the names of the columns")
    return table


def count_lines(text: str) -> int:
    """Return the number of line ends: CRLF, CR or LF."""
    return text.count("\n") + text.count("\r") - text.count("\r\n")


@dataclass(frozen=True)
class _Header:
    line: int
    """Index among the lines."""
    separator: str
    skipped: int
    """Lines before it that are not empty."""


def _find_header(lines: list[str], wanted: frozenset[str]) -> _Header:
    """Return where the names of columns are: the first line that names a coefficient, else any."""
    named: str | None = None
    found: list[_Header] = []
    for index, line in enumerate(lines):
        if not line.strip():
            continue
        if (told := _EXCEL_SEPARATOR.fullmatch(line.strip(' "\ufeff'))) and not found:
            named = told[1]
            continue
        separator = named or max(_SEPARATORS, key=line.count)
        found.append(_Header(index, separator, len(found)))
        if line.count(separator) >= MAX_COLUMNS:
            raise RecordingError(f"expected at most {MAX_COLUMNS} columns")
        if len(found) > _LINES_BEFORE_HEADER or len(line) > _LONGEST_HEADER:
            break
        cells = (cell.strip(' "\ufeff') for cell in line.split(separator))
        if any(canonical(cell, wanted) is not None for cell in cells):
            return found[-1]
    return found[0] if found else _Header(len(lines), ",", 0)


def plain_key(name: str) -> str:
    """Return a name by which columns are compared: without case, separators and brackets."""
    return "".join(letter for letter in name[:_LONGEST_NAME].lower() if letter.isalnum())


def first_of(values: Mapping[str, _Value], names: tuple[str, ...]) -> _Value | None:
    """Return the value of the first of some names that is there, or None."""
    return next((values[name] for name in names if name in values), None)


def unit_of(name: str) -> float | None:
    """Return the seconds of the unit that ends a name of `TIMES`, or None."""
    return next((size for end, size in _UNITS.items() if name.endswith(end)), None)


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
        keys = {plain_key(name): index for index, name in reversed(unused)}
        self._times = {name: keys[name] for name in TIMES if name in keys}
        self._count = keys.get(_COUNT)
        self._unused = [
            (index, name)
            for index, name in unused
            if index != self._count and name not in ("", NEUTRAL)
        ]

    def table(self, cells: Iterable[tuple[int, list[str]]]) -> Table:
        """Read rows one by one: as text, an hour of them would take a gigabyte."""
        indices = list(self._columns.values())
        kept, lost, values = list[int](), list[int](), array("d")
        times: dict[str, list[str]] = {name: [] for name in list(self._times)[:_MOST_TIMES]}
        for number, row in cells:
            if any(map(str.strip, row[len(self._header) :])):
                # Decimal commas between commas, or names that are not those of the columns.
                raise RecordingError(
                    f"row {number} has {len(row)} cells under {len(self._header)} names"
                )
            if self._without_face(row):
                lost.append(number)
                continue
            kept.append(number)
            values.extend(self._number(number, row, index) for index in indices)
            for name, texts in times.items():
                index = self._times[name]
                texts.append(row[index].strip() if index < len(row) else "")
        used, seconds = self._seconds(times)
        untimed = next((t.count("") for n, t in times.items() if self._times[n] == used), 0)
        return Table(
            names=list(self._columns),
            values=np.array(values, np.float64).reshape(len(kept), len(indices)),
            rows=kept,
            times_s=seconds,
            other_names=[name for name in self._header if name and name not in self._columns],
            notes=[*self._notes(lost, used), *untimed_note(untimed)],
        )

    def _without_face(self, row: list[str]) -> bool:
        """Return whether a row holds no values: trackers write such rows while no face is seen."""
        if self._count is not None and self._count < len(row) and _is_zero(row[self._count]):
            return True
        return not any(i < len(row) and row[i].strip() for i in self._columns.values())

    def _number(self, number: int, row: list[str], index: int) -> float:
        name = shown(self._header[index])
        if index >= len(row):
            raise RecordingError(
                f"row {number} ends before {name}: {len(row)} of {len(self._header)}"
            )
        # A comma within a cell is a decimal one, whatever the separator: such cells are quoted.
        text = row[index].strip().replace(",", ".")
        percent = text.endswith("%") or "%" in self._header[index]
        digits = text.removesuffix("%").rstrip()
        try:
            if "_" in digits:  # float() accepts 1_0
                raise ValueError
            value = float(digits) / (100 if percent else 1)
        except ValueError:
            raise RecordingError(
                f"row {number}, {name}: expected a number, got {shown(row[index].strip(), 20)!r}"
            ) from None
        if not np.isfinite(value):
            raise RecordingError(f"row {number}, {name}: {text[:20]} is not finite")
        return value

    def _seconds(self, columns: dict[str, list[str]]) -> tuple[int | None, Floats | None]:
        """Return the column with usable times, and the times; names are in order of preference."""
        for name, texts in columns.items():
            # Between commas, cells with one are quoted: of decimals, unless only some have it.
            if self._comma or all(text.count(",") == 1 for text in texts if text):
                texts = [text.replace(",", ".") for text in texts]
            times = seconds_of(texts, unit_of(name))
            if times is not None and (len(times) < 2 or np.ptp(times) > 0):
                return self._times[name], times
        return None, None

    def _notes(self, lost: list[int], time: int | None) -> list[str]:
        notes = []
        unused = [name for index, name in self._unused if index != time]
        if unused:
            notes.append(f"not used: {_some(unused)}")
        if lost:
            notes.append(f"skipped {len(lost)} rows without a face: {_some(list(map(str, lost)))}")
        return notes


def untimed_note(rows: int) -> list[str]:
    """Return a note on rows whose time is taken from their neighbours, if there are any."""
    return [f"{rows} rows without a time lie between their neighbours"] if rows else []


def _is_zero(text: str) -> bool:
    return text.strip().rstrip("0") in ("", "0.", ".") and bool(text.strip())


def _some(names: list[str]) -> str:
    """Join the first few of a list of names."""
    more = f" and {len(names) - 6} more" if len(names) > 6 else ""
    return ", ".join(shown(name) for name in names[:6]) + more
