"""The server with the fake engine as a separate process, which ends with the test."""

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
    """A running server process."""

    process: subprocess.Popen[str]
    said: str
    """The line that it prints when it is ready."""

    @property
    def url(self) -> str:
        return self.said.split()[-1]


def source(setup: str = "", engine: str = "FakeEngineFactory()") -> str:
    """Return the source of the program.

    Args:
        setup: Statements that run before the start.
        engine: Expression for the engine factory.
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
    """Start the program on a free port; kill it at the end of the block if it still runs.

    Args:
        program: Source of the program.
        options: Options of the server.
        group: Process group; 0 for a new one.
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
