"""The README's steps to an avatar, at a small size: make a dataset, train, evaluate."""

import json
from pathlib import Path

import pytest
from PIL import Image

from models.avatar.folder import SHIPPED, load_avatar
from tests.scripts.conftest import Run

HEAD = SHIPPED / "default" / "head.npz"


@pytest.mark.slow
def test_a_dataset_is_made_and_an_avatar_trained_and_evaluated(
    run: Run, recording: Path, tmp_path: Path
) -> None:
    dataset = run(
        "make_dataset.py", "--out", "data", "--recording", recording, "--head", HEAD, "--size", 64,
        "--train", 2, "--val", 1, "--test", 1, "--length", 8, "--workers", 1,
    )  # fmt: skip
    assert dataset.returncode == 0, dataset.stderr

    trained = run(
        "train.py", "--data", "data", "--train.steps", 4, "--train.pairs.batch", 1,
        "--train.pairs.crop", 64, "--train.network.network-size", 0.0625,
        "--train.network.texture-size", 64, "--train.validation-frames", 3,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert "runs/default/avatar" in trained.stdout
    assert "left" in trained.stderr  # the progress bar
    avatar = load_avatar(tmp_path / "runs" / "default" / "avatar")
    assert avatar.manifest.resolution == 64

    sheet = tmp_path / "sheet.png"
    evaluated = run(
        "evaluate.py", "runs/default/avatar", "data", "--ages", 1, 4, "--frames", 3,
        "--contact-sheet", sheet, "--swap-periods", 2,
    )  # fmt: skip
    assert evaluated.returncode == 0, evaluated.stderr
    result = json.loads(evaluated.stdout.splitlines()[-1])
    assert set(result["warp"]) == {"1", "4"}
    assert 5 < result["full"]["psnr"] < 60
    assert result["baseline"] is None
    assert result["swap"]["2"]["ratio"] > 0
    assert (tmp_path / "runs/default/avatar/evaluation.png").exists()
    with Image.open(sheet) as image:
        assert image.width == 4 * 64


@pytest.mark.parametrize(
    ("script", "arguments", "message"),
    [
        ("train.py", ["--data", "nowhere"], "train: nowhere/dataset.json is not a dataset's"),
        ("train_baseline.py", ["--data", "nowhere"], "train_baseline: nowhere/dataset.json is"),
        ("evaluate.py", ["nowhere", "nowhere"], "not a readable manifest"),
        ("render_video.py", ["nowhere.csv", "out.mp4"], "not a readable recording"),
        ("publish.py", ["x.csv", "--stream", "a", "--url", "http://127.0.0.1:9"], "no server"),
    ],
)
def test_a_wrong_argument_is_reported_without_a_traceback(
    run: Run, script: str, arguments: list[str], message: str
) -> None:
    failed = run(script, *arguments)
    assert failed.returncode == 1
    assert message in failed.stderr
    assert "Traceback" not in failed.stderr
