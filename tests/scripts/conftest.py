"""A short recording in the format of Live Link Face, and a runner of scripts."""

from __future__ import annotations

import csv
import os
import subprocess
from collections.abc import Callable
from math import pi, sin
from pathlib import Path

import pytest

from models.avatar.folder import SHIPPED
from models.geometry.head_file import load_head
from tests.warm_python import WarmPython

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV recording of 120 rows, in which the mouth opens and closes."""
    path = tmp_path_factory.mktemp("recording") / "talk.csv"
    names = load_head(SHIPPED / "default" / "head.npz").expression_names
    columns = [name[:1].upper() + name[1:] for name in names]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["Timecode", "BlendShapeCount", *columns])
        writer.writeheader()
        for row in range(120):
            values = dict.fromkeys(columns, 0.0)
            values["JawOpen"] = 0.5 - 0.5 * sin(2 * pi * row / 30)
            writer.writerow({"Timecode": f"00:00:{row}", "BlendShapeCount": 61, **values})
    return path


@pytest.fixture
def run(tmp_path: Path, warm_python: WarmPython) -> Run:
    """Runs a script with arguments, in the test's temporary folder."""

    def call(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        return warm_python.run(
            ROOT / "scripts" / script,
            *arguments,
            cwd=tmp_path,
            environment=environment,
            timeout=110,
        )

    return call
