"""Cache refreshes per second of the render workers, and the time a viewer waits for one."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.avatar.folder import SHIPPED
from models.avatar.manifest import load_manifest
from models.contract.frame_state import FrameState
from scripts.benchmarking.avatars import resized, swaying
from scripts.benchmarking.timing import percentiles
from server.pool.cache_slots import CacheSlots
from server.pool.engine_factory import ModelEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings

_START_S = 120.0
"""Timeout for the start of the workers."""
_WARM_UP_S = 1.0


@dataclass(frozen=True)
class Pool:
    """Refreshes per second and milliseconds from request to ready, by number of workers."""

    avatars: Path = SHIPPED
    """Folder with one folder per avatar."""
    avatar: str = "default"
    """Id of the avatar."""
    size: int | None = None
    """Rows and columns of the frames; default: those of the avatar."""
    workers: tuple[int, ...] = (1, 2)
    """Numbers of render processes; each is measured."""
    lines: int | None = None
    """Viewers that request caches continuously; default: one per worker."""
    threads: int = 1
    """CPU threads of each worker."""
    rest: float = PoolSettings.rest
    """Pause of a CPU worker after each refresh, as a multiple of the refresh's duration."""
    device: str = "auto"
    """auto, cpu, cuda, cuda:0, ..."""
    seconds: float = 6.0
    """Duration of each measurement."""


@dataclass
class _Viewer:
    """Requests the next cache as soon as one is ready."""

    slots: CacheSlots
    state: FrameState
    requested_at: float = 0.0

    def __post_init__(self) -> None:
        self.waits_ms: list[float] = []
        self.slots.on_ready.append(self._ready)

    def request(self) -> None:
        self.requested_at = time.perf_counter()
        self.slots.request(lambda ahead_s: self.state)

    def _ready(self) -> None:
        self.waits_ms.append((time.perf_counter() - self.requested_at) * 1e3)
        self.request()


def pool(command: Pool) -> dict[str, Any]:
    """Run the benchmark."""
    with resized(command.avatars, command.size) as avatars:
        state = swaying(load_manifest(avatars / command.avatar), 0.5)
        rows = [
            asyncio.run(_measure(command, avatars, state, workers)) for workers in command.workers
        ]
    for row in rows:
        print(
            f"{row['workers']} workers, {row['lines']} viewers: {row['refreshes_per_s']} "
            f"refreshes per second, {row['request_to_ready_ms']['p50']} ms from request to ready"
        )
    return {"threads": command.threads, "rest": command.rest, "rows": rows}


async def _measure(command: Pool, avatars: Path, state: FrameState, workers: int) -> dict[str, Any]:
    settings = PoolSettings(
        devices=command.device, workers=workers, threads=command.threads, rest=command.rest
    )
    pool = RenderPool(settings, ModelEngineFactory(avatars))
    began = time.perf_counter()
    await pool.start()
    try:
        async with asyncio.timeout(_START_S):
            while not all(worker.ready for worker in pool.status().workers):
                await asyncio.sleep(0.05)
        ready_s = time.perf_counter() - began
        count = command.lines or workers
        viewers = [_Viewer(pool.open_slots(command.avatar), state) for _ in range(count)]
        for viewer in viewers:
            viewer.request()
        await asyncio.sleep(_WARM_UP_S)
        for viewer in viewers:
            viewer.waits_ms.clear()
        began = time.perf_counter()
        await asyncio.sleep(command.seconds)
        waits_ms = [wait for viewer in viewers for wait in viewer.waits_ms]
        elapsed_s = time.perf_counter() - began
    finally:
        await pool.close()
    return {
        "workers": workers,
        "lines": count,
        "refreshes_per_s": round(len(waits_ms) / elapsed_s, 2),
        "request_to_ready_ms": percentiles(waits_ms),
        "start_s": round(ready_s, 2),
    }
