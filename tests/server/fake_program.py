"""The server as a program of its own, with the fake engine: started, and ended with the test."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class FakeProgram:
    """A running program."""

    process: subprocess.Popen[str]
    said: str
    """The line that it printed when it was ready."""

    @property
    def url(self) -> str:
        return self.said.split()[-1]


def source(setup: str = "", engine: str = "FakeEngineFactory()") -> str:
    """Return the program's source.

    Args:
        setup: Statements before it starts.
        engine: Expression for its factory of engines.
    """
    return f"""
import sys
from server.app import pool_settings
from server.command import main
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
{setup}
if __name__ == "__main__":
    fake = lambda settings: RenderPool(pool_settings(settings), {engine})
    sys.exit(main(sys.argv[1:], fake))
"""


@contextmanager
def starting(program: str, *options: str, group: int = -1) -> Iterator[subprocess.Popen[str]]:
    """Start the program on a free port; it ends with the block at the latest.

    Args:
        program: Its source.
        options: Of the server.
        group: 0 for a process group of its own.
    """
    with subprocess.Popen(
        [sys.executable, "-c", program, "--port", "0", *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=group,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def running(program: str, *options: str, group: int = -1) -> Iterator[FakeProgram]:
    """Start the program, as `starting` does, and wait until it is ready."""
    with starting(program, *options, group=group) as process:
        assert process.stdout is not None
        yield FakeProgram(process, process.stdout.readline())
