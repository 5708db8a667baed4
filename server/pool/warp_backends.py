"""Creates the warp backend of each device."""

from __future__ import annotations

from collections.abc import Callable

from server.pool.interface import EngineFactory
from server.pool.mark import Mark
from server.pool.process_backend import ProcessBackend
from server.pool.settings import PoolSettings
from server.pool.warp_backend import WarpBackend
from server.pool.warping import WarpThread


class WarpBackends:
    """Creates a `WarpThread` for each attempt, or keeps one `ProcessBackend` per device.

    Args:
        settings: Where devices warp, and when to kill a process.
        factory: Builds the engines.
        mark: Drawn into each frame.
        clock: Measures the timeouts of processes, seconds.
    """

    def __init__(
        self,
        settings: PoolSettings,
        factory: EngineFactory,
        mark: Mark,
        clock: Callable[[], float],
    ) -> None:
        self._settings, self._factory = settings, factory
        self._mark, self._clock = mark, clock
        self._processes: dict[str, ProcessBackend] = {}

    def make(self, device: str, failed: Callable[[str], None]) -> WarpBackend:
        """Return the backend of a device; the caller must build it.

        Args:
            device: Its name.
            failed: Called on the event loop, with the reason, when the backend has failed.
        """
        if not self._settings.warps_in_process(device):
            return WarpThread(device, self._factory, failed, self._mark)
        if device not in self._processes:
            self._processes[device] = ProcessBackend(
                self._settings.for_warps(device),
                self._factory,
                failed,
                self._mark,
                self._settings.timeouts,
                self._clock,
            )
        return self._processes[device]
