"""Turns the time column of a recording into seconds.

Timecode (SMPTE ST 12-1) is HH:MM:SS:FF, in Live Link Face with a fraction of a frame. FF does not
say how many frames a second has: files of 30 rows a second exist whose FF counts to 59.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TIMECODE = re.compile(r"^(\d{1,2}):(\d{1,2}):(\d{1,2})([:;])(\d{1,3}(?:\.\d+)?)$", re.ASCII)
_CLOCK = re.compile(r"^(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)$", re.ASCII)
_DATE = re.compile(r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d", re.ASCII)
_COUNTS = (24, 25, 30, 48, 50, 60, 100, 120)
"""Frames that a second of timecode can have."""
_SHORT_COUNTS = (30, 60, 120)
"""The same for recordings shorter than a full second, which do not show how far FF counts."""
_DROPPED = {30: 2, 60: 4}
"""Frame numbers that drop-frame timecode leaves out each minute, except every tenth."""
_UNITS = ((2e6, 1e-9), (2e3, 1e-6), (2.0, 1e-3))
"""Numbers that grow by more than the first from row to row are nanoseconds, microseconds or
milliseconds: of fewer than 500 rows a second."""
_HALF_DAY_S = 43_200.0


def seconds_of(texts: Sequence[str], unit: float | None = None) -> Floats | None:
    """Return the time of each row in seconds, or None where a text is no time.

    Empty texts get times between those of their neighbours, unless half of them are empty.

    Args:
        texts: Timecode (`;` before the frames means drop-frame), HH:MM:SS.fff, dates of ISO 8601,
            or numbers.
        unit: Of numbers, in seconds; None: judged by their steps.
    """
    given = [text for text in texts if text]
    if len(given) * 2 <= len(texts):
        return None
    for parse in (_timecode, _clock, _dates, lambda those: _numbers(those, unit)):
        if (times := parse(given)) is not None:
            times = _across_midnight(times)
            return times if len(given) == len(texts) else _between(texts, times)
    return None


def _in_seconds(values: Floats, unit: float | None = None) -> Floats:
    """Return numbers in seconds, of a unit that is given or judged by their steps."""
    if unit is None:
        steps = np.diff(values)
        steps = steps[steps > 0]  # rows can share a time
        step = float(np.median(steps)) if len(steps) else 0.0
        unit = next((size for least, size in _UNITS if step > least), 1.0)
    # From the first one: nanoseconds since 1970 times a unit would lose digits.
    return (values - values[0]) * unit if len(values) else values


def _timecode(texts: Sequence[str]) -> Floats | None:
    found = [_TIMECODE.match(text) for text in texts]
    if not all(found):
        return None
    parts = np.array([[float(m[i]) for i in (1, 2, 3, 5)] for m in found if m]).reshape(-1, 4)
    hours, minutes, seconds, frames = parts.T
    if (minutes > 59).any() or (seconds > 59).any():
        return None
    whole = (hours * 60 + minutes) * 60 + seconds
    count = _frames_per_second(whole, frames)
    if count is None:
        return None
    marked = any(m[4] == ";" for m in found if m)
    if count not in _DROPPED or not (marked or _leaves_out_numbers(whole, frames, count)):
        return np.asarray(whole + frames / count)
    total_minutes = hours * 60 + minutes
    dropped = _DROPPED[count] * (total_minutes - total_minutes // 10)
    return np.asarray((whole * count + frames - dropped) * 1.001 / count)


def _frames_per_second(whole: Floats, frames: Floats) -> int | None:
    """Return how many frames a second of the timecode has: the least that holds all numbers."""
    # Two seconds begin inside the recording: the first of them is there from start to end.
    shown = len(np.unique(whole)) > 2
    highest = float(np.floor(frames.max(initial=0)))
    steps = np.diff(frames)
    if not shown and len(steps) > 0 and float(np.median(steps)) > 1.5:
        # Every second number of a short recording: 30 rows a second, counted in 60ths.
        highest = max(highest, _SHORT_COUNTS[0])
    return next((c for c in (_COUNTS if shown else _SHORT_COUNTS) if c > highest), None)


def _leaves_out_numbers(whole: Floats, frames: Floats, count: int) -> bool:
    """Return whether minutes begin as in drop-frame timecode: some programs write `:` there, too.

    The last frame of a minute is followed by frame 2 (or 4) of the next one.
    """
    frames = np.floor(frames)
    begins = (whole[1:] % 60 == 0) & (whole[1:] % 600 != 0) & (np.diff(whole) == 1)
    last, first = frames[:-1][begins], frames[1:][begins]
    return bool(((last == count - 1) & (first == _DROPPED[count])).any())


def _clock(texts: Sequence[str]) -> Floats | None:
    found = [_CLOCK.match(text) for text in texts]
    if not all(found):
        return None
    parts = np.array([[float(m[i] or 0) for i in (1, 2, 3)] for m in found if m]).reshape(-1, 3)
    if (parts[:, 1:] >= 60).any():
        return None
    return np.asarray(parts @ np.array([3600.0, 60.0, 1.0]))


def _dates(texts: Sequence[str]) -> Floats | None:
    if not all(_DATE.match(text) for text in texts):
        return None
    try:
        found = [datetime.fromisoformat(text) for text in texts]
        return np.array([(one - found[0]).total_seconds() for one in found])
    except (ValueError, TypeError):  # no date; some with a time zone and some without
        return None


def _numbers(texts: Sequence[str], unit: float | None) -> Floats | None:
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return _in_seconds(values, unit) if np.isfinite(values).all() else None


def _across_midnight(times: Floats) -> Floats:
    """Add a day where the clock starts again at 0."""
    turns = np.cumsum(np.diff(times, prepend=times[:1]) < -_HALF_DAY_S)
    return np.asarray(times + turns * 2 * _HALF_DAY_S)


def _between(texts: Sequence[str], times: Floats) -> Floats:
    """Return the times of all rows; those of empty texts continue at the usual step."""
    known = np.flatnonzero([bool(text) for text in texts])
    rows = np.arange(len(texts))
    between: Floats = np.interp(rows, known, times)
    step = float(np.median(np.diff(times) / np.diff(known))) if len(times) > 1 else 0.0
    between += np.minimum(rows - known[0], 0) * step + np.maximum(rows - known[-1], 0) * step
    return between
