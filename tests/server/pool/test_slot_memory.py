"""Slot states, and shared memory in two mappings."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
from itertools import pairwise
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

import pytest

from server.pool.slot_memory import ArraySpec, SharedBlock, SlotLayout, SlotUsage

FOLDER = Path("/dev/shm")
ATTACHING = """
import os, resource, signal, sys
from server.pool.slot_memory import SharedBlock

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


def write(usage: SlotUsage) -> int:
    slot = usage.begin_write()
    assert slot is not None
    usage.finish_write()
    return slot


def test_the_newest_slot_is_not_chosen_for_writing() -> None:
    usage = SlotUsage()
    written = [write(usage) for _ in range(4)]
    assert all(before != after for before, after in pairwise(written))
    assert usage.newest == written[-1]


def test_a_slot_being_read_is_never_written() -> None:
    usage = SlotUsage()
    write(usage)
    pinned = usage.pin_newest()
    assert pinned not in [write(usage) for _ in range(6)]
    assert pinned is not None
    usage.unpin(pinned)
    assert pinned in [write(usage) for _ in range(2)]


def test_a_reader_gets_the_newest_slot_even_while_an_older_one_is_read() -> None:
    usage = SlotUsage()
    first = write(usage)
    assert usage.pin_newest() == first
    second = write(usage)
    assert usage.pin_newest() == second


def test_no_slot_can_be_written_while_every_other_one_is_read() -> None:
    usage = SlotUsage()
    pins = []
    for _ in range(2):
        write(usage)
        pins.append(usage.pin_newest())
    write(usage)
    assert not usage.can_write
    assert usage.begin_write() is None
    assert pins[0] is not None
    usage.unpin(pins[0])
    assert usage.can_write
    assert usage.begin_write() == pins[0]


def test_one_slot_is_written_at_a_time() -> None:
    usage = SlotUsage()
    assert usage.begin_write() is not None
    assert not usage.can_write
    assert usage.begin_write() is None


def test_an_aborted_write_leaves_the_newest_slot_unchanged() -> None:
    usage = SlotUsage()
    newest = write(usage)
    usage.begin_write()
    usage.abort_write()
    assert usage.newest == newest
    assert usage.can_write


def test_no_slot_can_be_pinned_before_the_first_write() -> None:
    assert SlotUsage().pin_newest() is None


def test_memory_is_freed_only_when_no_slot_is_in_use() -> None:
    usage = SlotUsage()
    slot = write(usage)
    usage.pin_newest()
    assert not usage.retire()
    usage.begin_write()
    usage.unpin(slot)
    assert not usage.retire()
    usage.abort_write()
    assert usage.retire()
    assert usage.pin_newest() is None


def test_arrays_of_all_slots_are_aligned_and_do_not_overlap() -> None:
    layout = SlotLayout([ArraySpec("a", (3, 5), 2), ArraySpec("b", (7,), 4)])
    ends = 0
    for slot in range(3):
        for spec in layout.specs:
            begin = layout.offset(slot, spec.name)
            assert begin % 64 == 0
            assert begin >= ends
            ends = begin + spec.nbytes
    assert ends <= layout.nbytes == 3 * (64 + 64)


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
