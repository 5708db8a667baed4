"""Shared memory in two mappings."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from server.pool.shared_block import SharedBlock

FOLDER = Path("/dev/shm")
ATTACHING = """
import os, resource, signal, sys
from server.pool.shared_block import SharedBlock

name, ending = sys.argv[1:]
if ending == "no memory":
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    used = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (used + (8 << 20), most))
    try:
        SharedBlock.attach(name)
    except OSError as exc:
        sys.exit(exc.errno)
block = SharedBlock.attach(name)
if ending == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


def attach_in_a_process(block: SharedBlock, ending: str) -> int:
    """Attach a block in a process with its own resource tracker; return its exit code."""
    command = [sys.executable, "-c", ATTACHING, block.name, ending]
    return subprocess.run(command, timeout=30, check=False).returncode


def test_what_one_mapping_writes_the_other_reads() -> None:
    ours = SharedBlock.create(100)
    theirs = SharedBlock.attach(ours.name)
    theirs.buffer[3] = 42
    assert ours.buffer[3] == 42
    theirs.close()
    ours.close()


def test_only_closing_the_owned_block_frees_its_memory() -> None:
    ours = SharedBlock.create(100)
    SharedBlock.attach(ours.name).close()
    SharedBlock.attach(ours.name).close()
    ours.close()
    with pytest.raises(FileNotFoundError):
        SharedMemory(ours.name)


def test_a_block_that_was_removed_is_closed_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ours = SharedBlock.create(100)
    remover = SharedMemory(ours.name)
    remover.unlink()
    remover.close()
    ours.close()
    assert f"shared memory {ours.name} had been removed already" in caplog.text


def test_a_process_that_cannot_map_a_block_does_not_remove_it() -> None:
    ours = SharedBlock.create(64 << 20)
    assert attach_in_a_process(ours, "no memory") == errno.ENOMEM
    assert (FOLDER / ours.name).exists()
    ours.close()


@pytest.mark.parametrize("ending", ["killed", "exits"])
def test_a_process_that_exits_does_not_remove_the_blocks_it_has_attached(ending: str) -> None:
    ours = SharedBlock.create(100)
    code = attach_in_a_process(ours, ending)
    assert code == (-signal.SIGKILL if ending == "killed" else 0)
    assert (FOLDER / ours.name).exists()
    ours.close()


def test_a_closed_block_can_be_closed_again() -> None:
    ours = SharedBlock.create(100)
    theirs = SharedBlock.attach(ours.name)
    theirs.close()
    theirs.close()
    ours.close()
