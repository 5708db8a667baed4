"""Reads recordings of a face: expressions, the pose of the head, and when each row was captured.

Sources of what files mean: Live Link Face's CSV was read off a recording of the app. Its eyes look
to the face's right and down at positive yaw and pitch, and the roll that follows from both shows
the sign of the third angle; the head has the same axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FloatArray
from models.contract.shown_text import shown
from models.data.recording_json import read_json, read_rows
from models.data.recording_rows import is_by_row
from models.data.recording_table import ANGLES, Table, read_table
from models.data.recording_table import RecordingError as RecordingError
from models.geometry.camera import matrix_to_quaternion, quaternion_to_matrix

Floats = NDArray[np.float64]

NECK_M = np.array([0.0, -0.145, -0.118])
"""Point that the head rotates about: recordings have angles only."""
DEFAULT_FPS = 30.0
"""Rows per second of a recording without times."""
MAX_BYTES = 256 * 2**20
"""An hour of Live Link Face at 60 rows a second has 180 MB."""
_OTHER_FILES = {
    b"glTF": "a GLB file",
    b"PK\3\4": "a zip file, such as a spreadsheet's",
    b"\x1f\x8b": "a gzip file",
    b"Kaydara FBX": "an FBX file",
    b"\x89PNG": "an image",
    b"RIFF": "a sound or video file",
    b"%PDF": "a PDF file",
    b"HIERARCHY": "a BVH file",
    b"<": "an XML file",
}
"""What recordings are taken for, by how it begins."""
_MAX_OTHER_BYTES = 64 * 2**20
"""Limit for texts with other characters than ASCII's, UTF-16 included."""
_PERCENT_FROM, _PERCENT_TO = 5.0, 130.0
"""Recordings whose greatest coefficient lies between these are in percent. Trackers overshoot 1,
and 100, by a third at most."""
_OVERSHOT = 0.05
"""Below 0 that trackers may reach."""
_EYE_YAW_RAD, _EYE_PITCH_RAD = 0.605, 0.555
"""Angle of an eye at `eyeLook*` = 1: slope of the angles over the coefficients in a recording of
Live Link Face (correlation 0.996 and more)."""
_DEGREES_FROM = 3.3
"""Angles of a head beyond pi are degrees."""


@dataclass(frozen=True)
class Recording:
    """A face over time."""

    times_s: Floats
    """(rows,) rising, the first is 0."""
    expression: FloatArray
    """(rows, E) coefficients 0..1, in the avatar's order."""
    rotations: FloatArray | None
    """(rows, 4) quaternions of the head, None if the file has no pose, or one that never moves."""
    notes: tuple[str, ...]
    """One line for each part of the file that is not used or was changed."""
    translations: FloatArray | None = None
    """(rows, 3) of the head in metres, None if the file has none."""

    @property
    def fps(self) -> float:
        """Rows per second, from the median step."""
        if len(self.times_s) < 2:
            return DEFAULT_FPS
        return float(1 / np.median(np.diff(self.times_s)))

    def translation(self, row: int) -> Floats:
        """Return the translation (3,) of the head: the file's, or the one that fixes its neck."""
        if self.translations is not None:
            return np.asarray(self.translations[row], np.float64)
        if self.rotations is None:
            return np.zeros(3)
        turned: Floats = NECK_M - quaternion_to_matrix(self.rotations[row]) @ NECK_M
        return turned


def load_recording(path: Path, names: Sequence[str], fps: float | None = None) -> Recording:
    """Read a recording: CSV whose header names coefficients, or JSON.

    Args:
        path: The file.
        names: Expression names of the avatar.
        fps: Rows per second, instead of the file's own times.

    Raises:
        RecordingError: If the file is unreadable, names no expression of the avatar, or a value is
            no number; the message names file and row.
    """
    try:
        return _load(path, list(names), fps)
    except RecordingError as exc:
        raise RecordingError(f"{path} is not a readable recording: {exc}") from exc
    except OSError as exc:
        raise RecordingError(f"{path} is not a readable recording: {exc.strerror}") from exc


