"""What the files in docker/ say fits the server they start."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.frame_metrics import FrameMetrics
from server.settings import Settings

DOCKER = Path(__file__).parents[2] / "docker"
FILES = ("Dockerfile", "compose.yaml", "README.md")


@pytest.mark.parametrize("name", FILES)
def test_every_setting_that_is_named_exists(name: str) -> None:
    named = set(re.findall(r"\bTELEWARP_([A-Z_]+)", (DOCKER / name).read_text()))
    known = {field.upper() for field in Settings.model_fields}
    assert named
    assert named <= known


def test_everything_the_image_copies_exists_and_reaches_the_engine() -> None:
    root = DOCKER.parent
    passed = (root / ".dockerignore").read_text().splitlines()
    copies = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(), re.M)
    sources = [source for copy in copies for source in copy.split()]
    assert len(sources) >= 6
    for source in sources:
        assert (root / source).exists(), source
        assert f"!{source}" in passed, source


def test_the_metrics_it_tells_of_exist() -> None:
    named = set(re.findall(r"`(telewarp_\w+)`", (DOCKER / "README.md").read_text()))
    source = (DOCKER.parent / "server" / "metrics.py").read_text()
    counted = {
        metric.name + ("_total" if metric.type == "counter" else "")
        for metric in FrameMetrics().registry.collect()
    }
    read = {f"telewarp_{name}" for name in re.findall(r'_gauge\("(\w+)"', source)}
    read |= {f"telewarp_{name}_total" for name in re.findall(r'_counter\("(\w+)"', source)}
    read |= {"telewarp_worker_up", "telewarp_worker_restarts_total"}
    assert named <= counted | read
