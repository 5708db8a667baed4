"""Keeps one worker alive: starts its process, watches it, and starts another when it dies."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from typing import Literal, Protocol

from server.pool.channel import PoolChannel
from server.pool.interface import EngineFactory
from server.pool.jobs import (
    Broken,
    BuildFailed,
    Job,
    JobDone,
    JobFailed,
    Ping,
    Pong,
    Ready,
    RefreshJob,
    Stop,
    ToWorker,
)
from server.pool.worker import WorkerSettings, run

logger = logging.getLogger(__name__)

WorkerState = Literal["starting", "idle", "busy", "dead", "stopped"]


def is_ready(state: WorkerState) -> bool:
    """Whether a worker in this state takes jobs, now or when it is done with one."""
    return state in ("idle", "busy")


@dataclass(frozen=True)
class Timeouts:
    """How long a worker may take before it is given up."""

    start_s: float = 120.0
    """Building an engine: imports, weights, compiling kernels."""
    job_s: float = 10.0
    """One job; a slow machine needs well below a second for a full render."""
    ping_s: float = 5.0
    """An idle worker is asked so often whether it is still there."""
    pong_s: float = 5.0
    """Answering that; it has nothing else to do."""
    stop_s: float = 1.0
    """Ending when told to."""
    settled_s: float = 10.0
    """A worker that lived this long and finished a job has not failed: the next starts at once."""
    backoff_s: float = 0.5
    """Before the second restart after failures in a row; doubles with each further one."""
    longest_backoff_s: float = 30.0

    def wait_s(self, failures: int) -> float:
        """How long to wait before the next start after so many failures in a row."""
        if failures <= 1:
            return 0.0
        return min(self.backoff_s * 2.0 ** (failures - 2), self.longest_backoff_s)


class WorkerEvents(Protocol):
    """What a worker's owner learns from it, on the event loop."""

    def worker_ready(self, worker: Worker) -> None:
        """A process of it is ready for jobs."""

    def worker_done(self, worker: Worker, job: Job, reply: JobDone | JobFailed) -> None:
        """It finished or failed a job and is free, or rests first."""

    def worker_rested(self, worker: Worker) -> None:
        """It has rested and is free."""

    def worker_died(self, worker: Worker, job: Job | None) -> None:
        """Its process is gone for good, with what it was busy with; nothing writes any more."""


