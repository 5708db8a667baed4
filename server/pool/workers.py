"""The worker processes of all devices, and which of them has mapped which cache slots."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from server.background import BackgroundTasks
from server.pool.cache_slots import CacheSlots
from server.pool.interface import EngineFactory
from server.pool.jobs import DetachSlots
from server.pool.settings import PoolSettings
from server.pool.supervisor import Worker, WorkerEvents


class Workers:
    """Starts and stops the workers.

    Args:
        settings: Their number and settings.
        factory: Builds their engines.
        supervision: The tasks that keep them running.
    """

    def __init__(
        self,
        settings: PoolSettings,
        factory: EngineFactory,
        supervision: BackgroundTasks,
    ) -> None:
        self._settings, self._factory, self._supervision = settings, factory, supervision
        self._all: list[Worker] = []

    def __iter__(self) -> Iterator[Worker]:
        return iter(self._all)

    @property
    def usable_devices(self) -> set[str]:
        """Devices with a worker that is ready or may become so."""
        return {worker.device for worker in self._all if not worker.failing}

    def start(
        self,
        devices: Sequence[str],
        events: WorkerEvents,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the workers of some devices, replacing earlier ones, which were stopped.

        Args:
            devices: Their names.
            events: Receives the callbacks of each.
            clock: Measures the timeouts of the workers, seconds.
        """
        self._all = [
            Worker(settings, self._factory, events, self._settings.timeouts, clock)
            for device in devices
            for settings in self._settings.for_workers(device)
        ]
        for worker in self._all:
            self._supervision.start(f"supervise {worker.name}", worker.run)

    def stop(self) -> None:
        """Request that all processes end."""
        for worker in self._all:
            worker.stop()

    def ready_on(self, device: str) -> list[Worker]:
        """Return the workers of a device whose process accepts jobs."""
        return [worker for worker in self._all if worker.device == device and worker.ready]

    def detach(self, slots: CacheSlots) -> None:
        """Make all processes unmap the memory of closed slots."""
        for worker in self.ready_on(slots.device):
            worker.send(DetachSlots(slots.id))
