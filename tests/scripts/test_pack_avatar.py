"""Packing an avatar into one file, and importing it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models.avatar.folder import SHIPPED, load_avatar
from scripts import import_avatar, pack_avatar


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "default.telewarp"
    assert pack_avatar.main(pack_avatar.Arguments(SHIPPED / "default", path)) == 0
    return path


def test_a_packed_avatar_is_imported_under_its_id(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert import_avatar.main(import_avatar.Arguments(archive, tmp_path)) == 0
    assert load_avatar(tmp_path / "default").manifest.id == "default"
    assert f"scripts/serve.sh --avatars {tmp_path}" in capsys.readouterr().out
    assert import_avatar.main(import_avatar.Arguments(archive, tmp_path)) == 2
    assert "exists already: delete it, or give --folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["default"]


def test_progress_and_result_are_printed_as_json(
    archive: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = import_avatar.Arguments(archive, tmp_path, folder="avatar", progress="json")
    assert import_avatar.main(arguments) == 0
    *progress, result = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert [line["index"] for line in progress] == sorted(line["index"] for line in progress)
    assert {line["stage"] for line in progress} == {"unpack", "check", "render"}
    assert all(line["stages"] == 3 and 0 <= line["fraction"] <= 1 for line in progress)
    assert result == {"avatar": str(tmp_path / "avatar")}


def test_a_file_that_is_no_archive_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad").write_bytes(b"not a zip file, but some text of the same length")
    arguments = import_avatar.Arguments(tmp_path / "bad", tmp_path / "out", progress="json")
    assert import_avatar.main(arguments) == 2
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last == {"error": "expected a zip file without a comment, got another file"}
