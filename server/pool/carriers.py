"""The choice of what warps on each device."""

from __future__ import annotations

from collections.abc import Callable

from server.pool.carrier import Carrier
from server.pool.interface import EngineFactory
from server.pool.mark import Mark
from server.pool.process_carrier import ProcessCarrier
from server.pool.settings import PoolSettings
from server.pool.warping import WarpThread


class Carriers:
    """Makes a thread anew for each attempt, and keeps one `ProcessCarrier` for each device.

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
        self._processes: dict[str, ProcessCarrier] = {}

    def make(self, device: str, failed: Callable[[str], None]) -> Carrier:
        """Return what warps on a device; it has yet to be built.

        Args:
            device: Its name.
            failed: Called on the event loop, with the reason, when it has failed.
        """
        if not self._settings.warps_in_process(device):
            return WarpThread(device, self._factory, failed, self._mark)
        if device not in self._processes:
            self._processes[device] = ProcessCarrier(
                self._settings.for_warps(device),
                self._factory,
                failed,
                self._mark,
                self._settings.timeouts,
                self._clock,
            )
        return self._processes[device]
