"""Turns the time column of a recording into seconds.

Timecode (SMPTE ST 12-1) is HH:MM:SS:FF, in Live Link Face with a fraction of a frame. FF does not
say how many frames a second has: files of 30 rows a second exist whose FF counts to 59.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TIMECODE = re.compile(r"^(\d{1,2}):(\d{1,2}):(\d{1,2})([:;])(\d{1,3}(?:\.\d+)?)$")
_CLOCK = re.compile(r"^(?:(\d{1,2}):)?(\d{1,2}):(\d{1,2}(?:\.\d+)?)$")
_COUNTS = (24, 25, 30, 48, 50, 60, 100, 120)
"""Frames that a second of timecode can have."""
_SHORT_COUNTS = (30, 60, 120)
"""The same for recordings shorter than a full second, which do not show how far FF counts."""
_DROPPED = {30: 2, 60: 4}
"""Frame numbers that drop-frame timecode leaves out each minute, except every tenth."""
_MILLISECONDS_FROM = 5.0
"""Numbers that grow by more than this from row to row are milliseconds, not seconds."""
_HALF_DAY_S = 43_200.0


def seconds_of(texts: Sequence[str]) -> Floats | None:
    """Return the time of each row in seconds, or None where a text is no time.

    Args:
        texts: Timecode (`;` before the frames means drop-frame), HH:MM:SS.fff, or numbers.
    """
    for parse in (_timecode, _clock, _numbers):
        times = parse(texts)
        if times is not None:
            return _across_midnight(times)
    return None


def numbers_in_seconds(values: Floats) -> Floats:
    """Return numbers that are seconds or milliseconds in seconds, judged by their steps."""
    steps = np.diff(values)
    is_ms = len(steps) > 0 and float(np.median(steps)) > _MILLISECONDS_FROM
    return values / 1000 if is_ms else values


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
    if not (any(m[4] == ";" for m in found if m) and count in _DROPPED):
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


def _clock(texts: Sequence[str]) -> Floats | None:
    found = [_CLOCK.match(text) for text in texts]
    if not all(found):
        return None
    parts = np.array([[float(m[i] or 0) for i in (1, 2, 3)] for m in found if m]).reshape(-1, 3)
    if (parts[:, 1:] >= 60).any():
        return None
    return np.asarray(parts @ np.array([3600.0, 60.0, 1.0]))


def _numbers(texts: Sequence[str]) -> Floats | None:
    try:
        values = np.array([float(text) for text in texts])
    except ValueError:
        return None
    return numbers_in_seconds(values) if np.isfinite(values).all() else None


def _across_midnight(times: Floats) -> Floats:
    """Add a day where the clock starts again at 0."""
    turns = np.cumsum(np.diff(times, prepend=times[:1]) < -_HALF_DAY_S)
    return np.asarray(times + turns * 2 * _HALF_DAY_S)
