"""The parts of the GPU check that run without a GPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models.avatar.folder import SHIPPED
from scripts import gpu_check
from scripts.gpu_check import STEPS, Step, main
from scripts.gpu_checks.check import MissedError, SkipError, Target, Values, WrongError, expect
from scripts.gpu_checks.goals import BATCH, WARP, judge
from scripts.gpu_checks.plain_files import load_weights, provide_missing_packages
from scripts.gpu_checks.run import find_check


def test_a_dry_run_writes_results_and_reasons_for_skipped_checks(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    steps = ["versions", "illegal_access"]
    assert main(["--dry-run", "--only", *steps, "--out", str(out)]) == 0
    results = json.loads(out.read_text())
    assert (results["device"], results["dry_run"]) == ("cpu", True)
    assert list(results["checks"]) == steps
    versions, illegal = (results["checks"][name] for name in steps)
    assert versions["values"]["torch"] == torch.__version__
    assert illegal["result"].startswith("SKIP: needs a GPU: a kernel that reads out of bounds")


def test_launches_and_bytes_of_a_frame_are_counted_without_a_gpu() -> None:
    """Lower is better: change these together with the table in RESULTS.md."""
    assert find_check("counts")(Target("cpu", 1)) == {
        "rgb": {"launches": 8, "copies": 2, "bytes_to": 768, "bytes_back": 307_200},
        "nv12": {"launches": 8, "copies": 2, "bytes_to": 768, "bytes_back": 153_600},
    }


def test_a_check_that_hangs_or_fails_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gpu_check, "STEPS", (Step("versions", 0.05, ""), Step("nonsense", 60, "")))
    out = tmp_path / "results.json"
    assert main(["--dry-run", "--out", str(out)]) == 1
    checks = json.loads(out.read_text())["checks"]
    assert checks["versions"]["result"] == "FAILED: not done within 0.2 s"
    assert "KeyError: 'nonsense'" in checks["nonsense"]["result"]


def test_all_checks_exist_and_have_a_time_limit() -> None:
    assert all(callable(find_check(step.name)) for step in STEPS)
    assert max(step.limit_s for step in STEPS) <= 100


def test_checks_are_skipped_when_no_time_is_left(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    main(["--dry-run", "--only", "pool", "--limit-s", "0", "--out", str(out)])
    assert json.loads(out.read_text())["checks"]["pool"]["result"] == "SKIP: no time is left"


def test_weights_are_read_without_safetensors() -> None:
    path = SHIPPED / "default" / "weights.safetensors"
    expected, read = load_file(path), load_weights(path)
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[name], expected[name]) for name in expected)


def test_an_avatar_is_loaded_without_pillow_and_safetensors() -> None:
    program = """
import sys, importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in ("PIL", "safetensors") else find(name)
from scripts.gpu_checks import plain_files
plain_files.find_spec = importlib.util.find_spec
assert plain_files.provide_missing_packages() == ["safetensors", "PIL"]
from models.avatar.folder import SHIPPED, load_avatar
avatar = load_avatar(SHIPPED / "default")
print(avatar.background.shape, sorted(name for name in sys.modules if name.startswith("PIL.")))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "(320, 320, 3) []\n"
    assert provide_missing_packages() == [], "both are installed in this environment"


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_dry_run_renders_frames_and_checks_kernels_in_the_interpreter(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    assert main(["--dry-run", "--only", "correctness", "kernels", "--out", str(out)]) == 0
    checks = json.loads(out.read_text())["checks"]
    assert [check["result"] for check in checks.values()] == ["OK", "OK"]
    frames, kernels = checks["correctness"]["values"], checks["kernels"]["values"]
    assert frames.keys() == {"warp", "crossfade", "batch"}
    # The kernels, and not the code of the CPU on both sides: that would differ nowhere.
    assert 0 < frames["batch"]["mean"] < 0.01
    assert kernels.keys() == {"shipped", "larger"}
    assert all(len(compared) == 12 for compared in kernels.values())


def test_a_missed_goal_is_reported_on_a_gpu_and_not_judged_on_a_cpu() -> None:
    values: Values = {}
    judge(Target("cuda:0", 1), {WARP: 0.9, BATCH: 5000.0}, values)
    assert set(values["goals"].values()) == {"met"}
    with pytest.raises(MissedError, match=r"NV12, at most 1, got 1\.1") as raised:
        judge(Target("cuda:0", 1), {WARP: 1.1, BATCH: 5000.0}, values)
    assert sorted(raised.value.values["goals"].values()) == ["met", "missed"]
    judge(Target("cpu", 1), {WARP: 50.0, BATCH: 1.0}, values)
    assert set(values["goals"].values()) == {"needs a GPU"}


@pytest.mark.slow
def test_the_pool_is_checked_with_no_packages_but_torch_triton_and_numba(tmp_path: Path) -> None:
    link_packages(("torch", "triton", "numba"), tmp_path)
    # Without the folder of installed packages (-S), also in the processes of the pool.
    command = [sys.executable, "-S", "-m", "scripts.gpu_checks.run", "pool", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        command, cwd=gpu_check.ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1])["result"] == "OK"
    missing = [sys.executable, "-S", "-c", "import PIL"]
    assert subprocess.run(missing, env=environment, capture_output=True, check=False).returncode


def link_packages(names: tuple[str, ...], folder: Path) -> None:
    """Link installed packages, and those that they require, into a folder."""
    wanted, linked = list(names), set()
    while wanted:
        name = wanted.pop()
        with suppress(PackageNotFoundError):  # required on other platforms only
            found = distribution(name)
            if name in linked:
                continue
            linked.add(name)
            needed = [line for line in found.requires or () if "extra ==" not in line]
            wanted += [re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in needed]
            for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
                if not (folder / top).exists():
                    (folder / top).symlink_to(Path(str(found.locate_file(top))))


def test_a_failed_check_reports_the_expected_and_found_values() -> None:
    with pytest.raises(WrongError, match="expected 1, got 2") as raised:
        expect(np.False_ == np.True_, "expected 1, got 2", {"found": 2})
    assert raised.value.values == {"found": 2}
    with pytest.raises(SkipError, match="needs a GPU: to burn"):
        Target("cpu", 1).require_gpu("to burn")
