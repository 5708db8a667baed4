"""Supervision of one worker: starts its process, monitors it and replaces it when it dies."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, Protocol

from server.pool.interface import EngineFactory
from server.pool.jobs import (
    AttachSlots,
    Broken,
    BuildFailed,
    DetachSlots,
    Job,
    JobDone,
    JobFailed,
    LoadJob,
    Ping,
    Pong,
    Ready,
    RefreshJob,
    SlotHandle,
    SlotsDetached,
    Stop,
    ToWorker,
)
from server.pool.supervised_process import SupervisedProcess
from server.pool.worker import WorkerSettings, run

logger = logging.getLogger(__name__)

WorkerState = Literal["starting", "idle", "busy", "dead", "stopped"]


def is_ready(state: WorkerState) -> bool:
    """Return whether a worker in this state accepts jobs, at once or after its current one."""
    return state in ("idle", "busy")


@dataclass(frozen=True)
class Timeouts:
    """Timeouts after which a worker process is killed, and delays between restarts."""

    start_s: float = 120.0
    """Building an engine: imports, loading weights, compiling kernels; also loading one avatar."""
    stall_s: float = 20.0
    """Building an engine without any use of processor time, as of a stopped process: imports,
    loading and compilers use some in every second, even from a slow disk."""
    job_s: float = 10.0
    """One job. A full render takes well below one second even on a slow machine."""
    warp_s: float = 2.0
    """Any message from a device process that makes frames or has been sent a ping: a frame takes
    some milliseconds, and its viewers see no other meanwhile."""
    ping_s: float = 5.0
    """Interval of keepalive pings to an idle worker."""
    pong_s: float = 5.0
    """Answer to a ping."""
    stop_s: float = 1.0
    """Exit after `Stop`."""
    stable_s: float = 10.0
    """A process that lived this long and finished a job does not count as failed; the next one
    starts at once."""
    backoff_s: float = 0.5
    """Delay before the second restart after consecutive failures; doubles with each further one."""
    max_backoff_s: float = 30.0

    def backoff_delay_s(self, failures: int) -> float:
        """Return the delay before the next start after this number of consecutive failures."""
        if failures <= 1:
            return 0.0
        return min(self.backoff_s * 2.0 ** (failures - 2), self.max_backoff_s)


class WorkerEvents(Protocol):
    """Callbacks of a worker to its owner, on the event loop."""

    def worker_ready(self, worker: Worker) -> None:
        """A new process is ready for jobs."""

    def worker_done(self, worker: Worker, job: Job, reply: JobDone | JobFailed) -> None:
        """A job is done or has failed; the worker is free, possibly after a pause."""

    def worker_rested(self, worker: Worker) -> None:
        """The pause after a refresh is over; the worker is free."""

    def worker_died(self, worker: Worker, job: Job | None) -> None:
        """The process has ended while busy with `job`; it no longer writes to shared memory."""

    def handle_orphaned(self, worker: Worker, handle: SlotHandle) -> None:
        """A handle was sent to a process that has ended, or did not open it."""


class Worker:
    """A worker of the pool; each of its processes replaces the one before.

    Args:
        settings: Settings of its processes.
        factory: Builds their engines.
        events: Receives the callbacks.
        timeouts: When to kill a process.
        clock: Measures these times, seconds; stands still while this process does not run.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        factory: EngineFactory,
        events: WorkerEvents,
        timeouts: Timeouts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = settings.name
        self.device = settings.device
        self.state: WorkerState = "starting"
        self.pid: int | None = None
        self.restarts = 0
        self.last_refresh_ms: float | None = None
        self.last_refresh_size = 0
        """Rows of the frames of that refresh."""
        self.problem: str | None = None
        """Why the last process ended; None once another process is ready."""
        self._log_ids = {"worker": self.name}
        self._settings = settings
        self._factory = factory
        self._events = events
        self._timeouts = timeouts
        self._clock = clock
        self._process: SupervisedProcess | None = None
        self._job: Job | None = None
        self._handles: dict[int, SlotHandle] = {}
        """Handles, by slots, that the current process holds or is about to open."""
        self._rest_timer: asyncio.TimerHandle | None = None
        self._ping_timer: asyncio.TimerHandle | None = None
        self._stopping = asyncio.Event()
        self._finished = 0
        """Number of jobs that the current process has finished."""
        self._failures = 0
        """Number of consecutive processes that were not stable (`Timeouts.stable_s`)."""

    @property
    def failing(self) -> bool:
        """Whether no process is ready and several in a row have failed."""
        return self._failures > 1 and not self.ready

    @property
    def ready(self) -> bool:
        """Whether a process accepts jobs, at once or after its current one."""
        return is_ready(self.state)

    @property
    def free(self) -> bool:
        """Whether it accepts a job at once."""
        return self.state == "idle" and self._rest_timer is None

    async def run(self) -> None:
        """Run one process after the other until `stop`."""
        while not self._stopping.is_set():
            await self._run_process()
            if not self._stopping.is_set():
                self.restarts += 1
                await self._back_off()
        self.state = "stopped"

    def assign(self, job: Job) -> None:
        """Send a job to the worker, which must be free."""
        assert self.free
        self.state, self._job = "busy", job
        timeouts = self._timeouts
        if isinstance(job, LoadJob):
            self._set_deadline(
                timeouts.start_s, "took too long to load an avatar", timeouts.stall_s
            )
        else:
            self._set_deadline(timeouts.job_s, f"hung for {timeouts.job_s:g} s on a job")
        self.send(job)

    def send(self, message: ToWorker) -> None:
        """Send a message; dropped while no process runs."""
        if self._process is None:
            return
        match message:
            case AttachSlots():
                self._handles[message.slots_id] = message.handle
            case DetachSlots() if message.slots_id not in self._handles:
                return  # closed before a handle of theirs was exported
        self._process.send(message)

    def stop(self) -> None:
        """Make `run` return: send `Stop` to the process, and kill it after a timeout."""
        self._stopping.set()
        if self.state == "starting":
            self._kill("stopped while starting")
        else:
            self._set_deadline(self._timeouts.stop_s, "did not stop in time")
            self.send(Stop())

    async def _run_process(self) -> None:
        """Run one process from its start to its end."""
        began = time.monotonic()
        self.state, self._finished = "starting", 0
        try:
            await self._start_and_wait()
        except OSError as exc:
            self.problem = f"the process could not be started: {exc}"
            logger.error("%s: %s", self.name, self.problem, extra=self._log_ids)
        finally:
            await self._clean_up()
        stable = time.monotonic() - began >= self._timeouts.stable_s
        self._failures = 0 if stable and self._finished else self._failures + 1

    async def _start_and_wait(self) -> None:
        process = SupervisedProcess(self.name, self._on_message, self._clock)
        self._process = process
        await process.start(run, self._settings, self._factory)
        self.pid = process.pid
        timeouts = self._timeouts
        self._set_deadline(timeouts.start_s, "took too long to start", timeouts.stall_s)
        if self._stopping.is_set():
            self._kill("stopped while starting")
        await process.wait()

    async def _clean_up(self) -> None:
        """Make sure that the process has ended, release its resources and notify the owner."""
        for timer in (self._rest_timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        self._rest_timer = self._ping_timer = None
        process = self._process
        reason = await process.finish() if process is not None else None
        if reason is not None and not self._stopping.is_set():
            self.problem = reason
            logger.warning(
                "%s (process %d): %s", self.name, self.pid or 0, reason, extra=self._log_ids
            )
        job, self._job, self._process, self.pid = self._job, None, None, None
        self.state = "dead"
        # Before the next process can be sent handles of its own.
        handles, self._handles = self._handles, {}
        for handle in handles.values():
            self._events.handle_orphaned(self, handle)
        self._events.worker_died(self, job)

    async def _back_off(self) -> None:
        """Wait before the next start, for longer after more consecutive failures."""
        seconds = self._timeouts.backoff_delay_s(self._failures)
        if not seconds:
            return
        logger.info("%s: next start in %.1f s", self.name, seconds, extra=self._log_ids)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _on_message(self, message: object) -> None:
        match message:
            case Ready():
                self._clear_deadline()
                self.state, self.problem = "idle", None
                logger.info("%s (process %d) is ready", self.name, message.pid, extra=self._log_ids)
                self._ping_later()
                self._events.worker_ready(self)
            case BuildFailed():
                self._note_end(f"the engine could not be built: {message.reason}")
            case Broken():
                self._note_end(f"the engine broke: {message.reason}")
            case SlotsDetached():
                handle = self._handles.pop(message.slots_id)
                if not message.opened:
                    self._events.handle_orphaned(self, handle)
            case Pong():
                self._on_pong()
            case JobDone() | JobFailed():
                self._finish(message)
            case _:
                raise AssertionError(f"unknown message {message!r}")

    def _finish(self, reply: JobDone | JobFailed) -> None:
        job, self._job = self._job, None
        assert job is not None
        assert job.id == reply.job_id
        self._clear_deadline()
        self.state = "idle"
        self._finished += 1
        if isinstance(job, RefreshJob) and isinstance(reply, JobDone):
            self.last_refresh_ms, self.last_refresh_size = reply.elapsed_ms, job.size
            # First, because `worker_done` assigns the next job to every worker that does not rest.
            self._rest(self._settings.rest * reply.elapsed_ms / 1000)
        self._events.worker_done(self, job, reply)

    def _rest(self, seconds: float) -> None:
        if seconds > 0:
            self._rest_timer = asyncio.get_running_loop().call_later(seconds, self._rested)

    def _rested(self) -> None:
        self._rest_timer = None
        if self.free:
            self._events.worker_rested(self)

    def _ping_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._ping_timer = loop.call_later(self._timeouts.ping_s, self._ping)

    def _ping(self) -> None:
        """Check that an idle process still responds; a busy one has the deadline of its job."""
        self._ping_later()
        if self.state == "idle" and self._process is not None and not self._process.has_deadline:
            seconds = self._timeouts.pong_s
            self._set_deadline(seconds, f"hung: no answer for {seconds:g} s")
            self.send(Ping())

    def _on_pong(self) -> None:
        if self._job is None and not self._stopping.is_set():  # both have their own deadlines
            self._clear_deadline()

    def _set_deadline(self, seconds: float, reason: str, stall_s: float | None = None) -> None:
        """Kill the process unless `_clear_deadline` is called in time."""
        if self._process is not None:
            self._process.set_deadline(seconds, reason, stall_s)

    def _clear_deadline(self) -> None:
        if self._process is not None:
            self._process.clear_deadline()

    def _kill(self, reason: str) -> None:
        if self._process is not None:
            self._process.kill(reason)

    def _note_end(self, reason: str) -> None:
        if self._process is not None:
            self._process.end_reason = reason
