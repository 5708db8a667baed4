"""Finds the frames of a recording in JSON, however programs nest them.

A document may have a list of frames, names beside lists of weights, frames by number, or a list of
values for each name; in a frame, the face may be within other objects.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from models.contract.shown_text import shown
from models.data.recording_table import TIMES, RecordingError, first_of, plain_key

_FRAMES = ("frames", "results", "data", "recording", "keyframes", "samples", "weightMat")
_NAMES = ("names", "blendshape_names", "blendshapeNames", "expression_names", "facsNames")
RATES = ("fps", "framerate", "framespersecond", "samplerate", "rate", "exportfps")
"""Names of the rate of frames beside them; compared without separators."""
_COUNTS = ("numframes", "numposes", "framecount", "version", "format")
"""Members beside the frames that hold no motion: ignoring them is not reported."""
_TIME = re.compile(r"\d+\.\d+", re.ASCII)
_DEPTH = 4
"""Objects around the face in a frame: Rokoko has scene, actors, face."""


@dataclass
class Frames:
    """The frames of a document."""

    frames: list[Any]
    names: list[str] | None = None
    """Names of the listed weights."""
    fps: float | None = None
    unused: list[str] = field(default_factory=list)
    """Members of the document that were not used."""


def find_frames(document: Any, has_face: Callable[[Any], bool]) -> Frames:
    """Return the frames of a document.

    Args:
        document: JSON of any kind.
        has_face: Whether an object holds coefficients that are known.

    Raises:
        RecordingError: If no frames are found.
    """
    if isinstance(document, list):
        first = document[0] if document and isinstance(document[0], dict) else {}
        return Frames(document, fps=_rate(first))
    if isinstance(document, dict):
        names = first_of(document, _NAMES)
        found = Frames([], [str(n) for n in names] if isinstance(names, list) else None)
        found.fps = _rate(document)
        member = next((name for name in _FRAMES if name in document), None)
        frames = _listed(document[member], has_face) if member else None
        if frames is not None:
            times = _times_beside(document, len(frames))
            found.frames = [_timed(f, i, times) for i, f in enumerate(frames)] if times else frames
            known = {member, *_NAMES, *times}
            found.unused = [
                name for name, value in document.items() if _is_lost(name, value, known)
            ]
            return found
        if not has_face(document):
            frames = _by_number(document, has_face, 2)
            if frames is None:
                named = (_by_name(one, has_face) for one in _objects(document))
                frames = next(filter(None, named), None)
            if frames is None and has_face(FaceFinder(has_face).within(document)):
                frames = [document]
        else:
            frames = [document]  # a single frame, or the only line of one per line
        if frames is not None:
            found.frames = frames
            return found
    raise RecordingError(
        f"expected a list of frames, or an object with one of {', '.join(_FRAMES)}"
    )


class FaceFinder:
    """Finds the object within a frame that holds coefficients.

    Args:
        has_face: Whether an object holds coefficients that are known.
    """

    def __init__(self, has_face: Callable[[Any], bool]) -> None:
        self._has_face = has_face
        self.several = 0
        """Frames with several faces in a list, of which the first was taken."""

    def within(self, frame: Any, depth: int = _DEPTH) -> Any:
        """Return the object with the plain values around it; a frame without one as it is."""
        if not isinstance(frame, dict) or self._has_face(frame) or depth == 0:
            return frame
        for child in frame.values():
            inner = child[0] if isinstance(child, list) and child else child
            if not isinstance(inner, dict):
                continue
            found = self.within(inner, depth - 1)
            if self._has_face(found):
                self.several += isinstance(child, list) and len(child) > 1
                around = {k: v for k, v in frame.items() if not isinstance(v, dict | list)}
                return {**around, **found}
        return frame


def _listed(frames: Any, has_face: Callable[[Any], bool]) -> list[Any] | None:
    if isinstance(frames, list):
        return frames
    if isinstance(frames, dict):
        inner = first_of(frames, _FRAMES)
        if isinstance(inner, list):
            return inner
        return _by_number(frames, has_face, 1) or _by_name(frames, has_face)
    return None


def _by_number(
    document: dict[str, Any], has_face: Callable[[Any], bool], least: int
) -> list[Any] | None:
    """Return the frames of `{"0": {...}, "1": {...}}`, or None; keys with a point are times.

    Args:
        document: The object, which may have other members.
        has_face: Whether an object holds coefficients that are known.
        least: Minimum number of entries: a single one may be a frame itself.
    """
    frames = {name: value for name, value in document.items() if isinstance(value, dict)}
    finder = FaceFinder(has_face)
    if sum(has_face(finder.within(frame)) for frame in frames.values()) < least:
        return None
    # Numbers with a point are seconds; whole ones count the frames.
    if all(_TIME.fullmatch(name) for name in frames):
        return [{"time": float(name), **frame} for name, frame in frames.items()]
    return list(frames.values())


def _by_name(document: dict[str, Any], has_face: Callable[[Any], bool]) -> list[Any] | None:
    """Return the frames of `{"jawOpen": [0.1, 0.2], ...}`, lists or objects by row; or None.

    Raises:
        RecordingError: If the lists differ in length.
    """
    columns = {
        name: list(value.values()) if isinstance(value, dict) else value
        for name, value in document.items()
        if isinstance(value, dict | list) and value
    }
    if not has_face({name: 0.0 for name, column in columns.items() if _is_plain(column)}):
        return None
    rows = {name: len(column) for name, column in columns.items() if _is_plain(column)}
    if len(set(rows.values())) > 1:
        raise RecordingError(
            "expected as many values for each name, got "
            + ", ".join(f"{count} of {shown(name)}" for name, count in list(rows.items())[:3])
        )
    return [dict(zip(rows, row, strict=True)) for row in zip(*map(columns.get, rows), strict=True)]


def _is_plain(column: list[Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in column)


def _objects(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Return a document and the objects in it; a list of named values counts as an object."""
    found = [document]
    for value in document.values():
        if isinstance(value, dict):
            found.append(value)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            named = [
                one for one in value if isinstance(one, dict) and isinstance(one.get("name"), str)
            ]
            found.append({one["name"]: first_of(one, ("values", "keys", "curve")) for one in named})
    return found


def _times_beside(document: dict[str, Any], count: int) -> dict[str, list[Any]]:
    """Return the list of times that stands beside the frames, by its name."""
    return {
        name: value
        for name, value in document.items()
        if isinstance(value, list) and len(value) == count > 0 and plain_key(name) in TIMES
    }


def _timed(frame: Any, index: int, times: dict[str, list[Any]]) -> Any:
    own = frame if isinstance(frame, dict) else {"weights": frame}
    return {**{name: values[index] for name, values in times.items()}, **own}


def _is_lost(name: str, value: Any, known: set[Any]) -> bool:
    if name in known or value in (None, [], {}, ""):
        return False
    return isinstance(value, dict | list) and plain_key(name) not in _COUNTS


def _rate(document: dict[str, Any]) -> float | None:
    """Return the rate of frames that a document states, or None."""
    for name, value in document.items():
        real = isinstance(value, int | float) and not isinstance(value, bool)
        if plain_key(name) in RATES and real and 1 <= value <= 1000:
            return float(value)
    return None
