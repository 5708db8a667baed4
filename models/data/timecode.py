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
_DOTTED = re.compile(r"^(\d{1,2}):(\d{1,2}):(\d{1,2})(\.)(\d\d)$", re.ASCII)
"""Timecode with a dot, or hundredths of a second."""
_CLOCK = re.compile(r"^(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)$", re.ASCII)
_DATE = re.compile(r"^\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d", re.ASCII)
_COUNTS = (24, 25, 30, 48, 50, 60, 100, 120, 240, 1000)
"""Frames that a second of timecode can have; some programs write milliseconds in their place."""
_SHORT_COUNTS = (30, 60, 120)
"""Frames that a second of timecode can have in recordings shorter than a full second, which do not
show how far FF counts."""
_DROPPED = {30: 2, 60: 4}
"""Frame numbers that drop-frame timecode skips in each minute, except in every tenth."""
_UNITS = ((2e6, 1e-9), (2e3, 1e-6), (2.0, 1e-3))
"""Numbers that grow by more than the first from row to row are nanoseconds, microseconds or
milliseconds: of fewer than 500 rows a second."""
_DAY_S = 86_400.0
_SPREADSHEET_DAYS = (20_000, 80_000)
"""Days since 1900 in the years 1954 to 2119: what spreadsheets make of dates."""
_MOST_ROWS_S = 2000
"""Rows a second. Times of more are in another unit than the name of their column says."""


def seconds_of(texts: Sequence[str], unit: float | None = None) -> Floats | None:
    """Return the time of each row in seconds, or None where a text is no time.

    Empty texts get times between those of their neighbours, unless half of them are empty.

    Args:
        texts: Timecode (`;` before the frames means drop-frame), HH:MM:SS.fff, dates of ISO 8601,
            or numbers.
        unit: Unit of numbers, seconds; None: judged by their steps.
    """
    given = [text for text in texts if text]
    if len(given) * 2 <= len(texts):
        return None
    for parse in (_timecode, _dotted, _clock, _dates, lambda those: _numbers(those, unit)):
        if (times := parse(given)) is not None:
            return times if len(given) == len(texts) else _between(texts, times)
    return None


def _in_seconds(values: Floats, unit: float | None = None) -> Floats:
    """Return numbers in seconds, of a unit that is given or judged by their steps."""
    if unit is None:
        steps = np.diff(values)
        steps = steps[steps > 0]  # rows can share a time
        step = float(np.median(steps)) if len(steps) else 0.0
        unit = next((size for least, size in _UNITS if step > least), 1.0)
        low, high = _SPREADSHEET_DAYS
        if 0 < step * _MOST_ROWS_S < 1 and ((low < values) & (values < high)).all():
            unit = _DAY_S
    # From the first one: nanoseconds since 1970 times a unit would lose digits.
    return (values - values[0]) * unit if len(values) else values


def _timecode(texts: Sequence[str], form: re.Pattern[str] = _TIMECODE) -> Floats | None:
    found = [form.match(text) for text in texts]
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
        return _across_midnight(whole + frames / count, _DAY_S)
    total_minutes = hours * 60 + minutes
    dropped = _DROPPED[count] * (total_minutes - total_minutes // 10)
    # A day of drop-frame timecode is 86 ms shorter than a day.
    day = (_DAY_S * count - _DROPPED[count] * 9 * 24 * 6) * 1.001 / count
    return _across_midnight((whole * count + frames - dropped) * 1.001 / count, day)


def _dotted(texts: Sequence[str]) -> Floats | None:
    """Return timecode with a dot before its frames; None where these are hundredths of a second."""
    found = [_DOTTED.match(text) for text in texts]
    if not all(found):
        return None
    seconds = {m[3] for m in found if m}
    # Several seconds of hundredths go beyond 59.
    if len(seconds) <= 3 or max(int(m[5]) for m in found if m) >= 60:
        return None
    return _timecode(texts, _DOTTED)


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
    return _across_midnight(parts @ np.array([3600.0, 60.0, 1.0]), _DAY_S)


def _dates(texts: Sequence[str]) -> Floats | None:
    if not all(_DATE.match(text) for text in texts):
        return None
    try:
        found = [datetime.fromisoformat(text.replace("/", "-")) for text in texts]
        return np.array([(one - found[0]).total_seconds() for one in found])
    except (ValueError, TypeError):  # no date; some with a time zone and some without
        return None


def _numbers(texts: Sequence[str], unit: float | None) -> Floats | None:
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        return None
    if not np.isfinite(values).all():
        return None
    times = _in_seconds(values, unit)
    steps = np.diff(times)
    steps = steps[steps > 0]
    return None if len(steps) and np.median(steps) * _MOST_ROWS_S < 1 else times


def _across_midnight(times: Floats, day_s: float) -> Floats:
    """Add a day where the clock starts again at 0."""
    turns = np.cumsum(np.diff(times, prepend=times[:1]) < -day_s / 2)
    return np.asarray(times + turns * day_s)


def _between(texts: Sequence[str], times: Floats) -> Floats:
    """Return the times of all rows; those of empty texts continue at the usual step."""
    known = np.flatnonzero([bool(text) for text in texts])
    rows = np.arange(len(texts))
    between: Floats = np.interp(rows, known, times)
    step = float(np.median(np.diff(times) / np.diff(known))) if len(times) > 1 else 0.0
    between += np.minimum(rows - known[0], 0) * step + np.maximum(rows - known[-1], 0) * step
    return between
