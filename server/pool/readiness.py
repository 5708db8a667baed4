"""Whether the pool can render; reactions to ready and failed workers and devices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from server.errors import NotReadyError
from server.pool.devices import Devices
from server.pool.dispatcher import Dispatcher
from server.pool.image_blocks import ImageBlocks
from server.pool.jobs import AttachImage, Job, JobDone, JobFailed, SlotHandle
from server.pool.open_slots import OpenSlots
from server.pool.placing import failed_devices
from server.pool.supervisor import Worker
from server.pool.warp_device import WarpDevice
from server.pool.workers import Workers


class Readiness:
    """Receives the callbacks of workers and devices; see `WorkerEvents` and `DeviceEvents`.

    Args:
        devices: All devices.
        workers: All workers.
        dispatcher: Assigns jobs to the workers, while it is open.
        slots: Mapped by the workers.
        images: Where workers write single images.
    """

    def __init__(
        self,
        devices: Devices,
        workers: Workers,
        dispatcher: Dispatcher,
        slots: OpenSlots,
        images: ImageBlocks,
    ) -> None:
        self.lost = asyncio.Event()
        """Set once no device warps and this process cannot build one again."""
        self.on_devices_changed: list[Callable[[], None]] = []
        """Called after a device has failed or works again. Must not raise."""
        self._devices, self._workers = devices, workers
        self._dispatcher, self._slots, self._images = dispatcher, slots, images
        self._has_ready = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether at least one worker accepts jobs, on a device that warps."""
        return self._dispatcher.open and any(
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
    def reason(self) -> str | None:
        """Why the pool is not ready; None if it is."""
        if self.ready:
            return None
        problems = [f"{d.name}: {d.problem}" for d in self._devices.all if d.problem]
        problems += [f"{w.name}: {w.problem}" for w in self._workers if w.problem]
        return "; ".join(problems) if problems else "the render workers are still starting"

    async def wait(self, timeout_s: float) -> None:
        """Wait for the first worker.

        Raises:
            NotReadyError: If no worker is ready after `timeout_s`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                await self._has_ready.wait()
        except TimeoutError as exc:
            raise NotReadyError(self.reason or "no worker is ready") from exc

    def worker_ready(self, worker: Worker) -> None:
        """Attach all open slots of the device to a new process."""
        if not self._dispatcher.open:
            return  # `RenderPool.start` calls this again once the avatars are loaded
        # Before any job: messages to a process are handled in order.
        worker.send(AttachImage(self._images.name(worker.name)))
        self._slots.attach(worker)
        self._note_ready()
        self._dispatcher.dispatch()

    def worker_done(self, worker: Worker, job: Job, reply: JobDone | JobFailed) -> None:
        """Process the result of a job and assign the next one."""
        loaded = self._dispatcher.finish(worker, job, reply)
        if loaded is not None:
            # Slots of a process that ended, which this one could not attach before.
            self._slots.attach(worker, loaded)
        self._dispatcher.dispatch()

    def worker_rested(self, worker: Worker) -> None:
        """Assign the next job after the pause of a worker."""
        self._dispatcher.dispatch()

    def worker_died(self, worker: Worker, job: Job | None) -> None:
        """Retry the job of a worker whose process has ended."""
        self._note_ready()
        # First, so that slots which fail below have no refresh in progress.
        self._dispatcher.retry(worker, job)
        if self._dispatcher.open:
            # Slots of a device that keeps failing move to another device, if one works.
            self._slots.fail(failed_devices(self._devices.loads(self._workers.usable_devices)))
        self._dispatcher.dispatch()

    def handle_orphaned(self, worker: Worker, handle: SlotHandle) -> None:
        """Release a handle on behalf of a process that can no longer do it."""
        if self._devices.warps(worker.device):
            self._devices[worker.device].reclaim(handle)

    def device_failed(self, device: WarpDevice) -> None:
        """Report the slots of a device that has failed."""
        self._note_ready()
        if not device.keeps_slots:
            self._slots.fail({device.name})
        if self._devices.lost:
            self.lost.set()
        self._notify()

    def device_ready(self, device: WarpDevice) -> None:
        """Use a device again."""
        self._note_ready()
        self._notify()

    def _note_ready(self) -> None:
        if self.ready:
            self._has_ready.set()
        else:
            self._has_ready.clear()

    def _notify(self) -> None:
        for callback in tuple(self.on_devices_changed):
            callback()
