"""The render pool on the device: caches from another process, killed workers, memory."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import torch

from models.avatar.folder import SHIPPED, load_avatar
from models.contract.frame_state import FrameState
from models.contract.images import Nv12Image
from scripts.benchmarking.avatars import swaying
from scripts.gpu_checks.check import Target, Values, expect
from server.pool.cache_slots import CacheSlots
from server.pool.engine_factory import ModelEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.protocol.states import FrameInputs

_START_S, _STEP_S = 100.0, 20.0
_VIEWERS, _DRY_VIEWERS = 50, 5
_LEFT_MB = 64.0
"""Memory that may stay in use after all viewers have left, because torch keeps freed blocks."""


def pool(target: Target) -> Values:
    """Warp caches that a real worker has filled, before and after it is killed."""
    return asyncio.run(_pool(target))


def viewers(target: Target) -> Values:
    """Open and close the slots of many viewers, and compare the memory in use."""
    return asyncio.run(_viewers(target))


async def _pool(target: Target) -> Values:
    began = time.perf_counter()
    async with _running(target) as pool:
        values: Values = {"ready_s": round(time.perf_counter() - began, 1)}
        slots = pool.open_slots("default")
        await _refresh(slots, _state(0.2))
        before = await _warp(pool, slots, _state(0.5))
        worker = pool.status().workers[0]
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        await _until(lambda: not pool.ready)
        during = await _warp(pool, slots, _state(0.5))
        expect(np.array_equal(before, during), "expected the same frame from the old cache", values)
        killed = time.perf_counter()
        await _until(lambda: pool.ready, _START_S)
        values["replaced_s"] = round(time.perf_counter() - killed, 1)
        times = []
        for index in range(10):
            started = time.perf_counter()
            await _refresh(slots, _state(0.3 + index / 50))
            times.append((time.perf_counter() - started) * 1e3)
        values["request_to_ready_ms"] = round(sorted(times)[5], 2)
        after = await _warp(pool, slots, _state(0.5))
        expect(not np.array_equal(after, before), "expected a frame from the new cache", values)
        expect(pool.status().devices[0].failures == 0, "expected no failure of the device", values)
    return values


async def _viewers(target: Target) -> Values:
    async with _running(target) as pool:
        await _come_and_go(pool, 5)  # so that both processes have allocated their permanent memory
        before = _used_mb(target)
        count = _VIEWERS if target.is_gpu else _DRY_VIEWERS
        await _come_and_go(pool, count)
        values: Values = {"viewers": count, "before_mb": before, "after_mb": _used_mb(target)}
        worker = pool.status().workers[0]
        assert worker.pid is not None
        held = [pool.open_slots("default") for _ in range(5)]
        for slots in held:
            await _refresh(slots, _state(0.1))
        os.kill(worker.pid, signal.SIGKILL)
        await _until(lambda: not pool.ready)
        for slots in held:
            slots.close()
        await _until(lambda: pool.ready, _START_S)
        await _come_and_go(pool, 5)
        values["after_kill_mb"] = _used_mb(target)
    if before is not None:
        grown = max(values["after_mb"], values["after_kill_mb"]) - before
        expect(grown <= _LEFT_MB, f"expected at most {_LEFT_MB:g} MB more, got {grown:g}", values)
    return values


async def _come_and_go(pool: RenderPool, count: int) -> None:
    for index in range(count):
        slots = pool.open_slots("default")
        await _refresh(slots, _state(index / 10))
        await _warp(pool, slots, _state(0.5))
        slots.close()


@asynccontextmanager
async def _running(target: Target) -> AsyncIterator[RenderPool]:
    # Warps in a process, as servers with GPUs do, also in a dry run.
    settings = PoolSettings(
        devices=target.device, workers=1, threads=1, rest=0.0, warp_in="process"
    )
    pool = RenderPool(settings, ModelEngineFactory(SHIPPED))
    await pool.start()
    try:
        await pool.wait_ready(_START_S)
        yield pool
    finally:
        await pool.close()


async def _refresh(slots: CacheSlots, state: FrameState) -> None:
    generation = slots.generation
    slots.request(lambda ahead_s: state)
    await _until(lambda: slots.generation > generation)


async def _warp(pool: RenderPool, slots: CacheSlots, state: FrameState) -> Nv12Image:
    inputs = FrameInputs(revision=1, view=None, mesh=None, state=state)
    frame = await slots.warp(slots.sequence, lambda: inputs)
    assert frame is not None
    return frame.nv12


async def _until(condition: Callable[[], bool], timeout_s: float = _STEP_S) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.001)


def _state(time_s: float) -> FrameState:
    return swaying(_MANIFEST, time_s)


_MANIFEST = load_avatar(SHIPPED / "default").manifest


def _used_mb(target: Target) -> float | None:
    """Return the memory in use on a GPU; None on a CPU, whose caches are not in device memory."""
    if not target.is_gpu:
        return None
    torch.cuda.empty_cache()
    free, total = torch.cuda.mem_get_info(target.device)
    return round((total - free) / 1e6, 1)
