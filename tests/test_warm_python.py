"""Forked programs behave as in a new interpreter, except for the imported modules."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.warm_python import WarmPython

REPORTS = """
import atexit, os, sys
atexit.register(lambda: print("ended", flush=True))
print(__name__, sys.argv[1:], os.getcwd(), os.environ["COLOUR"], os.environ.get("HOME"))
print("torch" in sys.modules, sys.path[0], file=sys.stderr)
sys.exit(3)
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    file = tmp_path / "says.py"
    file.write_text(REPORTS)
    return file


def test_a_program_has_its_own_arguments_folder_environment_and_streams(
    program: Path, tmp_path: Path, warm_python: WarmPython
) -> None:
    environment = {"COLOUR": "red", "PATH": os.environ["PATH"]}
    forked = warm_python.run(program, "a b", cwd=tmp_path, environment=environment, timeout=20)
    new = subprocess.run(
        [sys.executable, program, "a b"],
        cwd=tmp_path, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert forked.returncode == new.returncode == 3
    assert forked.stdout == new.stdout
    assert forked.stdout.endswith("ended\n")
    assert new.stderr == f"False {tmp_path}\n"
    assert forked.stderr == f"True {tmp_path}\n"


def test_an_error_prints_a_traceback_and_exits_with_code_1(
    tmp_path: Path, warm_python: WarmPython
) -> None:
    file = tmp_path / "fails.py"
    file.write_text("1 / 0")
    failed = warm_python.run(file, cwd=tmp_path, environment=os.environ, timeout=20)
    assert failed.returncode == 1
    assert "ZeroDivisionError" in failed.stderr


def test_a_program_can_be_killed_and_waited_for(tmp_path: Path, warm_python: WarmPython) -> None:
    file = tmp_path / "sleeps.py"
    file.write_text("import time; print(flush=True); time.sleep(60)")
    started = warm_python.start(file, cwd=tmp_path)
    assert started.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        started.wait(0.05)
    started.kill()
    assert started.wait(10) == -signal.SIGKILL
    started.kill()  # has ended: no other process gets the signal
