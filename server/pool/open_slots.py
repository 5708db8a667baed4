"""All open cache slots: opened on a device, attached by its workers, and failed with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator

from models.contract.rendition import Rendition
from server.pool.cache_slots import CacheSlots
from server.pool.devices import Devices
from server.pool.jobs import AttachSlots, SlotHandle
from server.pool.supervisor import Worker
from server.pool.workers import Workers

logger = logging.getLogger(__name__)


class OpenSlots:
    """The open cache slots of a pool, by id.

    Args:
        devices: Allocate their memory.
        workers: Map it.
        changed: Called when a refresh of some slots may have become possible.
        closed: Called when some slots have been closed.
    """

    def __init__(
        self,
        devices: Devices,
        workers: Workers,
        changed: Callable[[CacheSlots], None],
        closed: Callable[[CacheSlots], None],
    ) -> None:
        self._devices, self._workers = devices, workers
        self._changed, self._closed = changed, closed
        self._open: dict[int, CacheSlots] = {}

    def __len__(self) -> int:
        return len(self._open)

    def __iter__(self) -> Iterator[CacheSlots]:
        """Iterate over the slots that are open now."""
        return iter(tuple(self._open.values()))

    def open(self, slots_id: int, rendition: Rendition) -> CacheSlots:
        """Allocate slots on the least loaded device.

        Raises:
            NotReadyError: If no device warps this avatar at present.
            PoolBusyError: If there is no memory.
        """
        device, memory = self._devices.allocate(rendition, self._workers.usable_devices)
        slots = CacheSlots(
            slots_id,
            rendition,
            device.name,
            memory,
            self._on_change,
            device.submit,
            # On all devices, because a viewer who splits or joins may move its sequence to another
            # one.
            self._devices.close_sequence,
        )
        device.open_slots += 1
        self._open[slots_id] = slots
        for worker in self._workers.ready_on(device.name):
            self._attach(worker, [slots])
        return slots

    def attach(self, worker: Worker, avatar_id: str | None = None) -> None:
        """Make a process map the slots of its device, or only those of one avatar."""
        matching = [slots for slots in self if slots.device == worker.device]
        self._attach(worker, [s for s in matching if avatar_id in (None, s.rendition.avatar_id)])

    def fail(self, devices: Collection[str]) -> None:
        """Notify the owners of slots on devices that have failed."""
        for slots in self:
            if slots.device in devices and not slots.device_failed:
                self.fail_one(slots)

    def fail_one(self, slots: CacheSlots) -> None:
        """Notify the owner of slots that cannot be used any more."""
        logger.warning("cache slots %d: device %s has failed", slots.id, slots.device)
        slots.fail_device()

    def _attach(self, worker: Worker, all_slots: list[CacheSlots]) -> None:
        """Send a worker its own handle of each: a CUDA-IPC handle can be opened only once."""
        # All are counted before the first is sent, which happens at once for memory of this
        # process: otherwise the worker could get a refresh of slots that it does not know yet.
        for slots in all_slots:
            slots.exports += 1
        for slots in all_slots:
            self._export(worker, slots)

    def _export(self, worker: Worker, slots: CacheSlots) -> None:
        process = worker.pid

        def receive(handle: SlotHandle | None) -> None:
            slots.exports -= 1
            if handle is None:
                self.fail_one(slots)
            elif slots.closed or worker.pid != process:
                self._devices[slots.device].reclaim(handle)
            else:
                worker.send(AttachSlots(slots.id, slots.rendition, handle))
                slots.resume()

        try:
            slots.memory.export(receive)
        except RuntimeError as exc:
            slots.exports -= 1
            self._devices[slots.device].suspect(exc)

    def _on_change(self, slots: CacheSlots) -> None:
        if not slots.closed:
            self._changed(slots)
            return
        del self._open[slots.id]
        self._devices[slots.device].open_slots -= 1
        self._workers.detach(slots)
        self._closed(slots)
