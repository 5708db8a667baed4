"""The render pool: workers that fill caches, the cache slots of viewers, and warp threads.

The pool belongs to the event loop; its methods either return at once or are awaited. Only the
newest request counts: `CacheSlots` have at most one refresh in progress and one pending request,
whose state is sampled when a worker becomes free.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from server.background import BackgroundTasks
from server.errors import (
    AvatarExistsError,
    AvatarNotFoundError,
    NotReadyError,
    PoolBusyError,
    RenderError,
)
from server.pool.added_avatars import AddedAvatar, AddedAvatars
from server.pool.cache_slots import CacheSlots, FrameSequence
from server.pool.devices import Devices
from server.pool.frame import Frame
from server.pool.interface import CPU, DeviceMemory, EngineFactory
from server.pool.jobs import (
    AttachImage,
    AttachSlots,
    DetachSlots,
    Job,
    JobDone,
    JobFailed,
    LoadJob,
    RefreshJob,
    RemoveAvatar,
    RenderJob,
    RenderMode,
    SlotHandle,
)
from server.pool.mark import Mark
from server.pool.placing import failed_devices
from server.pool.scheduler import PendingRender, Scheduler
from server.pool.settings import PoolSettings
from server.pool.slot_memory import SharedBlock
from server.pool.status import DeviceStatus, PoolStatus, WorkerStatus
from server.pool.supervisor import Worker
from server.pool.warp_benchmark import WarpBenchmark
from server.pool.warp_device import WarpDevice
from server.protocol.states import FrameInputs

logger = logging.getLogger(__name__)

_MAX_ATTEMPTS = 2
"""Workers that an image may be sent to. After two deaths the image is assumed to be the cause."""
_CLOSING_TIMEOUT_S = 10.0
"""Longest time from the end of a session to the end of its connection."""
_RENDER_TIMEOUT_S = 20.0
"""Longest time from the request of a single image to its result."""


class RenderPool:
    """Workers, cache slots and warp threads of one host.

    Args:
        settings: Devices, worker processes and limits.
        factory: Builds the engines, in this process for the warp and in every worker.
    """

    def __init__(self, settings: PoolSettings, factory: EngineFactory) -> None:
        self._settings = settings
        self._factory = factory
        self._mark = Mark(settings.mark)
        self._avatars: dict[str, AvatarInfo] = {}
        self._added = AddedAvatars()
        self._adding = asyncio.Lock()
        self._slots_closed = asyncio.Event()
        self._workers: list[Worker] = []
        self._supervision = BackgroundTasks()
        self._devices = Devices((), factory, self, settings.timeouts, self._mark)
        self._slots: dict[int, CacheSlots] = {}
        self._images: dict[str, SharedBlock] = {}
        """By worker name: shared memory that the worker writes single images to."""
        self._scheduler = Scheduler(settings.max_pending_renders)
        self._in_progress: dict[int, CacheSlots | PendingRender | LoadJob] = {}
        """By job id: what the workers are busy with."""
        self._ids = itertools.count(1)
        self._has_ready = asyncio.Event()
        self.lost = asyncio.Event()
        """Set once no device warps and this process cannot build one again."""
        self.on_devices_changed: list[Callable[[], None]] = []
        """Called after a device has failed or works again. Must not raise."""
        self._open = False
        self._refreshes = 0
        self._renders = 0

    async def start(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the workers and build the warp engines. Does not wait for the workers.

        GPUs that cannot be built are left out until they can. Where none can, device `auto` is the
        CPU.

        Args:
            clock: Measures the timeouts of the workers, seconds.

        Raises:
            Exception: Whatever the factory raises if it cannot load the avatars in this process.
            PoolBusyError: If there is no shared memory for single images.
        """
        loop = asyncio.get_running_loop()
        wanted = self._settings.devices
        names = await loop.run_in_executor(None, self._factory.devices, wanted)
        try:
            await self._start_devices(names, clock)
            self._avatars = dict(self._devices.avatars)
            self._create_image_blocks()
        except BaseException:
            await self.close()
            raise
        self._open = True
        for device in self._devices.all:
            self._supervision.start(f"keep {device.name} warping", device.run)
        for worker in self._workers:
            if worker.state == "idle":
                self.worker_ready(worker)

    async def close(self) -> None:
        """Stop all processes and threads of the pool and free its shared memory."""
        self._open = False
        open_slots = tuple(self._slots.values())
        for slots in open_slots:
            slots.close()
        self._stop_devices()
        await self._supervision.finish()
        self._devices.close()
        # The memory of slots can be freed only now that no worker writes and no warp reads it.
        for slots in open_slots:
            slots.resume()
        for render in self._scheduler.drain_renders():
            render.fail("the pool is closing")
        for image in self._images.values():
            image.close()
        self._images.clear()

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """The avatars that can be rendered, by id, always up to date; empty before `start`."""
        return MappingProxyType(self._avatars)

    async def add_avatar(self, folder: Path) -> AvatarInfo:
        """Load another avatar in all processes; it can be used once this returns.

        Viewers get frames all the time. A worker gives none of them a new cache while it loads the
        avatar.

        Args:
            folder: The avatar's folder, which exists until `remove_avatar`. No earlier one of this
                pool had the same path.

        Raises:
            RenderError: If it cannot be loaded; all that was loaded is freed.
            AvatarExistsError: If there is an avatar with its id.
        """
        async with self._adding:
            warps = self._devices.working
            loaded = await asyncio.gather(*(warp.load(folder) for warp in warps))
            if not loaded:
                raise RenderError("no device works at present")
            info = loaded[0].info
            if info.id in self._avatars or info.id in self._added:
                raise AvatarExistsError(f"there is another avatar {info.id!r}")
            self._added.add(info, folder)
            try:
                for warp, avatar in zip(warps, loaded, strict=True):
                    await warp.add(avatar, folder)
                self._dispatch()
                await self._added.wait_loaded(info.id, self._workers)
            except BaseException:
                await self._unload(self._added.remove(info.id))
                raise
            self._avatars[info.id] = info
            return info

    async def remove_avatar(self, avatar_id: str, end_use: Callable[[], None]) -> None:
        """Free an added avatar in all processes.

        Args:
            avatar_id: Its id, free for another one once this returns.
            end_use: Ends all sessions that show it; called once when no new one can begin.

        Raises:
            AvatarNotFoundError: If none with this id was added.
        """
        if avatar_id not in self._added or self._avatars.pop(avatar_id, None) is None:
            raise AvatarNotFoundError(f"no avatar {avatar_id!r} was added")
        end_use()
        async with self._adding:
            added = self._added.remove(avatar_id)
            await self._wait_closed(avatar_id)
            await self._unload(added)

    async def _wait_closed(self, avatar_id: str) -> None:
        """Wait until the slots of an avatar are closed."""
        try:
            async with asyncio.timeout(_CLOSING_TIMEOUT_S):
                while any(slots.avatar_id == avatar_id for slots in self._slots.values()):
                    self._slots_closed.clear()
                    await self._slots_closed.wait()
        except TimeoutError:
            logger.error("avatar %s is freed although it is still in use", avatar_id)

    async def _unload(self, added: AddedAvatar) -> None:
        for warp in self._devices.all:
            await warp.remove(added.info.id)
        for worker in self._workers:
            if worker.name in added.loaded:
                worker.send(RemoveAvatar(added.info.id))

    def marks(self, avatar: AvatarInfo) -> bool:
        """Return whether frames of an avatar carry the visible mark."""
        return self._mark.applies_to(avatar)

    @property
    def ready(self) -> bool:
        """Whether at least one worker accepts jobs, on a device that warps."""
        return self._open and any(
            worker.ready and self._devices.warps(worker.device) for worker in self._workers
        )

    @property
    def failing(self) -> bool:
        """Whether every worker has failed several times in a row, so that waiting is pointless."""
        failing = (
            worker.failing or not self._devices.warps(worker.device) for worker in self._workers
        )
        return not self.ready and all(failing)

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that warp at present."""
        return tuple(device.name for device in self._devices.working)

    @property
    def reason(self) -> str | None:
        """Why the pool is not ready; None if it is."""
        if self.ready:
            return None
        problems = [f"{d.name}: {d.problem}" for d in self._devices.all if d.problem]
        problems += [f"{w.name}: {w.problem}" for w in self._workers if w.problem]
        return "; ".join(problems) if problems else "the render workers are still starting"

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait for the first worker.

        Raises:
            NotReadyError: If no worker is ready after `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_ready.wait()
        except TimeoutError as exc:
            raise NotReadyError(self.reason or "no worker is ready") from exc

    def open_slots(self, avatar_id: str) -> CacheSlots:
        """Allocate cache slots on the least loaded device; the caller closes them.

        Raises:
            AvatarNotFoundError: If there is no such avatar.
            NotReadyError: If no device can warp it at present.
            PoolBusyError: If there is no memory for the caches.
        """
        self._find_avatar(avatar_id)
        if not self._devices.working:
            raise NotReadyError(self.reason or "no device warps")
        device, memory = self._devices.allocate(avatar_id, self._usable)
        slots = CacheSlots(next(self._ids), avatar_id, device.name, memory, self._slots_changed)
        device.open_slots += 1
        self._slots[slots.id] = slots
        for worker in self._workers:
            if _receives_slots(worker, slots.device):
                self._attach(worker, slots)
        return slots

    def submit_warp(
        self, slots: CacheSlots, sequence: FrameSequence, sample: Callable[[], FrameInputs]
    ) -> asyncio.Future[Frame | None]:
        """Warp the newest cache to the newest inputs.

        Args:
            slots: Hold the cache.
            sequence: The sequence that the frame belongs to, usually `slots.sequence`.
            sample: Returns the newest inputs; the warp thread calls it just before the warp.

        Returns:
            A future of the frame, with the stages `queue`, `raster` and `warp`, or of None if
            there is no cache or the device has failed. It raises RenderError if the renderer
            refuses the state.
        """
        return self._devices[slots.device].submit(slots, sequence, sample)

    async def benchmark_warps(self, seconds: float) -> dict[str, WarpBenchmark]:
        """Time warps of the avatar with the highest resolution on all devices in parallel."""
        return await self._devices.benchmark(seconds)

    async def render(
        self,
        avatar_id: str,
        state: FrameState,
        mode: RenderMode = "full",
        cached_state: FrameState | None = None,
    ) -> RgbImage:
        """Render a single image in a worker.

        Args:
            avatar_id: The avatar to render.
            state: Its state and the view.
            mode: `full`, or `warp` from a cache of `cached_state`.
            cached_state: None for `state` itself.

        Returns:
            (H, W, 3) uint8.

        Raises:
            AvatarNotFoundError: If there is no such avatar.
            NotReadyError: If no worker is ready.
            PoolBusyError: If too many images are pending, or the image was not done in time.
            RenderError: If the image cannot be rendered.
        """
        self._find_avatar(avatar_id)
        if not self.ready:
            raise NotReadyError(self.reason or "no worker is ready")
        job = RenderJob(next(self._ids), avatar_id, state, mode, cached_state)
        render = PendingRender(job, asyncio.get_running_loop().create_future())
        self._scheduler.queue_render(render)
        self._dispatch()
        try:
            # Not `wait_for`, which may swallow the caller's cancellation (Python 3.11).
            async with asyncio.timeout(_RENDER_TIMEOUT_S):
                return await render.done
        except TimeoutError as exc:
            reason = f"the image was not rendered within {_RENDER_TIMEOUT_S:g} s"
            raise PoolBusyError(reason) from exc
        finally:
            self._scheduler.discard_render(render)

    def gpu_memory(self) -> dict[str, DeviceMemory]:
        """Return the memory usage of each GPU."""
        return self._devices.memory()

    def status(self) -> PoolStatus:
        """Return the current state of the pool and its workers."""
        return PoolStatus(
            ready=self.ready,
            reason=self.reason,
            devices=tuple(DeviceStatus.of(device) for device in self._devices.all),
            workers=tuple(WorkerStatus.of(worker) for worker in self._workers),
            open_slots=len(self._slots),
            refreshes=self._refreshes,
            renders=self._renders,
            pending_refreshes=self._scheduler.pending_refreshes,
            pending_renders=self._scheduler.pending_renders,
            tasks=self._supervision.statuses,
        )

    def worker_ready(self, worker: Worker) -> None:
        """Attach all open slots of the device to a new process; called by the worker."""
        if not self._open:
            return  # `start` calls this again once the avatars are loaded
        worker.send(AttachImage(self._images[worker.name].name))
        for slots in self._slots.values():
            if slots.device == worker.device:
                self._attach(worker, slots)
        if self.ready:
            self._has_ready.set()
        self._dispatch()

    def worker_done(self, worker: Worker, job: Job, reply: JobDone | JobFailed) -> None:
        """Process the result of a job and assign the next one; called by the worker."""
        match self._in_progress.pop(job.id):
            case CacheSlots() as slots:
                self._finish_refresh(slots, reply)
            case PendingRender() as render:
                self._finish_render(render, worker, reply)
            case LoadJob() as load:
                self._finish_load(load, worker, reply)
        self._dispatch()

    def worker_rested(self, worker: Worker) -> None:
        """Assign the next job after the pause of a worker; called by the worker."""
        self._dispatch()

    def worker_died(self, worker: Worker, job: Job | None) -> None:
        """Retry the job of a worker whose process has ended; called by the worker."""
        if not self.ready:
            self._has_ready.clear()
        self._added.process_ended(worker, job if isinstance(job, LoadJob) else None)
        match self._in_progress.pop(job.id) if job is not None else None:
            case CacheSlots() as slots:
                self._retry_refresh(slots)
            case PendingRender() as render if render.attempts < _MAX_ATTEMPTS and self._open:
                self._scheduler.requeue_render(render)
            case PendingRender() as render:
                render.fail(f"the worker died while rendering it ({worker.problem})")
        self._fail_devices()
        self._dispatch()

    def handle_left(self, worker: Worker, handle: SlotHandle) -> None:
        """Release memory on behalf of a process that cannot any more; called by the worker."""
        if self._devices.warps(worker.device):
            self._devices[worker.device].reclaim(handle)

    def device_failed(self, device: WarpDevice) -> None:
        """Report the slots of a device that warps no more; called by the device."""
        if not self.ready:
            self._has_ready.clear()
        for slots in tuple(self._slots.values()):
            if slots.device == device.name and not slots.device_failed:
                slots.fail_device()
        if self._devices.lost:
            self.lost.set()
        self._notify()

    def device_ready(self, device: WarpDevice) -> None:
        """Use a device again; called by the device."""
        if self.ready:
            self._has_ready.set()
        self._notify()

    def _notify(self) -> None:
        for callback in tuple(self.on_devices_changed):
            callback()

    async def _start_devices(self, names: Sequence[str], clock: Callable[[], float]) -> None:
        """Start the workers of devices and build their engines, or those of the CPU for `auto`."""
        self._devices = Devices(names, self._factory, self, self._settings.timeouts, self._mark)
        self._workers = [
            Worker(settings, self._factory, self, self._settings.timeouts, clock)
            for name in names
            for settings in self._settings.for_workers(name)
        ]
        for worker in self._workers:
            self._supervision.start(f"supervise {worker.name}", worker.run)
        try:
            await self._devices.build()
        except Exception as exc:
            if self._settings.devices != "auto" or CPU in names:
                raise
            logger.warning("no GPU can be used (%s): rendering on the CPU", exc)
            self._stop_devices()
            await self._start_devices((CPU,), clock)

    def _stop_devices(self) -> None:
        for worker in self._workers:
            worker.stop()
        self._devices.stop()

    @property
    def _usable(self) -> set[str]:
        """Devices with a worker that is ready or may become so."""
        return {worker.device for worker in self._workers if not worker.failing}

    def _attach(self, worker: Worker, slots: CacheSlots) -> None:
        try:
            # Each worker needs its own handle: a CUDA-IPC handle can be opened only once.
            handle = slots.memory.handle
        except RuntimeError as exc:
            self._devices[slots.device].suspect(exc)
        else:
            worker.send(AttachSlots(slots.id, slots.avatar_id, handle))

    def _fail_devices(self) -> None:
        """Report slots on devices that keep failing, if another device works."""
        failed = failed_devices(self._devices.loads(self._usable)) if self._open else set()
        for slots in tuple(self._slots.values()):
            if slots.device in failed and not slots.device_failed:
                logger.warning("cache slots %d: device %s has failed", slots.id, slots.device)
                slots.fail_device()

    def _create_image_blocks(self) -> None:
        for worker in self._workers:
            self._images[worker.name] = SharedBlock.create(self._image_nbytes())

    def _image_nbytes(self) -> int:
        """Return the size of the largest image, bytes."""
        avatars = (*self._avatars.values(), *self._added.infos)
        return max((avatar.resolution**2 * 3 for avatar in avatars), default=1)

    def _find_avatar(self, avatar_id: str) -> AvatarInfo:
        avatar = self._avatars.get(avatar_id)
        if avatar is None:
            known = ", ".join(sorted(self._avatars)) or "none"
            raise AvatarNotFoundError(f"no avatar {avatar_id!r}; there are: {known}")
        return avatar

    def _slots_changed(self, slots: CacheSlots) -> None:
        if not slots.closed:
            self._scheduler.queue_refresh(slots)
            self._dispatch()
            return
        del self._slots[slots.id]
        self._slots_closed.set()
        self._scheduler.remove_refresh(slots)
        self._devices[slots.device].open_slots -= 1
        self._devices.close_sequence(slots.sequence)
        for worker in self._workers:
            if _receives_slots(worker, slots.device):
                worker.send(DetachSlots(slots.id))

    def _dispatch(self) -> None:
        """Assign the next job to every idle worker."""
        for worker in self._workers:
            if not worker.free or not self._open:
                continue
            if (added := self._added.next_load(worker)) is not None:
                load = LoadJob(next(self._ids), added.info.id, added.folder)
                self._in_progress[load.id] = load
                worker.assign(load)
                continue
            match self._scheduler.next_job(worker.device):
                case CacheSlots() as slots:
                    refresh = slots.begin_refresh()
                    job = RefreshJob(next(self._ids), slots.id, refresh.slot, refresh.state)
                    self._in_progress[job.id] = slots
                    worker.assign(job)
                case PendingRender() as render:
                    render.attempts += 1
                    self._in_progress[render.job.id] = render
                    worker.assign(render.job)

    def _retry_refresh(self, slots: CacheSlots) -> None:
        pause_s = slots.retry_refresh()
        if pause_s:
            logger.warning(
                "cache slots %d: several workers died in their refreshes, next attempt in %g s",
                slots.id,
                pause_s,
            )
            asyncio.get_running_loop().call_later(pause_s, slots.resume)

    def _finish_refresh(self, slots: CacheSlots, reply: JobDone | JobFailed) -> None:
        if isinstance(reply, JobFailed):
            # Logged once per viewer: a state that is refused comes up to 60 times a second.
            if not slots.failed_refreshes:
                logger.warning("cache slots %d: a refresh failed: %s", slots.id, reply.detail)
            slots.fail_refresh()
            return
        self._refreshes += 1
        slots.finish_refresh()

    def _finish_load(self, load: LoadJob, worker: Worker, reply: JobDone | JobFailed) -> None:
        """Let a worker render an avatar that it has loaded."""
        if isinstance(reply, JobDone):
            try:
                self._enlarge_image_block(worker)
            except PoolBusyError as exc:
                reply = JobFailed(load.id, str(exc))
        if not self._added.finish(worker, load, reply):
            worker.send(RemoveAvatar(load.avatar_id))
            return
        for slots in self._slots.values():
            # Those of a process that ended: this one could not attach them before.
            if slots.avatar_id == load.avatar_id and slots.device == worker.device:
                self._attach(worker, slots)

    def _enlarge_image_block(self, worker: Worker) -> None:
        """Give a worker without a job a block that holds images of every avatar.

        Raises:
            PoolBusyError: If there is not enough shared memory.
        """
        needed = self._image_nbytes()
        if len(self._images[worker.name].buffer) < needed:
            block = SharedBlock.create(needed)
            self._images[worker.name].close()
            self._images[worker.name] = block
            worker.send(AttachImage(block.name))

    def _finish_render(
        self, render: PendingRender, worker: Worker, reply: JobDone | JobFailed
    ) -> None:
        if isinstance(reply, JobFailed):
            render.fail(reply.detail)
            return
        self._renders += 1
        if not render.done.done():
            count = int(np.prod(reply.shape))
            rgb = np.frombuffer(self._images[worker.name].buffer, np.uint8, count)
            image = rgb.reshape(reply.shape).copy()
            avatar = self._avatars.get(render.job.avatar_id)  # deleted meanwhile: seen by nobody
            if avatar is not None:
                self._mark.draw(avatar, image)
            render.done.set_result(image)


def _receives_slots(worker: Worker, device: str) -> bool:
    return worker.device == device and worker.ready
