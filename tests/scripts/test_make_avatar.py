"""`scripts/make_avatar.py` with a recipe or a mesh, at a small size."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import tyro
from PIL import Image

from models.avatar.folder import SHIPPED, load_avatar
from models.geometry.head_file import load_head
from models.heads.recipe import RECIPES
from scripts import make_avatar
from tests.scripts.conftest import ROOT, Run
from tests.scripts.mesh_files import write_head_glb

TINY = (
    "--recipe", "default", "--quick", "--sequences", 1, 1, 1, "--size", 64, "--resolution", 64,
    "--network-size", 0.0625, "--minutes", 0.05, "--threads", 1, "--workers", 1,
)  # fmt: skip


def call(*arguments: object) -> int:
    """Run the command in this process; a new process takes seconds to import torch."""
    given = [str(argument) for argument in arguments]
    return make_avatar.main(tyro.cli(make_avatar.Arguments, args=given))


@pytest.mark.slow
def test_an_avatar_is_made_and_existing_results_are_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = run("make_avatar.py", *TINY)
    assert made.returncode == 0, made.stderr
    avatar = tmp_path / "runs/default/avatar"
    assert load_avatar(avatar).manifest.resolution == 64
    assert json.loads((avatar / "evaluation.json").read_text())["full"]["psnr"] > 5
    assert (avatar / "evaluation.png").exists()
    with Image.open(avatar / "contact_sheet.jpg") as sheet:
        assert sheet.width == 4 * 64
    assert "scripts/serve.sh --avatars runs/default" in made.stdout

    results = [
        tmp_path / "runs/default/data/dataset.json",
        avatar / "weights.safetensors",
        avatar / "evaluation.json",
        avatar / "contact_sheet.jpg",
    ]
    times = [file.stat().st_mtime_ns for file in results]
    monkeypatch.chdir(tmp_path)
    assert call(*TINY) == 0
    assert [file.stat().st_mtime_ns for file in results] == times

    assert call(*TINY, "--size", 96) == 1
    assert "is in another size than 96" in capsys.readouterr().err


@pytest.mark.parametrize("name", RECIPES)
def test_the_shipped_heads_match_the_current_recipes(name: str, tmp_path: Path) -> None:
    arguments = make_avatar.Arguments(recipe=name, out=tmp_path)
    head = make_avatar.prepare_head(arguments)
    assert head.read_bytes() == (SHIPPED / name / "head.npz").read_bytes()


def test_a_mesh_file_becomes_the_head_and_names_the_avatar(tmp_path: Path) -> None:
    mesh = tmp_path / "egg.glb"
    write_head_glb(mesh)
    arguments = make_avatar.Arguments(head=mesh, out=tmp_path / "out")
    head = make_avatar.prepare_head(arguments)
    assert "jawOpen" in load_head(head).expression_names
    first = head.read_bytes()
    assert (
        make_avatar.prepare_head(arguments).read_bytes() == first
    )  # so an existing dataset stays valid
    assert make_avatar.Arguments(head=mesh).folder == Path("runs/egg")


@pytest.mark.parametrize("options", [{}, {"recipe": "nobody"}, {"recipe": "default", "head": "x"}])
def test_either_a_recipe_or_a_mesh_is_required(
    options: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    head = Path(options["head"]) if "head" in options else None
    assert make_avatar.main(make_avatar.Arguments(options.get("recipe"), head=head)) == 1
    assert "give --recipe, one of default, marcus, greta, or --head FILE" in capsys.readouterr().err


def test_a_missing_anny_package_names_the_extra_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "anny", None)
    monkeypatch.setattr(make_avatar, "SHIPPED", tmp_path)
    with pytest.raises(make_avatar.MakeAvatarError, match=r"needs anny: .*pip install .*avatars"):
        make_avatar.prepare_head(make_avatar.Arguments(recipe="default", out=tmp_path))


def test_the_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--list") == 0
    listed = capsys.readouterr().out
    assert [line.split()[0] for line in listed.splitlines()] == list(RECIPES)


def test_an_unknown_recipe_is_rejected(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("--recipe", "nobody") == 1
    assert "give --recipe, one of default, marcus, greta" in capsys.readouterr().err


def test_its_linear_algebra_runs_on_one_thread() -> None:
    tree = ast.parse(Path(make_avatar.__file__).read_text())
    imports = [each for each in tree.body if isinstance(each, ast.Import | ast.ImportFrom)]
    # Before anything that loads numpy, which reads the variable once.
    assert ast.unparse(imports[1]) == "from scripts import one_blas_thread"
    code = (
        "import scripts.one_blas_thread, ctypes, numpy.linalg._umath_linalg as linear;"
        "print(ctypes.CDLL(linear.__file__).scipy_openblas_get_num_threads64_())"
    )
    unset = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=unset, cwd=ROOT, capture_output=True, text=True
    )
    assert ended.stdout == "1\n", ended.stderr
