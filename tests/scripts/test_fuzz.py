"""The fuzzer mutates files reproducibly, and distinguishes faults from rejections."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

import numpy as np
import pytest

from models.geometry.head import HeadError
from scripts.fuzz import find_files
from scripts.fuzzing import importers
from scripts.fuzzing.importers import try_file
from scripts.fuzzing.mutations import mutate
from tests.models.heads.gltf_files import glb, triangle
from tests.scripts.conftest import Run


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.glb").write_bytes(glb(triangle(), bytes(36)))
    (folder / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 3\n")
    (folder / "a.csv").write_text("Timecode,BlendshapeCount,JawOpen\n00:00:00:00.0,1,0.5\n")
    (folder / "a.json").write_text('[{"time": 0, "expression": {"jawOpen": 0.5}}]')
    np.savez(folder / "a.npz", vt=np.zeros((3, 2)), ft=np.array([[0, 1, 2]]))
    (folder / "notes.txt").write_text("{}")
    return folder


def test_files_are_found_by_their_suffixes(files: Path) -> None:
    names = [path.name for path in find_files([files, files / "a.glb"])]
    assert names == ["a.csv", "a.glb", "a.json", "a.npz", "a.obj", "a.glb"]


@pytest.mark.parametrize("suffix", [".glb", ".obj", ".csv", ".json", ".npz", ".pkl", ".tar"])
def test_the_same_seed_gives_the_same_mutations(files: Path, suffix: str) -> None:
    source = files / f"a{suffix}"
    data = source.read_bytes() if source.exists() else (files / "a.npz").read_bytes()
    first, second = ([mutate(data, suffix, Random(seed)) for seed in range(30)] for _ in range(2))
    assert first == second
    assert len(set(first)) > 15


def test_a_rejection_is_no_fault_but_another_exception_or_message_is(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert try_file(files / "a.json", files / "a.json").accepted
    refused = try_file(files / "a.obj", files / "a.obj")
    assert (refused.accepted, refused.fault) == (False, "")

    def fail(path: Path, source: Path) -> object:
        raise KeyError(path.name)

    def raise_unprintable(path: Path, source: Path) -> object:
        raise HeadError(f"{path}: \x1b" + "x" * 500)

    monkeypatch.setitem(importers.IMPORTERS, ".obj", (fail, raise_unprintable))
    fault = try_file(files / "a.obj", files / "a.obj").fault
    assert "KeyError: 'a.obj'" in fault
    assert "not printable" in fault
    assert "too long" in fault


def test_the_fuzzer_finds_no_faults_in_two_seconds(run: Run, files: Path, tmp_path: Path) -> None:
    ran = run("fuzz.py", files, "--minutes", 0.03, "--seed", 7, "--keep", "kept")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    first, *tallies, last = ran.stdout.splitlines()
    assert first == "seed 7, 5 files"
    counted = [json.loads(line) for line in tallies]
    assert {tally["suffix"] for tally in counted} <= {".csv", ".glb", ".json", ".npz", ".obj"}
    assert sum(tally["files"] for tally in counted) > 0
    assert sum(tally["faults"] for tally in counted) == 0
    assert json.loads(last)["seed"] == 7
    assert not list((tmp_path / "kept").iterdir())
