"""Serves an avatar during training: a server that restarts with each better version."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[1]
_GRACE_S = 10.0
"""Time for a server to exit by itself, seconds."""

Command = Callable[[Path], list[str]]
"""Returns the command of a server, from the folder of its avatars."""


def serve_at(port: int) -> Command:
    """Return the `Command` of a server at a port of this machine; it runs until its input ends."""
    return lambda folder: [
        *(sys.executable, "-m", "server.cluster.child_process", "server.command"),
        *("--avatars", str(folder), "--port", str(port), "--workers", "1"),
    ]


class Preview:
    """Shows the best avatar so far in the viewer; open pages reconnect by themselves.

    Use it in a `with` statement: the server ends with it.

    Args:
        avatar: Folder that training saves the best avatar to.
        folder: Created for a copy, which later saves do not change while it is served.
        log: File for what servers print.
        command: Command of the server.
    """

    def __init__(self, avatar: Path, folder: Path, log: Path, command: Command) -> None:
        self._avatar, self._folder, self._log, self._command = avatar, folder, log, command
        self._shown = 0
        self.server: subprocess.Popen[bytes] | None = None
        """The server that runs, if any."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def update(self) -> str:
        """Serve the avatar if a better one was saved.

        Returns:
            A message about the change; empty if there is none.
        """
        weights = self._avatar / "weights.safetensors"
        saved = weights.stat().st_mtime_ns if weights.exists() else 0
        if saved != self._shown:
            self._shown = saved
            self._start()
            return "the preview shows the best avatar so far"
        if self.server is not None and self.server.poll() is not None:
            code = self.server.returncode
            self._end()
            return f"the server of the preview ended with code {code}; {self._log} says why"
        return ""

    def _start(self) -> None:
        self._end()
        shutil.rmtree(self._folder, ignore_errors=True)
        shutil.copytree(self._avatar, self._folder / self._avatar.name)
        # Not to the output of this process, where it would mix with the progress of training.
        with self._log.open("ab") as log:
            self.server = subprocess.Popen(
                self._command(self._folder),
                cwd=ROOT,
                # The system closes it if this process is killed, which ends the server too.
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _end(self) -> None:
        if self.server is None:
            return
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.terminate()
        try:
            self.server.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()
        self.server = None
