"""Forks Python programs from a process that has imported their libraries.

A new interpreter takes seconds of processor time to import torch and numba, and the tests start a
hundred programs. They are forked from one process instead, and run as under `python`: with their
own arguments, environment, folder and streams, as the main module, until the interpreter exits. A
test of how a program starts, or of what it imports, uses `subprocess`.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple, TextIO

ROOT = Path(__file__).parents[1]
IMPORTED = ("torch", "models.runtime.renderer", "server.app", "tyro", "PIL.Image", "scipy.ndimage")
_MOST_BYTES = 1 << 20
"""Maximum size of a request; the environment is its longest part."""
_STARTED_S = 60.0
"""Timeout for the PID of a program; the first one waits for the imports."""


class _Request(NamedTuple):
    arguments: list[str]
    cwd: str
    environment: dict[str, str]


class Started:
    """A running program, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, connection: socket.socket) -> None:
        self.returncode: int | None = None
        self._connection = connection
        self._replies = connection.makefile()
        connection.settimeout(_STARTED_S)
        self.pid = int(self._replies.readline())
        connection.settimeout(None)

    def poll(self) -> int | None:
        """Return the exit code, or None while the program runs."""
        if self.returncode is None and select.select([self._connection], [], [], 0)[0]:
            self.returncode = int(self._replies.readline())
            self._replies.close()  # it holds the socket open
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the program exits; return the exit code.

        Raises:
            subprocess.TimeoutExpired: If the program runs longer than `timeout` seconds.
        """
        if self.returncode is None:
            select.select([self._connection], [], [], timeout)
        code = self.poll()
        if code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the program has exited."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


class WarmPython:
    """The process that programs are forked from; it starts with the first program."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="warm-python-")
        self._process: subprocess.Popen[bytes] | None = None
        self._path = str(Path(self._folder.name) / "socket")

    def start(
        self,
        *arguments: object,
        cwd: Path = ROOT,
        environment: Mapping[str, str] | None = None,
        stdout: Any = None,
        stderr: Any = None,
    ) -> Started:
        """Start a program.

        Args:
            arguments: As for `python`: a script, or `-m` and a module, and its arguments.
            cwd: Working directory of the program.
            environment: Environment of the program; None for that of this process.
            stdout: A file; None for that of this process.
            stderr: The same.
        """
        if self._process is None:
            self._process = self._begin()
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(self._path)
        words = [str(argument) for argument in arguments]
        request = _Request(words, str(cwd), dict(environment or os.environ))
        streams = [
            os.open(os.devnull, os.O_RDONLY),
            1 if stdout is None else stdout.fileno(),
            2 if stderr is None else stderr.fileno(),
        ]
        try:
            socket.send_fds(connection, [json.dumps(request).encode() + b"\n"], streams)
        finally:
            os.close(streams[0])
        return Started(connection)

    def run(
        self, *arguments: object, cwd: Path, environment: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, as `subprocess.run` does with `capture_output`."""
        with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
            program = self.start(
                *arguments, cwd=cwd, environment=environment, stdout=stdout, stderr=stderr
            )
            try:
                code = program.wait(timeout)
            except subprocess.TimeoutExpired:
                program.kill()
                raise
            for stream in (stdout, stderr):
                stream.seek(0)
            return subprocess.CompletedProcess(
                list(map(str, arguments)), code, stdout.read(), stderr.read()
            )

    def close(self) -> None:
        """Stop the process; running programs continue."""
        if self._process is not None:
            self._process.communicate()
        self._folder.cleanup()

    def _begin(self) -> subprocess.Popen[bytes]:
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(self._path)
            listening.listen()  # connections wait in the backlog while the libraries are imported
            return subprocess.Popen(
                [sys.executable, "-m", "tests.warm_python", str(listening.fileno())],
                stdin=subprocess.PIPE,
                cwd=ROOT,
                env={**os.environ, "OMP_NUM_THREADS": "1"},
                pass_fds=[listening.fileno()],
            )


@contextmanager
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    """Open a pipe: a file to read a program's output, and the file that the program writes to."""
    reading, writing = os.pipe()
    with open(reading) as output, open(writing, "w") as out:
        yield output, out


def _serve(listening: socket.socket) -> _Request | None:
    """Fork a process for each connection until stdin ends.

    Returns:
        In the process of a program, its request; None in the server process at its end.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # no zombies: no process waits for the children
    while True:
        readable, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in readable:
            return None
        connection, _ = listening.accept()
        if not os.fork():
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _fork_program(connection)
        connection.close()


def _fork_program(connection: socket.socket) -> _Request:
    """Fork the program, and report its PID and exit code; return only in the program's process."""
    data, streams, _, _ = socket.recv_fds(connection, _MOST_BYTES, 3)
    while not data.endswith(b"\n"):
        data += connection.recv(_MOST_BYTES)
    pid = os.fork()
    if not pid:
        for to, stream in enumerate(streams):
            os.dup2(stream, to)
            os.close(stream)
        connection.close()
        return _Request(*json.loads(data))
    for stream in streams:
        os.close(stream)
    connection.sendall(f"{pid}\n".encode())
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    with suppress(OSError):  # the process that started it has exited
        connection.sendall(f"{code}\n".encode())
    os._exit(0)


def _run(request: _Request) -> None:
    """Run a program as the interpreter does."""
    os.chdir(request.cwd)
    os.environ.clear()
    os.environ.update(request.environment)
    # As in the interpreter: stderr is line-buffered, and writing to it raises no encoding error.
    sys.stdin, sys.stdout = os.fdopen(0), os.fdopen(1, "w")
    sys.stderr = os.fdopen(2, "w", 1, errors="backslashreplace")
    program, *arguments = request.arguments
    if program == "-m":
        module, *arguments = arguments
        sys.argv, sys.path[0] = [module, *arguments], request.cwd
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = request.arguments, str(Path(program).parent)
        runpy.run_path(program, run_name="__main__")


def _main() -> None:
    listening = socket.socket(fileno=int(sys.argv[1]))
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()  # a collection would write to, and so copy, all memory pages of the imports
    request = _serve(listening)
    if request is not None:
        _run(request)


if __name__ == "__main__":
    _main()