def _load(path: Path, names: list[str], fps: float | None) -> Recording:
    text = _decode(path)
    wanted = frozenset(names)
    table = _reader(text, wanted)(text, wanted)
    notes = list(table.notes)
    expression = _expression(table, names, notes)
    kept, times = _times(table, fps, notes)
    quaternions, moved = _head(table, notes), table.translations
    return Recording(
        times_s=times - times[0],
        expression=expression[kept].astype(np.float32),
        rotations=None if quaternions is None else quaternions[kept].astype(np.float32),
        translations=moved[kept].astype(np.float32) if moved is not None else None,
        notes=tuple(notes),
    )


def _reader(text: str, wanted: frozenset[str]) -> Callable[[str, frozenset[str]], Table]:
    if text.lstrip()[:1] in ("{", "["):
        return read_json
    return read_rows if is_by_row(text, wanted) else read_table


def _decode(path: Path) -> str:
    """Return a file's text, in UTF-8 or UTF-16 with or without a byte order mark."""
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise RecordingError(f"expected at most {MAX_BYTES >> 20} MB, got {size >> 20} MB")
    data = path.read_bytes()
    for start, kind in _OTHER_FILES.items():
        if data.startswith(start):
            raise RecordingError(f"it is {kind}: expected a table (CSV) or JSON")
    # Such a text needs up to 4 bytes of memory per byte.
    if size > _MAX_OTHER_BYTES and not data.isascii():
        raise RecordingError(
            f"expected at most {_MAX_OTHER_BYTES >> 20} MB of text that is not all ASCII"
        )
    encoding = "utf-8-sig"
    if data[:4] in (b"\xff\xfe\0\0", b"\0\0\xfe\xff"):
        encoding = "utf-32"
    elif data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    elif data[1:2] == b"\0" or data[:1] == b"\0":
        encoding = "utf-16-le" if data[1:2] == b"\0" else "utf-16-be"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as exc:
        raise RecordingError(f"it is no {encoding} text: {exc.reason} at byte {exc.start}") from exc


def _expression(table: Table, names: list[str], notes: list[str]) -> Floats:
    """Return (rows, E) coefficients."""
    columns = {name: table.names.index(name) for name in names if name in table.names}
    if not columns:
        found = ", ".join(map(shown, [*table.names, *table.other_names][:6])) or "none"
        raise RecordingError(
            f"it names no expression of this head, such as {names[0]}; names in it: {found}"
        )
    if len(table.values) == 0:
        raise RecordingError("it has no rows with a face")
    values = np.zeros((len(table.values), len(names)))
    for name, column in columns.items():
        values[:, names.index(name)] = table.values[:, column]
    values /= _scale(table, values, notes)
    if (lowest := float(values.min())) < -_OVERSHOT:
        notes.append(f"coefficients reach {lowest:.3g}: negative ones are read as 0")
    if not any("Look" in name for name in columns):
        _gaze_from_angles(table, names, values, notes)
    return np.clip(values, 0, 1)


def _scale(table: Table, values: Floats, notes: list[str]) -> float:
    """Return what coefficients are to be divided by: 100 where they are percent."""
    highest = float(values.max())
    if highest > _PERCENT_TO:
        row = table.rows[int(values.max(axis=1).argmax())]
        raise RecordingError(f"row {row}: expected coefficients 0..1 or percent, got {highest:g}")
    if highest > _PERCENT_FROM:
        notes.append(f"coefficients reach {highest:g}: read as percent")
        return 100.0
    return 1.0


def _gaze_from_angles(table: Table, names: list[str], values: Floats, notes: list[str]) -> None:
    """Set `eyeLook*` by the angles of the eyes, in files without these coefficients."""
    used = False
    for side, outwards in (("Left", -1), ("Right", 1)):
        for angle, plus, minus, sign, full in (
            ("Yaw", "LookOut", "LookIn", outwards, _EYE_YAW_RAD),
            ("Pitch", "LookUp", "LookDown", -1, _EYE_PITCH_RAD),
        ):
            if f"{side}Eye{angle}" not in table.names:
                continue
            given = sign * table.values[:, table.names.index(f"{side}Eye{angle}")] / full
            for look, amount in ((plus, given), (minus, -given)):
                if f"eye{look}{side}" in names:
                    values[:, names.index(f"eye{look}{side}")] = np.maximum(amount, 0)
                    used = True
    if used:
        notes.append("gaze is taken from the angles of the eyes")


