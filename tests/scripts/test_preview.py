"""The preview of an avatar in training; a small program that prints its start is the server."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from scripts.preview import Command, Preview, serve_at

STARTED = "print('started with', sys.argv[1], flush=True)"


def program(code: str) -> Command:
    return lambda folder: [sys.executable, "-c", f"import sys, time\n{code}", str(folder)]


def save(avatar: Path, weights: bytes) -> None:
    avatar.mkdir(exist_ok=True)
    (avatar / "weights.safetensors").write_bytes(weights)


def wait_for(log: Path, starts: int) -> None:
    deadline = time.monotonic() + 60
    while not log.exists() or log.read_text().count("started with") < starts:
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def avatar(tmp_path: Path) -> Path:
    return tmp_path / "avatar"


def test_each_better_avatar_is_served_from_a_copy_and_the_last_server_is_stopped(
    tmp_path: Path, avatar: Path
) -> None:
    folder, log = tmp_path / "preview", tmp_path / "log"
    command = program(f"{STARTED}\ntime.sleep(600)")
    with Preview(avatar, folder, log, command) as preview:
        assert preview.update() == ""
        save(avatar, b"first")
        assert preview.update() == "the preview shows the best avatar so far"
        wait_for(log, 1)
        save(avatar, b"second")
        assert (folder / "avatar" / "weights.safetensors").read_bytes() == b"first"
        assert preview.update() != ""
        assert preview.update() == ""
        assert (folder / "avatar" / "weights.safetensors").read_bytes() == b"second"
        wait_for(log, 2)
        server = preview.server
        assert server is not None
    assert server.returncode is not None
    assert not folder.exists()


def test_a_server_that_cannot_start_is_reported_once(tmp_path: Path, avatar: Path) -> None:
    save(avatar, b"first")
    with Preview(avatar, tmp_path / "preview", tmp_path / "log", program("sys.exit(3)")) as preview:
        preview.update()
        assert preview.server is not None
        preview.server.wait()
        assert preview.update() == (
            f"the server of the preview ended with code 3; {tmp_path / 'log'} says why"
        )
        assert preview.update() == ""


def test_the_server_command_has_the_folder_and_the_port() -> None:
    command = serve_at(8690)(Path("somewhere"))
    assert command[command.index("--avatars") + 1] == "somewhere"
    assert command[command.index("--port") + 1] == "8690"


def test_the_server_exits_when_its_input_ends_with_the_training_process(
    tmp_path: Path, avatar: Path
) -> None:
    save(avatar, b"first")
    log = tmp_path / "log"
    command = program(f"{STARTED}\nsys.stdin.read()\nprint('input ended', flush=True)")
    with Preview(avatar, tmp_path / "preview", log, command) as preview:
        preview.update()
        wait_for(log, 1)
        server = preview.server
        assert server is not None
        assert server.stdin is not None
        server.stdin.close()  # as the kernel does when the training process is killed
        assert server.wait(60) == 0
        assert "input ended" in log.read_text()