class Worker:
    """One place in the pool, filled by one process after the other.

    Args:
        settings: How its processes run.
        factory: Builds their engines.
        events: Its owner.
        patience: When to give a process up.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        factory: EngineFactory,
        events: WorkerEvents,
        patience: Timeouts,
    ) -> None:
        self.name = settings.name
        self.device = settings.device
        self.state: WorkerState = "starting"
        self.pid: int | None = None
        self.restarts = 0
        self.last_refresh_ms: float | None = None
        self.problem: str | None = None
        """Why the last process ended, until another one is ready."""
        self._log_ids = {"worker": self.name}
        self._settings = settings
        self._factory = factory
        self._events = events
        self._patience = patience
        self._channel: PoolChannel | None = None
        self._process: BaseProcess | None = None
        self._job: Job | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._pinging: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()
        self._finished = 0
        """Jobs of the present process."""
        self._failures = 0
        """Processes in a row that died young or before they had finished anything."""
        self._end: str | None = None

    @property
    def failing(self) -> bool:
        """Whether it has no process that is ready, and the last ones failed."""
        return self._failures > 1 and not self.ready

    @property
    def ready(self) -> bool:
        """Whether it has a process that takes jobs, now or when it is done with one."""
        return is_ready(self.state)

    @property
    def free(self) -> bool:
        """Whether it takes a job now."""
        return self.state == "idle" and self._resting is None

    async def run(self) -> None:
        """Keep a process alive until `stop`."""
        while not self._stopping.is_set():
            await self._live_once()
            if not self._stopping.is_set():
                self.restarts += 1
                await self._back_off()
        self.state = "stopped"

    def give(self, job: Job) -> None:
        """Let the free worker do a job."""
        assert self.free
        self.state, self._job = "busy", job
        self._expect_within(self._patience.job_s, f"hung for {self._patience.job_s:g} s on a job")
        self.send(job)

    def send(self, message: ToWorker) -> None:
        """Send a message that has no reply; nothing happens while there is no process."""
        if self._channel is not None:
            self._channel.send(message)

    def stop(self) -> None:
        """Let `run` end: politely when the worker listens, with force when it does not."""
        self._stopping.set()
        if self.state == "starting":
            self._kill("stopped while starting")
        else:
            self._expect_within(self._patience.stop_s, "did not stop when told to")
            self.send(Stop())

    async def _live_once(self) -> None:
        """One process, from its start to its end."""
        began = time.monotonic()
        self.state, self._end, self._finished = "starting", None, 0
        try:
            await self._start_and_wait()
        except OSError as exc:
            self.problem = f"the process could not be started: {exc}"
            logger.error("%s: %s", self.name, self.problem, extra=self._log_ids)
        finally:
            await self._clear_away()
        settled = time.monotonic() - began >= self._patience.settled_s
        self._failures = 0 if settled and self._finished else self._failures + 1

    async def _start_and_wait(self) -> None:
        gone = asyncio.Event()
        ours, theirs = socket.socketpair()
        context = multiprocessing.get_context("spawn")
        with theirs:
            self._channel = await PoolChannel.open(ours, self._on_message, gone.set)
            self._process = context.Process(
                target=run,
                args=(self._settings, self._factory, theirs),
                name=self.name,
                daemon=True,
            )
            # Spawning takes milliseconds, which other viewers' frames must not wait for.
            await asyncio.get_running_loop().run_in_executor(None, self._process.start)
        self.pid = self._process.pid
        self._expect_within(self._patience.start_s, "took too long to start")
        if self._stopping.is_set():
            self._kill("stopped while starting")
        await gone.wait()

    async def _clear_away(self) -> None:
        """Make sure the process is gone and leave nothing of it open; then tell the owner."""
        self._expect_nothing()
        for timer in (self._resting, self._pinging):
            if timer is not None:
                timer.cancel()
        self._resting = self._pinging = None
        process, self._process = self._process, None
        if process is not None and process.pid is not None:
            process.kill()
            await asyncio.get_running_loop().run_in_executor(None, process.join)
            if not self._stopping.is_set():
                self.problem = self._end or f"the process ended with code {process.exitcode}"
                logger.warning(
                    "%s (process %d): %s",
                    self.name,
                    process.pid,
                    self.problem,
                    extra=self._log_ids,
                )
            if process.exitcode is not None:
                process.close()
        if self._channel is not None:
            self._channel.close()
        job, self._job, self._channel, self.pid = self._job, None, None, None
        self.state = "dead"
        self._events.worker_died(self, job)

    async def _back_off(self) -> None:
        """Wait before the next start, the longer the more failures there were in a row."""
        seconds = self._patience.wait_s(self._failures)
        if not seconds:
            return
        logger.info("%s: next start in %.1f s", self.name, seconds, extra=self._log_ids)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _on_message(self, message: object) -> None:
        match message:
            case Ready():
                self._expect_nothing()
                self.state, self.problem = "idle", None
                logger.info("%s (process %d) is ready", self.name, message.pid, extra=self._log_ids)
                self._ping_later()
                self._events.worker_ready(self)
            case BuildFailed():
                self._end = f"the engine could not be built: {message.reason}"
            case Broken():
                self._end = f"the engine broke: {message.reason}"
            case Pong():
                self._note_pong()
            case JobDone() | JobFailed():
                self._finish(message)
            case _:
                raise AssertionError(f"unknown message {message!r}")

    def _finish(self, reply: JobDone | JobFailed) -> None:
        job, self._job = self._job, None
        assert job is not None
        assert job.id == reply.job_id
        self._expect_nothing()
        self.state = "idle"
        self._finished += 1
        if isinstance(job, RefreshJob) and isinstance(reply, JobDone):
            self.last_refresh_ms = reply.elapsed_ms
            self._rest(self._settings.rest * reply.elapsed_ms / 1000)
        self._events.worker_done(self, job, reply)

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            self._resting = asyncio.get_running_loop().call_later(seconds, self._rested)

    def _rested(self) -> None:
        self._resting = None
        if self.free:
            self._events.worker_rested(self)

    def _ping_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._pinging = loop.call_later(self._patience.ping_s, self._ping)

    def _ping(self) -> None:
        """Find out whether an idle process still listens; a busy one has its job's deadline."""
        self._ping_later()
        if self.state == "idle" and self._deadline is None:
            seconds = self._patience.pong_s
            self._expect_within(seconds, f"hung: no answer for {seconds:g} s")
            self.send(Ping())

    def _note_pong(self) -> None:
        if self._job is None and not self._stopping.is_set():  # those have deadlines of their own
            self._expect_nothing()

    def _expect_within(self, seconds: float, otherwise: str) -> None:
        """Kill the process unless `_expect_nothing` is called in time."""
        self._expect_nothing()
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(seconds, self._kill, otherwise)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _kill(self, why: str) -> None:
        if self._process is not None and self._process.pid is not None:
            self._end = why
            self._process.kill()
