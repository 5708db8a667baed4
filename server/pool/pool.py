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

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from models.contract.rendition import Rendition, sizes_up_to
from server.background import BackgroundTasks
from server.errors import AvatarNotFoundError, NotReadyError
from server.pool.added_avatars import AddedAvatars
from server.pool.avatar_changes import AvatarChanges
from server.pool.cache_slots import CacheSlots
from server.pool.devices import Devices
from server.pool.dispatcher import Dispatcher
from server.pool.image_blocks import ImageBlocks
from server.pool.interface import CPU, DeviceMemory, EngineFactory
from server.pool.jobs import RenderJob, RenderMode
from server.pool.mark import Mark
from server.pool.open_slots import OpenSlots
from server.pool.readiness import Readiness
from server.pool.scheduler import Scheduler
from server.pool.settings import PoolSettings
from server.pool.status import DeviceStatus, PoolStatus, WorkerStatus
from server.pool.warp_backends import WarpBackends
from server.pool.warp_benchmark import WarpBenchmark
from server.pool.workers import Workers

logger = logging.getLogger(__name__)


class RenderPool:
    """Workers, cache slots and warp threads of one host.

    Args:
        settings: Devices, worker processes and limits.
        factory: Builds the engines, in every worker and wherever the devices warp.
    """

    def __init__(self, settings: PoolSettings, factory: EngineFactory) -> None:
        self._settings = settings
        self._factory = factory
        self._mark = Mark(settings.mark)
        self._avatars: dict[str, AvatarInfo] = {}
        self._ids = itertools.count(1)
        self._supervision = BackgroundTasks()
        self._devices = Devices(settings.timeouts)
        self._workers = Workers(settings, factory, self._supervision)
        self._images = ImageBlocks(settings.largest_image)
        self._scheduler = Scheduler(settings.max_pending_renders)
        added = AddedAvatars()
        self._dispatcher = Dispatcher(
            self._workers,
            self._scheduler,
            added,
            self._images,
            self._mark,
            self._avatars.get,
            self._ids.__next__,
        )
        self._slots = OpenSlots(
            self._devices, self._workers, self._slots_changed, self._slots_closed
        )
        self._changes = AvatarChanges(
            self._avatars, added, self._devices, self._workers, self._images, self._slots
        )
        self._readiness = Readiness(
            self._devices, self._workers, self._dispatcher, self._slots, self._images
        )

    async def start(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the workers and build the warp engines. Does not wait for the workers.

        GPUs that cannot be built are left out until they can. Where none can, device `auto` is the
        CPU.

        Args:
            clock: Measures the timeouts of the workers, seconds.

        Raises:
            Exception: The error of the factory, if it cannot load the avatars in this process.
            PoolBusyError: If there is no shared memory for single images.
        """
        loop = asyncio.get_running_loop()
        wanted = self._settings.devices
        names = await loop.run_in_executor(None, self._factory.devices, wanted)
        try:
            await self._start_devices(names, clock)
            self._avatars.update(self._devices.avatars)
            self._images.create(self._avatars.values(), [worker.name for worker in self._workers])
        except BaseException:
            await self.close()
            raise
        # Only now, because workers that were ready earlier had no block for images to attach.
        self._dispatcher.open = True
        for device in self._devices.all:
            self._supervision.start(f"keep {device.name} warping", device.run)
        for worker in self._workers:
            if worker.state == "idle":
                self._readiness.worker_ready(worker)

    async def close(self) -> None:
        """Stop all processes and threads of the pool and free its shared memory."""
        self._dispatcher.open = False
        open_slots = tuple(self._slots)
        for slots in open_slots:
            slots.close()
        # Tasks end before devices close, so that no device is built again meanwhile.
        self._stop_devices()
        await self._supervision.finish()
        await self._devices.close()
        # The memory of slots can be freed only now that no worker writes and no warp reads it.
        for slots in open_slots:
            slots.resume()
        self._dispatcher.close()
        self._images.close()

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """The avatars that can be rendered, by id, always up to date; empty before `start`."""
        return MappingProxyType(self._avatars)

    async def add_avatar(self, folder: Path) -> AvatarInfo:
        """Load another avatar in all processes; it can be used once this returns.

        Viewers get frames meanwhile, but no new caches from a worker that loads the avatar.

        Args:
            folder: The avatar's folder, which exists until `remove_avatar`. No earlier one of this
                pool had the same path.

        Raises:
            RenderError: If it cannot be loaded; all that was loaded is freed.
            AvatarExistsError: If there is an avatar with its id.
        """
        return await self._changes.add(folder, self._dispatcher.dispatch)

    async def remove_avatar(self, avatar_id: str, end_use: Callable[[], None]) -> None:
        """Free an added avatar in all processes.

        Args:
            avatar_id: Its id, free for another one once this returns.
            end_use: Ends all sessions that show it; called once when no new one can begin.

        Raises:
            AvatarNotFoundError: If none with this id was added.
        """
        await self._changes.remove(avatar_id, end_use)

    def marks(self, avatar: AvatarInfo) -> bool:
        """Return whether frames of an avatar carry the visible mark."""
        return self._mark.applies_to(avatar)

    @property
    def ready(self) -> bool:
        """Whether at least one worker accepts jobs, on a device that warps."""
        return self._readiness.ready

    @property
    def failing(self) -> bool:
        """Whether every worker has failed several times in a row, so that waiting is pointless."""
        return self._readiness.failing

    @property
    def devices(self) -> tuple[str, ...]:
        """The devices that warp at present."""
        return tuple(device.name for device in self._devices.working)

    @property
    def reason(self) -> str | None:
        """Why the pool is not ready; None if it is."""
        return self._readiness.reason

    @property
    def lost(self) -> asyncio.Event:
        """Set once no device warps and this process cannot build one again."""
        return self._readiness.lost

    @property
    def on_devices_changed(self) -> list[Callable[[], None]]:
        """Called after a device has failed or works again. Must not raise."""
        return self._readiness.on_devices_changed

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait for the first worker.

        Raises:
            NotReadyError: If no worker is ready after `timeout_s`.
        """
        await self._readiness.wait(timeout_s)

    def sizes(self, avatar: AvatarInfo) -> tuple[int, ...]:
        """Return the sizes of an avatar's frames, rows and columns, in increasing order.

        On a GPU others than the resolution exist only where the settings name the largest: the
        first frames of a size wait until its graphs are captured, and so do those of all viewers.
        """
        largest = self._settings.largest_frame
        if largest is None and any(device.name != CPU for device in self._devices.all):
            return (avatar.resolution,)
        return sizes_up_to(avatar.resolution, largest, self._settings.smallest_frame)

    def open_slots(self, avatar_id: str, size: int | None = None) -> CacheSlots:
        """Allocate cache slots on the least loaded device; the caller closes them.

        Args:
            avatar_id: The avatar.
            size: Rows and columns of its frames, one of `sizes`; None for the avatar's resolution.

        Raises:
            AvatarNotFoundError: If there is no such avatar.
            NotReadyError: If no device can warp it at present.
            PoolBusyError: If there is no memory for the caches.
        """
        avatar = self._find_avatar(avatar_id)
        if not self._devices.working:
            raise NotReadyError(self.reason or "no device warps")
        return self._slots.open(next(self._ids), Rendition(avatar_id, size or avatar.resolution))

    async def wait_warps(self, slots: CacheSlots) -> bool:
        """Wait until the device of some slots warps; return False if they fail or are closed."""
        device = self._devices[slots.device]
        while self._dispatcher.open and not (slots.closed or slots.device_failed):
            if device.working:
                return True
            await device.wait_changed()
        return False

    async def benchmark_warps(self, seconds: float) -> dict[str, WarpBenchmark]:
        """Time warps of the largest frames on all devices in parallel."""
        return await self._devices.benchmark(seconds, self._settings.largest_frame)

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
        self._check_renders(avatar_id)
        job = RenderJob(next(self._ids), avatar_id, state, mode, cached_state)
        return await self._dispatcher.render(job)

    async def render_low_priority(self, avatar_id: str, state: FrameState, size: int) -> RgbImage:
        """Render a single image in full, with lower priority than caches.

        Args:
            avatar_id: The avatar to render.
            state: Its state and the view.
            size: Rows and columns, a multiple of 32, at most `PoolSettings.largest_image`.

        Returns:
            (size, size, 3) uint8.

        Raises:
            TelewarpError: As `render`.
        """
        self._check_renders(avatar_id)
        job = RenderJob(next(self._ids), avatar_id, state, "full", None, size)
        return await self._dispatcher.render(job, low_priority=True)

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
            refreshes=self._dispatcher.refreshes,
            renders=self._dispatcher.renders,
            pending_refreshes=self._scheduler.pending_refreshes,
            pending_renders=self._scheduler.pending_renders,
            tasks=self._supervision.statuses,
        )

    async def _start_devices(self, names: Sequence[str], clock: Callable[[], float]) -> None:
        """Start the workers of devices and build their engines, or those of the CPU for `auto`."""
        self._workers.start(names, self._readiness, clock)
        try:
            backends = WarpBackends(self._settings, self._factory, self._mark, clock)
            await self._devices.build(names, backends.make, self._readiness)
        except Exception as exc:
            if self._settings.devices != "auto" or CPU in names:
                raise
            logger.warning("no GPU can be used (%s): rendering on the CPU", exc)
            self._stop_devices()
            await self._start_devices((CPU,), clock)

    def _stop_devices(self) -> None:
        self._workers.stop()
        self._devices.stop()

    def _check_renders(self, avatar_id: str) -> None:
        """Raise an error if single images of an avatar cannot be rendered."""
        self._find_avatar(avatar_id)
        if not self.ready:
            raise NotReadyError(self.reason or "no worker is ready")

    def _find_avatar(self, avatar_id: str) -> AvatarInfo:
        avatar = self._avatars.get(avatar_id)
        if avatar is None:
            known = ", ".join(sorted(self._avatars)) or "none"
            raise AvatarNotFoundError(f"no avatar {avatar_id!r}; there are: {known}")
        return avatar

    def _slots_changed(self, slots: CacheSlots) -> None:
        self._scheduler.queue_refresh(slots)
        self._dispatcher.dispatch()

    def _slots_closed(self, slots: CacheSlots) -> None:
        self._scheduler.remove_refresh(slots)
        self._changes.note_closed()
