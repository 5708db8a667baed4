"""Deadlines of processes that hang, and of those that wait for a core."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from socket import socket

import pytest

from server.pool.run_queue import used_s, waited_s
from server.pool.supervised_process import SupervisedProcess

WITH_COMPILER = """
import subprocess, sys
spin = "import os; parent = os.getppid()\\nwhile os.getppid() == parent: pass"
run = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', sys.argv[1]])"
run += "; sys.stdin.read()"
subprocess.run([sys.executable, "-c", run, spin])
"""
"""Waits for a process that has started another, which uses a core until standard input ends."""
SPIN = "import os, time; os.sched_setaffinity(0, {%d})\nwhile True: pass"


def sleep(channel: socket) -> None:
    """Hang without using a core."""
    time.sleep(60)


def count(channel: socket) -> None:
    """Use a core."""
    while True:
        pass


class FakeRunQueueWait:
    """The run queue wait of a process, seconds, which grows until `end` is called."""

    def __init__(self) -> None:
        self.since: float | None = time.monotonic()
        self._before = 0.0

    def __call__(self, pid: int) -> float:
        return self._before + (time.monotonic() - self.since if self.since is not None else 0)

    def end(self) -> None:
        self._before, self.since = self(0), None


async def test_a_process_that_hangs_is_killed_at_its_deadline() -> None:
    process = SupervisedProcess("hangs", print)
    await process.start(sleep)
    process.set_deadline(0.1, "hung for 0.1 s")
    await asyncio.wait_for(process.wait(), 30)
    assert await process.finish() == "hung for 0.1 s"


async def test_a_process_that_uses_no_processor_is_killed_before_its_deadline() -> None:
    process = SupervisedProcess("stopped", print)
    await process.start(count)
    process.set_deadline(60, "late", stall_s=0.4)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.wait(), 1.5)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGSTOP)
    await asyncio.wait_for(process.wait(), 30)
    assert await process.finish() == "late: it did not run for 0.4 s"


async def test_a_process_that_waits_for_a_core_gets_its_full_time_before_it_is_killed() -> None:
    waiting = FakeRunQueueWait()
    process = SupervisedProcess("waits", print, waited=waiting)
    await process.start(sleep)
    process.set_deadline(0.1, "hung for 0.1 s")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(process.wait(), 0.5)
    assert process.has_deadline
    waiting.end()
    await asyncio.wait_for(process.wait(), 30)
    assert await process.finish() == "hung for 0.1 s"


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="needs Linux's schedstat")
def test_the_wait_for_a_core_is_measured() -> None:
    core = min(os.sched_getaffinity(0))
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN % core]) for _ in range(2)]
    try:
        until = time.monotonic() + 30
        while min(waited_s(process.pid) for process in spinning) < 0.1:
            assert time.monotonic() < until, "both cannot have had the core the whole time"
            time.sleep(0.02)
    finally:
        for process in spinning:
            process.kill()
            process.wait()
    assert waited_s(spinning[0].pid) == 0.0, "the process has ended"


@pytest.mark.skipif(
    not os.path.exists(f"/proc/self/task/{os.getpid()}/children"),
    reason="needs Linux's list of children",
)
def test_processor_time_of_running_descendants_counts() -> None:
    process = subprocess.Popen([sys.executable, "-c", WITH_COMPILER], stdin=subprocess.PIPE)
    try:
        until = time.monotonic() + 30
        # The three interpreters take about 0.1 s to start; the last one goes on.
        while used_s(process.pid) < 0.6:
            assert time.monotonic() < until, "two processes wait, and the third one computes"
            time.sleep(0.05)
    finally:
        process.communicate(b"")
    assert math.isnan(used_s(process.pid)), "the process has ended"
