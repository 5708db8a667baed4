"""The render pool: workers that fill caches, lines that hold them, threads that warp them.

Lives on the event loop; everything here returns at once or is awaited. Newest wins: a line has at
most one refresh under way and one request waiting, whose state is taken when a worker is free.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from server.errors import AvatarNotFoundError, NotReadyError, PoolBusyError, RenderError
from server.logs import LogFormat
from server.pool.cache_slots import CacheSlots, CacheView, FrameSequence
from server.pool.frame import Frame
from server.pool.interface import DeviceMemory, EngineFactory
from server.pool.jobs import (
    AttachImage,
    AttachSlots,
    DetachSlots,
    Job,
    JobDone,
    JobFailed,
    RefreshJob,
    RenderJob,
    RenderMode,
)
from server.pool.placing import DeviceLoad, choose_device, lost_devices
from server.pool.scheduler import Scheduler
from server.pool.sizing import available_cores, default_size
from server.pool.slot_memory import SharedBlock
from server.pool.supervisor import Timeouts, Worker, WorkerState, is_ready
from server.pool.warping import WarpThread, WarpTrial
from server.pool.worker import WorkerSettings
from server.protocol.states import FrameInputs

logger = logging.getLogger(__name__)

__all__ = [
    "CacheSlots",
    "CacheView",
    "FrameSequence",
    "PoolSettings",
    "PoolStatus",
    "RenderPool",
]

_TRIES = 2
"""A picture whose worker died is rendered once more; then it is taken for the cause."""


@dataclass(frozen=True)
class PoolSettings:
    """How the pool is laid out."""

    devices: str = "auto"
    """`auto` (all CUDA devices, else the CPU), `cpu`, `cuda`, or such as `cuda:0,cuda:1`."""
    workers: int | None = None
    """Per device; None for what suits the machine."""
    threads: int | None = None
    """Per CPU worker; None for what suits the machine."""
    max_waiting_renders: int = 8
    """More whole pictures waiting are refused."""
    render_timeout_s: float = 20.0
    """Whole pictures that take longer are given up."""
    niceness: int = 10
    """Of CPU workers, so that warp and encoder win the core."""
    rest: float = 1.0
    """How long CPU workers pause after each refresh, in durations of the refresh. Even at low
    priority they take memory bandwidth (and, where cores are shared, half a core) from the warp,
    whose pictures lose next to nothing by an older cache. A measured trade: see the README."""
    log_level: int = logging.INFO
    log_format: LogFormat = "text"
    patience: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True)
class WorkerStatus:
    """One worker, as seen now."""

    name: str
    device: str
    pid: int | None
    state: WorkerState
    restarts: int
    last_refresh_ms: float | None
    problem: str | None
    """Why its last process ended, until another one is ready."""

    @property
    def ready(self) -> bool:
        """Whether it takes jobs, now or when it is done with one."""
        return is_ready(self.state)


@dataclass(frozen=True)
class PoolStatus:
    """The pool, as seen now."""

    ready: bool
    reason: str | None
    """Why it is not ready."""
    workers: tuple[WorkerStatus, ...]
    lines: int
    refreshes: int
    """Caches made since the start."""
    renders: int
    """Whole pictures made since the start."""
    waiting_lines: int
    waiting_renders: int


@dataclass(eq=False)
class _Ticket:
    """A whole picture somebody waits for."""

    job: RenderJob
    done: asyncio.Future[RgbImage]
    tries: int = field(default=0)


class RenderPool:
    """Workers, lines and warp threads of one host.

    Args:
        settings: How it is laid out.
        factory: Builds the engines, here for the warp and in every worker.
    """

    def __init__(self, settings: PoolSettings, factory: EngineFactory) -> None:
        self._settings = settings
        self._factory = factory
        self._avatars: Mapping[str, AvatarInfo] = {}
        self._workers: list[Worker] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._warps: dict[str, WarpThread] = {}
        self._lines: dict[int, CacheSlots] = {}
        self._pictures: dict[str, SharedBlock] = {}
        self._scheduler: Scheduler[_Ticket] = Scheduler(settings.max_waiting_renders)
        self._under_way: dict[int, CacheSlots | _Ticket] = {}
        self._ids = itertools.count(1)
        self._has_ready = asyncio.Event()
        self._open = False
        self._refreshes = 0
        self._renders = 0

    async def start(self) -> None:
        """Start the workers, and load the avatars here for the warp. Does not wait for workers.

        Raises:
            Exception: Whatever the factory raises when the avatars cannot be loaded here.
            PoolBusyError: If there is no shared memory for whole pictures.
        """
        loop = asyncio.get_running_loop()
        devices = await loop.run_in_executor(None, self._factory.devices, self._settings.devices)
        self._workers = [worker for device in devices for worker in self._make_workers(device)]
        self._keepers = [asyncio.create_task(worker.run()) for worker in self._workers]
        self._warps = {device: WarpThread(device, self._factory) for device in devices}
        try:
            await asyncio.gather(*(warp.build() for warp in self._warps.values()))
            self._avatars = self._warps[devices[0]].engine.avatars
            self._make_pictures()
        except BaseException:
            await self.close()
            raise
        self._open = True
        for worker in self._workers:
            if worker.state == "idle":
                self.worker_ready(worker)

    async def close(self) -> None:
        """End everything; afterwards no process, thread or shared memory of the pool is left."""
        self._open = False
        lines = tuple(self._lines.values())
        for line in lines:
            line.close()
        for worker in self._workers:
            worker.stop()
        await asyncio.gather(*self._keepers)
        for warp in self._warps.values():
            warp.close()
        for line in lines:
            line.settle()
        for ticket in self._scheduler.drain():
            _fail(ticket, "the pool is closing")
        for picture in self._pictures.values():
            picture.close()
        self._pictures.clear()

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """The avatars that can be rendered, by id; empty before `start`."""
        return MappingProxyType(self._avatars)

    @property
    def ready(self) -> bool:
        """Whether at least one worker takes jobs."""
        return self._open and any(worker.ready for worker in self._workers)

    @property
    def failing(self) -> bool:
        """Whether every worker has failed more than once in a row: waiting will hardly help."""
        return not self.ready and all(worker.failing for worker in self._workers)

    @property
    def reason(self) -> str | None:
        """Why the pool is not ready; None where it is."""
        if self.ready:
            return None
        problems = [f"{w.name}: {w.problem}" for w in self._workers if w.problem]
        return "; ".join(problems) if problems else "the render workers are still starting"

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait for the first worker.

        Raises:
            NotReadyError: If there is none after `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_ready.wait()
        except TimeoutError as exc:
            raise NotReadyError(self.reason or "no worker is ready") from exc

    def open_slots(self, avatar_id: str) -> CacheSlots:
        """Open a line of caches on the device that suits; close it with `line.close()`.

        Raises:
            AvatarNotFoundError: If there is no such avatar.
            PoolBusyError: If there is no memory left for its caches.
        """
        self._find_avatar(avatar_id)
        warp = self._warps[choose_device(self._loads())]
        memory = warp.engine.allocate(avatar_id)
        line = CacheSlots(next(self._ids), avatar_id, warp.device, memory, self._line_changed)
        warp.lines += 1
        self._lines[line.id] = line
        for worker in self._workers:
            if _listens(worker, line.device):
                _attach(worker, line)
        return line

    def submit_warp(
        self, line: CacheSlots, sequence: FrameSequence, sample: Callable[[], FrameInputs]
    ) -> asyncio.Future[Frame | None]:
        """Warp the newest cache of a line to the newest inputs.

        Args:
            line: Whose newest cache is warped.
            trail: The sequence that the frame belongs to: usually the line's own.
            sample: Returns the newest inputs; called in the warp thread when its turn has come.

        Returns:
            The frame, with `queue`, `raster` and `warp` of its stages; None while the line has no
            cache. RenderError if the renderer refuses the state.
        """
        return self._warps[line.device].submit(line, sequence, sample)

    async def try_warps(self, seconds: float) -> dict[str, WarpTrial]:
        """Time warps of the avatar with the largest picture, on all devices at once."""
        avatar = max(self._avatars.values(), key=lambda avatar: avatar.resolution)
        trials = await asyncio.gather(
            *(warp.try_out(avatar, seconds) for warp in self._warps.values())
        )
        return dict(zip(self._warps, trials, strict=True))

    async def render(
        self,
        avatar_id: str,
        state: FrameState,
        mode: RenderMode = "full",
        cached_state: FrameState | None = None,
    ) -> RgbImage:
        """Render one whole picture in a worker.

        Args:
            avatar_id: Whose picture.
            state: What it shows.
            mode: `full`, or `warp` from a cache made for `cached_state`.
            cached_state: `state` itself where None.

        Returns:
            (H, W, 3) uint8.

        Raises:
            AvatarNotFoundError: If there is no such avatar.
            NotReadyError: If there is no worker.
            PoolBusyError: If too many pictures wait already, or it took too long.
            RenderError: If the picture cannot be rendered.
        """
        self._find_avatar(avatar_id)
        if not self.ready:
            raise NotReadyError(self.reason or "no worker is ready")
        job = RenderJob(next(self._ids), avatar_id, state, mode, cached_state)
        ticket = _Ticket(job, asyncio.get_running_loop().create_future())
        self._scheduler.put(ticket)
        self._dispatch()
        try:
            # Not `wait_for`, which may swallow the caller's cancellation (Python 3.11).
            async with asyncio.timeout(self._settings.render_timeout_s):
                return await ticket.done
        except TimeoutError as exc:
            seconds = self._settings.render_timeout_s
            raise PoolBusyError(f"the picture was not rendered within {seconds:g} s") from exc
        finally:
            self._scheduler.discard(ticket)

    def gpu_memory(self) -> dict[str, DeviceMemory]:
        """What is in use on each GPU."""
        found = {device: self._factory.memory(device) for device in self._warps}
        return {device: memory for device, memory in found.items() if memory is not None}

    def status(self) -> PoolStatus:
        """The pool, as seen now."""
        return PoolStatus(
            ready=self.ready,
            reason=self.reason,
            workers=tuple(_status(worker) for worker in self._workers),
            lines=len(self._lines),
            refreshes=self._refreshes,
            renders=self._renders,
            waiting_lines=self._scheduler.waiting_lines,
            waiting_renders=self._scheduler.waiting_renders,
        )

    def worker_ready(self, worker: Worker) -> None:
        """Equip a fresh process with all open lines (called by its keeper)."""
        if not self._open:
            return  # `start` comes back to it once the avatars are known here
        worker.send(AttachImage(self._pictures[worker.name].name))
        for line in self._lines.values():
            if line.device == worker.device:
                _attach(worker, line)
        self._has_ready.set()
        self._dispatch()

    def worker_done(self, worker: Worker, job: Job, reply: JobDone | JobFailed) -> None:
        """Hand on what a worker finished, and give it the next (called by its keeper)."""
        match self._under_way.pop(job.id):
            case CacheSlots() as line:
                self._finish_refresh(line, reply)
            case _Ticket() as ticket:
                self._finish_render(ticket, worker, reply)
        self._dispatch()

    def worker_rested(self, worker: Worker) -> None:
        """Give a worker something to do again (called by its keeper)."""
        self._dispatch()

    def worker_died(self, worker: Worker, job: Job | None) -> None:
        """Let another worker do what this one left (called by its keeper)."""
        if not self.ready:
            self._has_ready.clear()
        match self._under_way.pop(job.id) if job is not None else None:
            case CacheSlots() as line:
                self._retry(line)
            case _Ticket() as ticket if ticket.tries < _TRIES and self._open:
                self._scheduler.put_back(ticket)
            case _Ticket() as ticket:
                _fail(ticket, f"the worker died while rendering it ({worker.problem})")
        self._lose_lines()
        self._dispatch()

    def _make_workers(self, device: str) -> list[Worker]:
        size = default_size(device, available_cores())
        on_cpu = device == "cpu"
        return [
            Worker(
                WorkerSettings(
                    name=f"{device}-{index}" if on_cpu else f"{device}/{index}",
                    device=device,
                    threads=self._settings.threads or size.threads,
                    niceness=self._settings.niceness if on_cpu else 0,
                    rest=self._settings.rest if on_cpu else 0.0,
                    log_level=self._settings.log_level,
                    log_format=self._settings.log_format,
                ),
                self._factory,
                self,
                self._settings.patience,
            )
            for index in range(self._settings.workers or size.workers)
        ]

    def _loads(self) -> list[DeviceLoad]:
        working = {worker.device for worker in self._workers if not worker.failing}
        return [
            DeviceLoad(warp.device, warp.lines, warp.warp_ms, warp.device in working)
            for warp in self._warps.values()
        ]

    def _lose_lines(self) -> None:
        """Let the lines of a device that keeps failing go, where there is another one."""
        lost = lost_devices(self._loads()) if self._open else set()
        for line in tuple(self._lines.values()):
            if line.device in lost:
                logger.warning("line %d is lost with %s", line.id, line.device)
                line.lose()

    def _make_pictures(self) -> None:
        side = max((avatar.resolution for avatar in self._avatars.values()), default=1)
        for worker in self._workers:
            self._pictures[worker.name] = SharedBlock.create(side * side * 3)

    def _find_avatar(self, avatar_id: str) -> AvatarInfo:
        avatar = self._avatars.get(avatar_id)
        if avatar is None:
            known = ", ".join(sorted(self._avatars)) or "none"
            raise AvatarNotFoundError(f"no avatar {avatar_id!r}; there are: {known}")
        return avatar

    def _line_changed(self, line: CacheSlots) -> None:
        if not line.closed:
            self._scheduler.want(line)
            self._dispatch()
            return
        del self._lines[line.id]
        self._scheduler.forget(line)
        self._warps[line.device].lines -= 1
        for warp in self._warps.values():  # it may have followed another line's caches
            warp.close_sequence(line.sequence)
        for worker in self._workers:
            if _listens(worker, line.device):
                worker.send(DetachSlots(line.id))

    def _dispatch(self) -> None:
        """Give every idle worker what is next."""
        for worker in self._workers:
            if not worker.free or not self._open:
                continue
            match self._scheduler.next(worker.device):
                case CacheSlots() as line:
                    refresh = line.begin_refresh()
                    job = RefreshJob(next(self._ids), line.id, refresh.slot, refresh.state)
                    self._under_way[job.id] = line
                    worker.give(job)
                case _Ticket() as ticket:
                    ticket.tries += 1
                    self._under_way[ticket.job.id] = ticket
                    worker.give(ticket.job)

    def _retry(self, line: CacheSlots) -> None:
        pause_s = line.retry_refresh()
        if pause_s:
            logger.warning("line %d has cost several workers, next try in %g s", line.id, pause_s)
            asyncio.get_running_loop().call_later(pause_s, line.settle)

    def _finish_refresh(self, line: CacheSlots, reply: JobDone | JobFailed) -> None:
        if isinstance(reply, JobFailed):
            if not line.failed:  # once; from then on they are only counted
                logger.warning("a refresh of line %d failed: %s", line.id, reply.detail)
            line.fail_refresh()
            return
        self._refreshes += 1
        line.finish_refresh()

    def _finish_render(self, ticket: _Ticket, worker: Worker, reply: JobDone | JobFailed) -> None:
        if isinstance(reply, JobFailed):
            _fail(ticket, reply.detail)
            return
        self._renders += 1
        if not ticket.done.done():
            count = int(np.prod(reply.shape))
            shown = np.frombuffer(self._pictures[worker.name].buffer, np.uint8, count)
            ticket.done.set_result(shown.reshape(reply.shape).copy())


def _listens(worker: Worker, device: str) -> bool:
    return worker.device == device and worker.ready


def _attach(worker: Worker, line: CacheSlots) -> None:
    # The handle is made anew for each worker: on a GPU it can be opened only once.
    worker.send(AttachSlots(line.id, line.avatar_id, line.memory.handle))


def _fail(ticket: _Ticket, why: str) -> None:
    if not ticket.done.done():
        ticket.done.set_exception(RenderError(why))


def _status(worker: Worker) -> WorkerStatus:
    return WorkerStatus(
        name=worker.name,
        device=worker.device,
        pid=worker.pid,
        state=worker.state,
        restarts=worker.restarts,
        last_refresh_ms=worker.last_refresh_ms,
        problem=worker.problem,
    )