def _head(table: Table, notes: list[str]) -> Floats | None:
    """Return (rows, 4) quaternions of the head, or None."""
    if table.rotations is not None:
        return np.array([matrix_to_quaternion(matrix) for matrix in table.rotations])
    if not any(name in table.names for name in ANGLES[:3]):
        return None
    columns = {name: table.names.index(name) for name in ANGLES[:3] if name in table.names}
    angles = np.zeros((len(table.values), 3))
    for index, name in enumerate(ANGLES[:3]):
        if name in columns:
            angles[:, index] = table.values[:, columns[name]]
    if not angles.any():  # the app writes zeros where its user has switched the head off
        return None
    if np.abs(angles).max() > _DEGREES_FROM:
        notes.append("angles of the head are read as degrees")
        angles = np.radians(angles)
    return np.array([_turn(*row) for row in angles * [-1, 1, -1]])


def _turn(yaw: float, pitch: float, roll: float) -> Floats:
    """Return the quaternion of roll about Z, then pitch about X, then yaw about Y."""
    (sy, sp, sr), (cy, cp, cr) = (f(np.array([yaw, pitch, roll]) / 2) for f in (np.sin, np.cos))
    return np.array(
        [
            cy * sp * cr + sy * cp * sr,
            sy * cp * cr - cy * sp * sr,
            cy * cp * sr - sy * sp * cr,
            cy * cp * cr + sy * sp * sr,
        ]
    )


def _times(table: Table, fps: float | None, notes: list[str]) -> tuple[NDArray[np.intp], Floats]:
    """Return which rows are kept, and their times."""
    count = len(table.values)
    if fps is None and table.times_s is not None and count > 1:
        # A row that is no later than one before it repeats it, or comes late.
        latest = np.maximum.accumulate(table.times_s)
        repeats = np.append(False, (np.diff(table.values, axis=0) == 0).all(axis=1))
        kept = np.flatnonzero((table.times_s == latest) & ~(repeats & _shares_time(latest)))
        times, shared = _spread(table.times_s[kept])
        late = int((table.times_s < latest).sum())
        if times is not None and late * 2 < count:
            if shared:
                notes.append(f"spread {shared} rows that have the time of the row before")
            if len(kept) < count:
                notes.append(f"skipped {count - len(kept)} rows that are no later than one before")
            return kept, times
    fps = fps or table.fps
    if fps is None and count > 1:
        notes.append(f"no usable times in the file: {DEFAULT_FPS:g} rows per second")
    return np.arange(count), np.arange(count) / (fps or DEFAULT_FPS)


def _shares_time(times: Floats) -> NDArray[np.bool_]:
    """Return (rows,) whether a row has the time of the row before."""
    return np.asarray(np.diff(times, prepend=np.nan) == 0)


def _spread(times: Floats) -> tuple[Floats | None, int]:
    """Give rows that share a time, as rounded times do, times up to the next one.

    Returns:
        Times (rows,) that rise; None where all are the same. And how many were changed.
    """
    first = np.flatnonzero(~_shares_time(times))
    if len(first) < 2:
        return (None, 0) if len(times) > 1 else (times, 0)
    if len(first) == len(times):
        return times, 0
    sizes = np.diff(np.append(first, len(times)))
    steps = np.append(np.diff(times[first]), 0.0)
    # The last time continues at the usual rate. A pause does not spread the rows before it.
    usual = float(np.median(steps[:-1] / sizes[:-1]))
    each = np.minimum(steps / sizes, usual)
    each[-1] = usual
    inside = np.arange(len(times)) - np.repeat(first, sizes)
    return times + inside * np.repeat(each, sizes), len(times) - len(first)
