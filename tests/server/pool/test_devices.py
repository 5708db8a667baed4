"""Failed devices when a thread warps: lost frames, and when a device is used again."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest

from server.errors import NotReadyError
from server.pool.cache_slots import CacheSlots
from server.pool.fake import (
    FakeEngineFactory,
    always,
    breaking,
    fake_avatar,
    fake_state,
    losing_device,
)
from server.pool.jobs import SlotHandle
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.pool.supervisor import Timeouts
from tests.server.pool.test_pool import READY_S, pid, refreshed, until, warp

GPUS = ("cuda:0", "cuda:1")
QUICK = Timeouts(backoff_s=0.02, max_backoff_s=0.02)


@asynccontextmanager
async def running(
    factory: FakeEngineFactory, devices: str = "auto", timeouts: Timeouts = QUICK
) -> AsyncIterator[RenderPool]:
    settings = PoolSettings(devices=devices, workers=1, warp_in="thread", timeouts=timeouts)
    pool = RenderPool(settings, factory)
    await pool.start()
    try:
        await until(lambda: all(w.ready or w.problem for w in pool.status().workers))
        yield pool
    finally:
        await pool.close()


def handle_of(slots: CacheSlots) -> SlotHandle | None:
    handles: list[SlotHandle | None] = []
    slots.memory.export(handles.append)
    return handles[0]


async def test_a_device_error_closes_the_slots_of_that_device_only() -> None:
    async with running(FakeEngineFactory(device_names=GPUS, rebuilds=False)) as pool:
        lost, kept = pool.open_slots("default"), pool.open_slots("default")
        assert pool.sizes(fake_avatar(resolution=320)) == (320,), "by default only on GPUs"
        assert (lost.device, kept.device) == GPUS
        notified: list[str] = []
        lost.on_device_failed.append(lambda: notified.append("lost"))
        kept.on_device_failed.append(lambda: notified.append("kept"))
        await refreshed(lost, 0.5)
        await refreshed(kept, 0.5)
        assert await warp(pool, lost, losing_device(fake_state())) is None
        await until(lambda: lost.device_failed)
        assert await warp(pool, lost, fake_state()) is None
        assert await warp(pool, kept, fake_state()) is not None
        assert notified == ["lost"]
        assert pool.ready
        assert [pool.open_slots("default").device for _ in range(3)] == ["cuda:1"] * 3
        broken, whole = pool.status().devices
        assert broken.problem is not None
        assert (whole.working, whole.problem, whole.failures) == (True, None, 0)
        assert not broken.working
        assert not pool.lost.is_set()
        lost.close()


async def test_the_cause_of_a_device_error_is_stated_and_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    expected = "RuntimeError: CUDA error: an illegal memory access was encountered"
    factory = FakeEngineFactory(device_names=("cuda:0",), rebuilds=False)
    async with running(factory, timeouts=Timeouts()) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        await warp(pool, slots, losing_device(fake_state()))
        await until(lambda: not pool.ready)
        assert expected.removeprefix("RuntimeError: ") in (pool.reason or "")
        with pytest.raises(NotReadyError, match=r"cuda:0: .*illegal memory access"):
            pool.open_slots("default")
    assert expected in caplog.text


async def test_a_device_whose_engine_can_be_built_again_is_used_again() -> None:
    async with running(FakeEngineFactory(device_names=("cuda:0",))) as pool:
        for failures in (1, 2):
            slots = pool.open_slots("default")
            await refreshed(slots, 0.5)
            assert await warp(pool, slots, losing_device(fake_state())) is None
            # Do not wait for the pool to be not ready: it can be ready again before the check.
            await until(partial(getattr, slots, "device_failed"))
            slots.close()
            await pool.wait_ready(READY_S)
            assert pool.status().devices[0].failures == failures
        slots = pool.open_slots("default")
        await refreshed(slots, 0.6)
        assert await warp(pool, slots, fake_state()) is not None
        assert pool.status().devices[0].problem is None


async def test_slots_of_a_failed_engine_are_not_warped_by_the_next_one() -> None:
    async with running(FakeEngineFactory(device_names=("cuda:0",))) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        await warp(pool, slots, losing_device(fake_state()))
        await until(lambda: slots.device_failed and pool.ready)
        assert await warp(pool, slots, fake_state()) is None


async def test_an_error_that_the_device_survives_costs_one_frame() -> None:
    async with running(FakeEngineFactory(device_names=GPUS)) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        with pytest.raises(RuntimeError, match="made to break"):
            await warp(pool, slots, breaking(fake_state()))
        assert await warp(pool, slots, fake_state()) is not None
        assert not slots.device_failed
        assert [device.failures for device in pool.status().devices] == [0, 0]


async def test_a_device_failure_between_warps_is_found_by_the_next_viewer() -> None:
    factory = FakeEngineFactory(device_names=GPUS, rebuilds=False)
    async with running(factory) as pool:
        factory.lost.add("cuda:0")
        assert pool.open_slots("default").device == "cuda:1"
        await until(lambda: not pool.status().devices[0].working)


async def test_the_memory_of_a_failed_device_is_not_queried() -> None:
    factory = FakeEngineFactory(device_names=GPUS, rebuilds=False)
    async with running(factory) as pool:
        assert pool.gpu_memory().keys() == set(GPUS)
        factory.lost.add("cuda:1")
        assert pool.gpu_memory().keys() == {"cuda:0"}
        await until(lambda: pool.devices == ("cuda:0",))


async def test_a_process_that_cannot_build_its_only_device_again_reports_the_failure() -> None:
    async with running(FakeEngineFactory(device_names=("cuda:0",), rebuilds=False)) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        await warp(pool, slots, losing_device(fake_state()))
        await asyncio.wait_for(pool.lost.wait(), READY_S)
        assert pool.failing


@pytest.mark.parametrize("devices", ["auto", "cuda:0,cuda:1"])
async def test_a_gpu_whose_engine_cannot_be_built_is_left_out(
    devices: str, caplog: pytest.LogCaptureFixture
) -> None:
    factory = FakeEngineFactory(device_names=GPUS, missing_devices=("cuda:0",))
    async with running(factory, devices) as pool:
        assert pool.devices == ("cuda:1",)
        assert [pool.open_slots("default").device for _ in range(2)] == ["cuda:1"] * 2
        assert pool.avatars.keys() == {"default"}
    assert "cuda:0 is left out: " in caplog.text
    assert "cuda:0 is busy or unavailable" in caplog.text


async def test_auto_falls_back_to_the_cpu_and_logs_it_once_if_no_gpu_engine_can_be_built(
    caplog: pytest.LogCaptureFixture,
) -> None:
    factory = FakeEngineFactory(device_names=GPUS, missing_devices=GPUS)
    caplog.set_level(logging.INFO)
    async with running(factory) as pool:
        slots = pool.open_slots("default")
        assert slots.device == "cpu"
        await refreshed(slots, 0.5)
        assert await warp(pool, slots, fake_state()) is not None
        assert [device.name for device in pool.status().devices] == ["cpu"]
    assert caplog.text.count("rendering on the CPU") == 1
    assert "no GPU can be used (CUDA error: cuda:0 is busy or unavailable)" in caplog.text


async def test_a_selected_gpu_whose_engine_cannot_be_built_fails_the_start() -> None:
    factory = FakeEngineFactory(device_names=GPUS, missing_devices=GPUS)
    pool = RenderPool(PoolSettings(devices="cuda:0", workers=1, warp_in="thread"), factory)
    with pytest.raises(RuntimeError, match="cuda:0 is busy or unavailable"):
        await pool.start()
    assert [worker.state for worker in pool.status().workers] == ["stopped"]


async def test_open_handles_of_a_killed_worker_are_reclaimed_and_closed_ones_are_not() -> None:
    factory = FakeEngineFactory(device_names=("cuda:0",))
    async with running(factory) as pool:
        closed, held = pool.open_slots("default"), pool.open_slots("default")
        closed_handle, held_handle = handle_of(closed), handle_of(held)
        await refreshed(held, 0.5)
        closed.close()
        await refreshed(held, 0.6)  # the worker has closed the other handle by now
        os.kill(pid(pool), signal.SIGKILL)
        await until(lambda: not pool.ready)
        assert factory.reclaimed == [held_handle]
        assert closed_handle not in factory.reclaimed
        await pool.wait_ready(READY_S)
        await refreshed(held, 0.7)
    assert factory.reclaimed == [held_handle], "a stopped worker closes its handles"


async def test_a_handle_that_a_worker_could_not_open_is_reclaimed() -> None:
    factory = FakeEngineFactory(device_names=("cuda:0",), refresh_s=0.3)
    async with running(factory) as pool:
        busy = pool.open_slots("default")
        busy.request(always(fake_state()))
        await until(lambda: pool.status().workers[0].state == "busy")
        left = pool.open_slots("default")  # and is released before the worker opens it
        handle = handle_of(left)
        left.close()
        await until(lambda: factory.reclaimed == [handle])


async def test_viewers_are_placed_on_devices_with_memory() -> None:
    factory = FakeEngineFactory(
        (fake_avatar("default"),), device_names=GPUS, full_devices=("cuda:0",)
    )
    async with running(factory) as pool:
        assert [pool.open_slots("default").device for _ in range(2)] == ["cuda:1"] * 2


async def test_slots_of_a_failed_device_close_while_their_worker_runs() -> None:
    async with running(FakeEngineFactory(device_names=GPUS, rebuilds=False)) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        await warp(pool, slots, losing_device(fake_state()))
        await until(lambda: slots.device_failed)
        slots.request(always(fake_state(0.7)))
        slots.close()
        assert pool.status().open_slots == 0
        assert pool.status().devices[0].open_slots == 0
