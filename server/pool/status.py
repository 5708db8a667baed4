"""Snapshots of the render pool and its workers, for health checks, metrics and load reports."""

from __future__ import annotations

from dataclasses import dataclass

from server.background import TaskStatus
from server.pool.supervisor import Worker, WorkerState, is_ready
from server.pool.warp_device import WarpDevice


@dataclass(frozen=True)
class WorkerStatus:
    """State of one worker at one moment."""

    name: str
    device: str
    pid: int | None
    state: WorkerState
    restarts: int
    last_refresh_ms: float | None
    last_refresh_size: int
    """Rows of the frames of that refresh."""
    problem: str | None
    """Why its last process ended; None once another process is ready."""

    @classmethod
    def of(cls, worker: Worker) -> WorkerStatus:
        """Copy the state of a worker."""
        return cls(
            name=worker.name,
            device=worker.device,
            pid=worker.pid,
            state=worker.state,
            restarts=worker.restarts,
            last_refresh_ms=worker.last_refresh_ms,
            last_refresh_size=worker.last_refresh_size,
            problem=worker.problem,
        )

    @property
    def ready(self) -> bool:
        """Whether the worker accepts jobs, immediately or after its current one."""
        return is_ready(self.state)


@dataclass(frozen=True)
class DeviceStatus:
    """State of one device at one moment."""

    name: str
    working: bool
    """Whether it warps."""
    failures: int
    """Number of failures since the start."""
    problem: str | None
    """Why it does not warp; None while it does."""
    open_slots: int
    """Number of open `CacheSlots` on it."""
    warp_ms: float | None
    """Moving mean of the warp time; None before the first warp."""

    @classmethod
    def of(cls, device: WarpDevice) -> DeviceStatus:
        """Copy the state of a device."""
        return cls(
            name=device.name,
            working=device.working,
            failures=device.failures,
            problem=device.problem,
            open_slots=device.open_slots,
            warp_ms=device.warp_ms,
        )


@dataclass(frozen=True)
class PoolStatus:
    """State of the pool at one moment."""

    ready: bool
    reason: str | None
    """Why the pool is not ready; None if it is."""
    devices: tuple[DeviceStatus, ...]
    workers: tuple[WorkerStatus, ...]
    open_slots: int
    """Number of open `CacheSlots`."""
    refreshes: int
    """Caches filled since the start."""
    renders: int
    """Single images rendered since the start."""
    pending_refreshes: int
    pending_renders: int
    tasks: tuple[TaskStatus, ...]
    """The tasks that supervise the workers."""
