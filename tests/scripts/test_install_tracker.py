"""Installation of the face tracker: pinned, all files or none, and optional for the server."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from scripts import install_tracker
from scripts.install_tracker import InstallError, copy_verified, install, missing

ROOT = Path(__file__).parents[2]
FILES = {"a.js": hashlib.sha256(b"program").hexdigest(), "wasm/b": hashlib.sha256(b"b").hexdigest()}


def write(folder: Path, name: str, content: bytes) -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)


def test_files_with_the_pinned_digests_are_copied(tmp_path: Path) -> None:
    write(tmp_path / "source", "a.js", b"program")
    write(tmp_path / "source", "wasm/b", b"b")
    target = tmp_path / "target"
    assert missing(target, FILES) == ["a.js", "wasm/b"]
    copy_verified(tmp_path / "source", target, FILES)
    assert missing(target, FILES) == []
    assert sorted(file.name for file in target.rglob("*") if file.is_file()) == ["a.js", "b"]


def test_nothing_is_copied_if_one_digest_differs(tmp_path: Path) -> None:
    write(tmp_path / "source", "a.js", b"program")
    write(tmp_path / "source", "wasm/b", b"tampered with")
    with pytest.raises(InstallError, match=r"expected wasm/b with SHA-256 .{64}, got .{64}"):
        copy_verified(tmp_path / "source", tmp_path / "target", FILES)
    assert not (tmp_path / "target").exists()


def test_a_damaged_file_counts_as_missing(tmp_path: Path) -> None:
    write(tmp_path, "a.js", b"progra")
    write(tmp_path, "wasm/b", b"b")
    assert missing(tmp_path, FILES) == ["a.js"]


def test_one_source_is_installed_if_the_other_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unpack_program(scratch: Path) -> Path:
        raise InstallError("npm pack: no network")

    def unpack_model(scratch: Path) -> Path:
        write(scratch, "a.js", b"program")
        return scratch

    monkeypatch.setattr(install_tracker, "unpack_program", unpack_program)
    monkeypatch.setattr(install_tracker, "unpack_model", unpack_model)
    monkeypatch.setattr(install_tracker, "MODELS", {"a.js": FILES["a.js"]})
    with pytest.raises(InstallError, match="npm pack: no network"):
        install(tmp_path)
    assert (tmp_path / "a.js").read_bytes() == b"program"


def test_a_failed_installation_is_reported_and_the_server_starts(
    tmp_path: Path,
) -> None:
    """As in serve.sh, in a copy whose npm and pip have no network."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for name in ("environment.sh", "install_tracker.py"):
        (scripts / name).write_bytes((ROOT / "scripts" / name).read_bytes())
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    write(tmp_path, "bin/npm", b"#!/bin/sh\necho 'network is down' >&2\nexit 1\n")
    (tmp_path / "bin" / "npm").chmod(0o755)
    done = subprocess.run(
        ["bash", "-ec", "source scripts/environment.sh; ensure_tracker; echo started"],
        cwd=tmp_path,
        env={
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": "",
            "HOME": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "started\n")
    assert "npm pack @mediapipe/tasks-vision@0.10.35: network is down" in done.stderr
    assert "Going live from a camera needs it; everything else works without it." in done.stderr
