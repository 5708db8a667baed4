"""Settings of the render pool and, derived from them, of its worker processes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Literal

from server.logs import LogFormat
from server.pool.interface import CPU
from server.pool.mark import MarkedAvatars
from server.pool.process_setup import ProcessSettings
from server.pool.sizing import available_cores, default_size
from server.pool.supervisor import Timeouts
from server.pool.worker import WorkerSettings

WarpPlace = Literal["auto", "thread", "process"]


@dataclass(frozen=True)
class PoolSettings:
    """Devices, worker processes and limits of the pool."""

    devices: str = "auto"
    """`auto` (all CUDA devices, otherwise the CPU), `cpu`, `cuda`, or a list: `cuda:0,cuda:1`."""
    workers: int | None = None
    """Number per device; None for a default that fits the machine."""
    cores: int | None = None
    """Cores that this server may use; None for all that it may run on."""
    threads: int | None = None
    """Number per CPU worker; None for a default that fits the machine."""
    max_pending_renders: int = 8
    """Limit of pending single images; further requests are refused."""
    warp_in: WarpPlace = "auto"
    """Where devices warp: in a `thread` of the server or in a `process` of their own; `auto` is a
    thread for the CPU and a process for each GPU."""
    largest_frame: int | None = None
    """Rows and columns of the largest frames; None for the avatar's resolution, see
    `RenderPool.sizes`."""
    smallest_frame: int = 0
    """No frames have fewer rows and columns, unless the largest do."""
    largest_image: int = 0
    """Rows and columns of the largest image of `RenderPool.render_low_priority`; 0 for none."""
    niceness: int = 10
    """Added to the niceness of CPU workers, so that warps and encoders get the cores first."""
    rest: float = 1.0
    """Pause of a CPU worker after each refresh, in durations of the refresh. Even at low priority
    workers take memory bandwidth (and, on shared cores, half a core) from the warp, and an older
    cache hardly changes the frames. A measured trade-off: see the README."""
    mark: MarkedAvatars = "off"
    """Avatars whose frames are marked as rendered."""
    log_level: int = logging.INFO
    log_format: LogFormat = "text"
    timeouts: Timeouts = field(default_factory=Timeouts)

    def warps_in_process(self, device: str) -> bool:
        """Return whether a device warps in a process of its own."""
        return self.warp_in == "process" or (self.warp_in == "auto" and device != CPU)

    def for_warps(self, device: str) -> ProcessSettings:
        """Return the settings of the process in which a device warps."""
        return ProcessSettings(
            name=f"{device}-warp",
            device=device,
            # The encoders, the event loop and the workers need the other cores.
            threads=1,
            niceness=0,
            log_level=self.log_level,
            log_format=self.log_format,
        )

    def for_workers(self, device: str) -> list[WorkerSettings]:
        """Return the settings of each worker process of a device."""
        size = default_size(device, self.cores or available_cores())
        on_cpu = device == "cpu"
        return [
            WorkerSettings(
                name=f"{device}-{index}" if on_cpu else f"{device}/{index}",
                device=device,
                threads=self.threads or size.threads,
                niceness=self.niceness if on_cpu else 0,
                rest=self.rest if on_cpu else 0.0,
                log_level=self.log_level,
                log_format=self.log_format,
            )
            for index in range(self.workers or size.workers)
        ]
