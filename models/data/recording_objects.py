"""Parses JSON, or one JSON object per line, within bounds."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from models.contract.shown_text import reason
from models.data.recording_table import MAX_COLUMNS, MAX_ROWS, RecordingError, count_lines

_MAX_OBJECTS, _MAX_VALUES = 1_000_000, 6_000_000
"""Limits of a recording: each takes some 70 bytes of memory. MediaPipe writes 53 objects for a
frame, others 52 values and up to three objects."""


class _Objects:
    """Makes objects of JSON, and notes names that one has twice."""

    def __init__(self) -> None:
        self.doubled: dict[str, None] = {}

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        """Return an object."""
        made = dict(pairs)
        if len(made) < len(pairs) and len(self.doubled) < MAX_COLUMNS:
            counted = Counter(name for name, _ in pairs)
            self.doubled.update(dict.fromkeys(n for n, count in counted.items() if count > 1))
        return made


def parse(text: str) -> tuple[Any, list[str]]:
    """Return the document, or the list of those on the lines, and names that an object has twice.

    Raises:
        RecordingError: If it is no JSON, or too large.
        RecursionError: If it is nested too deeply.
    """
    objects = _Objects()
    return _parse(text, objects), list(objects.doubled)


def _parse(text: str, objects: _Objects) -> Any:
    if text.count("{") + text.count("[") > _MAX_OBJECTS or text.count(",") > _MAX_VALUES:
        raise RecordingError(
            f"expected JSON of at most {_MAX_OBJECTS} objects and {_MAX_VALUES} values: split it"
        )
    try:
        return json.loads(text, object_pairs_hook=objects)
    except json.JSONDecodeError as exc:
        # Lines are counted first: empty ones alone could fill the memory.
        if count_lines(text) > MAX_ROWS:
            raise RecordingError(f"expected at most {MAX_ROWS} frames: split it") from exc
        lines = [(i, line) for i, line in enumerate(text.splitlines(), 1) if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith("{") for _, line in lines):
            raise RecordingError(f"it is no JSON: {exc}") from exc
    except ValueError as exc:  # a number with thousands of digits
        raise RecordingError(f"it is no JSON: {reason(exc)}") from exc
    return [_parse_line(number, line, objects) for number, line in lines]


def _parse_line(number: int, line: str, objects: _Objects) -> Any:
    try:
        return json.loads(line, object_pairs_hook=objects)
    except ValueError as exc:
        raise RecordingError(f"line {number} is no JSON: {reason(exc)}") from exc
