"""Recordings in JSON by layouts of programs: times around frames, names twice or missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.models.data.recording_files import jaw, read


@pytest.mark.parametrize(
    ("document", "last_s"),
    [
        ({"exportFps": 60, "facsNames": ["jawOpen"], "weightMat": [[0.1], [0.2]]}, 1 / 60),
        ({"timestamps": [0, 0.2], "frames": [{"jawOpen": 0.1}, {"jawOpen": 0.2}]}, 0.2),
        ({"time": [0, 0.2], "jawOpen": [0.1, 0.2]}, 0.2),
        ({"0.0": {"jawOpen": 0.1}, "0.2": {"jawOpen": 0.2}}, 0.2),
        ([{"type": "header", "fps": 50}, {"jawOpen": 0.1}, {"jawOpen": 0.2}], 0.02),
        ([{"t": 0, "a": {"b": [{"jawOpen": 0.1}]}}, {"t": 0.2, "a": {"b": [{"jawOpen": 1}]}}], 0.2),
    ],
)
def test_times_beside_and_around_frames_are_used(
    tmp_path: Path, document: object, last_s: float
) -> None:
    assert read(tmp_path, json.dumps(document)).times_s[-1] == pytest.approx(last_s)


@pytest.mark.parametrize(
    ("text", "value", "note"),
    [
        ('[{"jawOpen": 0.9, "jawOpen": 0.25}]', 0.25, "names twice in an object, of which the"),
        ('[{"jawOpen": 0.25, "JawOpen": 0.9}]', 0.25, "1 frames have a coefficient twice: the f"),
        ('{"names": ["jawOpen", "jawOpen"], "frames": [[0.25, 0.9]]}', 0.25, "names of weights "),
        ('[{"jawOpen": 0.25, "jawLeft": 0}, {"jawOpen": 0.25}]', 0.25, "1 frames lack some coeff"),
        ('{"joints": ["jaw"], "frames": [{"jawOpen": 0.25}]}', 0.25, "not used: joints"),
        ('[{"faces": [{"jawOpen": 0.25}, {"jawOpen": 0.9}]}]', 0.25, "1 frames have several face"),
        ('[{"FaceFound": false, "jawOpen": 0.9}, {"jawOpen": 0.25}]', 0.25, "skipped 1 frames wi"),
        ("name,score,mood\njawOpen,0.25,7\n", 0.25, "not used: mood"),
    ],
)
def test_duplicate_and_missing_values_are_reported(
    tmp_path: Path, text: str, value: float, note: str
) -> None:
    recording = read(tmp_path, text)
    assert set(jaw(recording)) == {value}
    assert any(one.startswith(note) for one in recording.notes)
