"""Imports of the authors' checkpoints: avatars that reproduce their output and are served."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import httpx2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from models.avatar.folder import load_avatar
from models.contract.frame_state import FrameState, neutral_state
from models.runtime.flame_conditioning import FlameConditioning
from models.runtime.renderer import CachedRenderer
from server.pool.engine_factory import ModelEngineFactory
from tests.models.authors_files import (
    OPTIONS,
    checkpoint_weights,
    write_checkpoint,
    write_dataset,
)
from tests.models.flame_file import write_flame_npz
from tests.scripts.conftest import ROOT, Run
from tests.warm_python import WarmPython, pipe

GOLDEN = ROOT.parent / "shared" / "golden"


@pytest.mark.slow
def test_the_authors_published_output_is_reproduced(run: Run, tmp_path: Path) -> None:
    if not GOLDEN.exists():
        pytest.skip(f"needs the golden case: {GOLDEN} is not there")
    weights = [sys.executable, "-B", str(GOLDEN / "paper_weights.py"), str(tmp_path / "theirs")]
    subprocess.run(weights, check=True, timeout=60)
    write_flame_npz(tmp_path / "flame.npz")
    write_statistics(tmp_path / "statistics.npz")
    case = GOLDEN / "paper_case.npz"
    # From the checkpoint, and from the avatar after writing and loading it.
    more = ("--flame", "flame.npz", "--statistics", "statistics.npz", "--resolution", 128)
    for arguments in ((), more):
        done = run("import_authors_checkpoint.py", "theirs", "avatar", "--verify", case, *arguments)
        assert done.returncode == 0, done.stderr
        errors = json.loads(done.stdout.splitlines()[-1])
        assert set(errors) == {"plain", "split"}
        for form in errors.values():
            assert len(form) == 8
            assert max(form.values()) < 1e-3
    assert (tmp_path / "avatar" / "weights.safetensors").exists()


def write_statistics(path: Path) -> None:
    random = np.random.default_rng(0)
    mean = random.normal(0, 0.1, 59)
    mean[6:9] = 8, 0.01, 0.02
    np.savez(path, mean=mean, deviation=random.uniform(0.1, 1, 59))


@pytest.fixture
def avatar(run: Run, tmp_path: Path) -> Path:
    """An avatar imported from a small checkpoint."""
    saved = {"model_state_dict": checkpoint_weights()}
    write_checkpoint(tmp_path / "theirs", OPTIONS, saved)
    write_flame_npz(tmp_path / "flame.npz")
    write_statistics(tmp_path / "statistics.npz")
    done = run(
        "import_authors_checkpoint.py", "theirs", "avatars/imported", "--flame", "flame.npz",
        "--statistics", "statistics.npz", "--resolution", 64,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return tmp_path / "avatars" / "imported"


def state_of(avatar: Path, **expression: float) -> FrameState:
    manifest = load_avatar(avatar).manifest
    state = neutral_state(53, manifest.eye_position, manifest.fov_y_rad)
    for name, value in expression.items():
        state.expression[manifest.expression_names.index(name)] = value
    return state


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def test_an_imported_avatar_is_rendered_and_served(avatar: Path) -> None:
    renderer = CachedRenderer(load_avatar(avatar))
    assert renderer.manifest.expression_range == (-5.0, 5.0)
    neutral, moved = state_of(avatar), state_of(avatar, exp003=2.0, jawX=0.3)
    cache = renderer.allocate_cache()
    renderer.refresh(neutral, cache)
    images = [renderer.warp(state, cache).rgb for state in (neutral, moved)]
    assert images[0].shape == (64, 64, 3)
    assert images[0].std() > 5
    assert difference(*images) > 0.3
    engine = ModelEngineFactory(avatar.parent).build("cpu", 1, "warp")
    assert engine.avatars["imported"].expression_names[-3:] == ("jawX", "jawY", "jawZ")
    assert engine.avatars["imported"].expression_range == (-5.0, 5.0)


@contextmanager
def server(python: WarmPython, avatars: Path) -> Iterator[httpx2.Client]:
    """A client of a running server with these avatars."""
    options = ("--port", "0", "--workers", "1", "--device", "cpu", "--avatars", avatars)
    with pipe() as (output, writer):
        process = python.start("-m", "server", *options, stdout=writer)
        try:
            address = output.readline().split()[-1]
            with httpx2.Client(base_url=address, timeout=60) as http:
                until = time.monotonic() + 60
                while http.get("/readyz").status_code != 200 and time.monotonic() < until:
                    time.sleep(0.2)
                yield http
        finally:
            process.terminate()
            process.wait(20)


@pytest.mark.slow
def test_an_imported_avatar_is_served_over_http(avatar: Path, warm_python: WarmPython) -> None:
    with server(warm_python, avatar.parent) as http:
        manifest = http.get("/v1/avatars/imported").json()
        assert manifest["expression_range"] == [-5, 5]
        made = http.post("/v1/streams", json={"avatar": "imported", "id": "me"})
        assert made.status_code == 201
        expression = {"exp003": -2.0, "jawX": 0.2}
        sent = http.post("/v1/streams/me/frames", json={"seq": 0, "expression": expression})
        assert sent.json()["accepted"] == 1
        refused = http.post("/v1/streams/me/frames", json={"seq": 1, "expression": {"exp003": 8}})
        assert "expected less than or equal to 5.05, got 8" in refused.json()["detail"]
        frame = {"frame": {"expression": expression}, "avatar": "imported", "mode": "warp"}
        image = http.post("/v1/render", json=frame)
        assert image.status_code == 200
        with Image.open(BytesIO(image.content)) as shown:
            assert shown.size == (64, 64)
            assert np.array(shown).std() > 5


def test_the_conditioning_of_a_frame_follows_flame(avatar: Path) -> None:
    loaded = load_avatar(avatar)
    describe = FlameConditioning(loaded.head, loaded.manifest, np.array([8.0, 0.01, 0.02]))
    state = state_of(avatar, exp007=1.5, jawX=0.25)
    conditioning = describe(state)
    np.testing.assert_allclose(conditioning[:3], 0, atol=1e-6)
    np.testing.assert_allclose(conditioning[3:6], [0.25, 0, 0])
    np.testing.assert_allclose(conditioning[6:9], [8.0, 0.01, 0.02], atol=1e-6)
    assert conditioning[9 + 7] == 1.5

    half = np.array([0, np.sin(0.15), 0, np.cos(0.15)], np.float32)
    turned = replace(state, head_rotation=half)
    np.testing.assert_allclose(describe(turned)[:3], [0, 0.3, 0], atol=1e-6)
    # An orbiting camera around a still head gives the conditioning of a turned head.
    x, y, z = state.eye_position.astype(np.float64)
    orbit = np.array([x * np.cos(0.3) - z * np.sin(0.3), y, x * np.sin(0.3) + z * np.cos(0.3)])
    eye_rotation = np.array([0, -np.sin(0.15), 0, np.cos(0.15)], np.float32)
    orbited = replace(state, eye_position=orbit.astype(np.float32), eye_rotation=eye_rotation)
    np.testing.assert_allclose(describe(orbited), describe(turned), atol=1e-5)

    nearer = describe(replace(state, eye_position=np.array([0, -0.02, 0.39], np.float32)))
    np.testing.assert_allclose(nearer[6:9], [16.0, 0.01, 0.02], atol=1e-5)
    aside = describe(replace(state, head_translation=np.array([0.05, 0.03, 0], np.float32)))
    np.testing.assert_allclose(aside[6:9], [8.0, 0.06, 0.05], atol=1e-5)


@pytest.mark.slow
def test_an_avatar_is_trained_on_the_authors_data(run: Run, tmp_path: Path) -> None:
    write_dataset(tmp_path / "theirs")
    write_flame_npz(tmp_path / "flame.npz")
    made = run("import_head.py", "flame.npz", "flame_head.npz")
    assert made.returncode == 0, made.stderr
    given = ("train.py", "--data", "theirs", "--format", "authors", "--head", "flame_head.npz")
    refused = run(*given)
    assert refused.returncode == 1
    assert "train: the authors' dataset holds no normals" in refused.stderr
    trained = run(
        *given, "--train.network.variant", "paper", "--train.network.network-size", 0.0625,
        "--train.network.texture-size", 64, "--train.steps", 2, "--train.pairs.batch", 1,
        "--train.pairs.crop", 32, "--train.validation-frames", 3,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    avatar = load_avatar(tmp_path / "runs" / "default" / "avatar")
    assert avatar.manifest.network.numbers == "flame"
    CachedRenderer(avatar).warm_up()


def test_missing_options_and_checkpoints_are_reported(run: Run, tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "theirs", OPTIONS, {"model_state_dict": checkpoint_weights()})
    done = run("import_authors_checkpoint.py", "theirs", "avatar")
    assert done.returncode == 1
    assert "no avatar was written: it needs --flame and --statistics" in done.stderr
    assert not (tmp_path / "avatar").exists()
    failed = run("import_authors_checkpoint.py", "nowhere", "avatar")
    assert failed.returncode == 1
    assert "not the JSON of a training's options" in failed.stderr
    assert "Traceback" not in failed.stderr
