"""Start a server to measure, and read its use of CPU and memory."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.request import urlopen

from server.pool.process_tree import children

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@contextmanager
def serve(*arguments: str, log: IO[bytes] | None = None) -> Iterator[tuple[str, int]]:
    """Start a server on a free port; yields its address and process id.

    Args:
        arguments: Its options.
        log: File for its log; by default standard error.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "server", "--port", "0", *arguments],
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()  # printed when the server is ready
        address = next((word for word in line.split() if word.startswith("http")), None)
        if address is None:
            raise SystemExit("benchmark: the server did not start")
        with urlopen(f"{address}/readyz", timeout=30):
            pass
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


def cpu_s(pid: int, thread: int | None = None) -> float:
    """Return the CPU seconds that a process, or one of its threads, has used."""
    folder = f"/proc/{pid}" if thread is None else f"/proc/{pid}/task/{thread}"
    # The program's name, in parentheses, may contain spaces; utime and stime are the 12th and 13th
    # fields after it (man 5 proc).
    fields = Path(f"{folder}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def memory_mb(pid: int) -> dict[str, int]:
    """Return the memory of server and workers in MB; shared pages are divided among processes."""
    return {
        "server": _proportional_mb(pid),
        "workers": sum(_proportional_mb(child) for child in children(pid)),
    }


def _proportional_mb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / 1024)
    raise RuntimeError(f"process {pid} has no Pss line")
