"""Warps in a device process: the same frames as in a thread, and the effects of its failure."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from models.contract.backdrop import TRANSPARENT, Backdrop
from models.contract.images import layered_rows
from server.errors import NotReadyError, RenderError
from server.pool.cache_slots import CacheSlots
from server.pool.fake import (
    FakeEngineFactory,
    breaking,
    decode_frame,
    exhausting,
    failing,
    fake_state,
    hanging,
    losing_device,
)
from server.pool.frame import FrameSequence
from server.pool.frame_ring import RING_ENTRIES
from server.pool.pool import RenderPool
from server.pool.process_backend import ProcessBackend
from server.pool.settings import PoolSettings
from server.pool.supervisor import Timeouts
from server.protocol.states import FrameInputs
from tests.server.pool.test_pool import (
    READY_S,
    STEP,
    alive,
    mapped_blocks,
    refreshed,
    until,
    warp,
    warped_from_a_worker,
)

BACK_S = 5.0
"""Longest time without frames after a device process has ended, seconds."""
QUICK = Timeouts(warp_s=0.5, ping_s=0.1, backoff_s=0.02, max_backoff_s=0.02)


@asynccontextmanager
async def running(
    factory: FakeEngineFactory | None = None,
    timeouts: Timeouts = QUICK,
    devices: str = "auto",
) -> AsyncIterator[RenderPool]:
    settings = PoolSettings(
        devices=devices, workers=1, rest=0.0, warp_in="process", timeouts=timeouts
    )
    pool = RenderPool(settings, factory or FakeEngineFactory())
    await pool.start()
    try:
        await pool.wait_ready(READY_S)
        yield pool
    finally:
        await pool.close()


def device_pid(pool: RenderPool) -> int:
    backend = pool._devices.all[0]._backend
    assert isinstance(backend, ProcessBackend)
    assert backend.pid is not None
    return backend.pid


async def warped_again(pool: RenderPool, slots: CacheSlots) -> float:
    """Request a frame as a session does; return the seconds until it arrives."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(BACK_S):
        while await warp(pool, slots, fake_state(0.3)) is None:
            assert await pool.wait_warps(slots)
    return loop.time() - began


async def test_a_warp_shows_the_requested_state_from_the_cache_of_a_worker() -> None:
    async with running() as pool:
        slots = pool.open_slots("default")
        frame = await warped_from_a_worker(pool, slots)
        assert frame.stages_ms.keys() == {"queue", "raster", "warp"}


async def test_frames_over_backdrops_and_of_other_sizes_are_made_beside_batches() -> None:
    async with running(FakeEngineFactory(warp_s=0.02, batch=4)) as pool:
        slots, larger = pool.open_slots("default"), pool.open_slots("default", 256)
        await refreshed(slots, 0.8)
        await refreshed(larger, 0.8)
        backdrops = [None, TRANSPARENT, Backdrop((0, 255, 0)), None, Backdrop((0, 0, 0))]
        sequences = [slots.use_sequence(backdrop) for backdrop in backdrops]
        sequences[3] = FrameSequence()
        asked = [(slots, sequence) for sequence in sequences]
        asked.insert(1, (larger, larger.sequence))
        sample = partial(inputs, 1, 0.2)
        made = await asyncio.gather(*(one.warp(sequence, sample) for one, sequence in asked))
        large = made.pop(1)
        assert large is not None
        assert large.nv12.shape == (384, 256), "larger than the initial capacity of the ring"
        frames = [frame.nv12 for frame in made if frame is not None]
        tall = layered_rows(64)
        assert [len(frame) * 2 // 3 for frame in frames] == [64, tall, 64, 64, 64]
        assert [frame[32, 0] for frame in (frames[2], frames[4])] == [235, 16]
        assert decode_frame(frames[0]) == decode_frame(frames[3])
        assert (frames[1][:64] == frames[0][:64]).all()


async def test_a_queued_frame_shows_inputs_that_change_meanwhile() -> None:
    async with running(FakeEngineFactory(warp_s=0.1), QUICK) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.8)
        first = asyncio.ensure_future(warp(pool, slots, fake_state(0.1)))
        await asyncio.sleep(0.02)  # keeps the process busy
        newest = [inputs(1, 0.2)]
        waiting = slots.warp(slots.sequence, lambda: newest[-1])
        for revision in range(2, 9):
            newest.append(inputs(revision, 0.2 + revision / 100))
            waiting.inputs_changed()
        await first
        frame = await waiting
        assert frame is not None
        assert frame.inputs is newest[-1]
        assert decode_frame(frame.nv12).jaw_open == pytest.approx(0.28, abs=STEP)
        newest.append(inputs(9, 0.9))
        waiting.inputs_changed()  # too late to have an effect


async def test_inputs_of_an_earlier_frame_are_never_reused() -> None:
    async with running(FakeEngineFactory(warp_s=0.002)) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.8)
        for number in range(1, 40):
            newest = [inputs(number, number / 50)]
            waiting = slots.warp(slots.sequence, partial(newest.__getitem__, -1))
            for change in range(number % 4):
                newest.append(inputs(number, (number + 0.3 * change) / 50))
                waiting.inputs_changed()
            frame = await waiting
            assert frame is not None
            assert frame.inputs in newest
            shown = float(frame.inputs.state.expression[17])
            assert decode_frame(frame.nv12).jaw_open == pytest.approx(shown, abs=STEP)


def inputs(revision: int, jaw_open: float) -> FrameInputs:
    return FrameInputs(revision=revision, view=None, mesh=None, state=fake_state(jaw_open))


async def test_more_viewers_than_the_ring_has_entries_are_served_in_order() -> None:
    async with running(FakeEngineFactory(warp_s=0.005)) as pool:
        viewers = [pool.open_slots("default") for _ in range(2 * RING_ENTRIES + 1)]
        for slots in viewers:
            await refreshed(slots, 0.5)
        order: list[int] = []

        async def watch(index: int) -> None:
            frame = await warp(pool, viewers[index], fake_state(index / 20))
            assert frame is not None
            assert decode_frame(frame.nv12).jaw_open == pytest.approx(index / 20, abs=STEP)
            order.append(index)

        await asyncio.gather(*map(watch, range(len(viewers))))
        assert order == list(range(len(viewers)))


async def test_viewers_that_are_due_are_warped_in_one_batch() -> None:
    factory = FakeEngineFactory(warp_s=0.1, batch=8)
    async with running(factory) as pool:
        viewers = [pool.open_slots("default") for _ in range(6)]
        for slots in viewers:
            await refreshed(slots, 0.5)
        loop = asyncio.get_running_loop()
        began = loop.time()
        busy = asyncio.ensure_future(warp(pool, viewers[0], fake_state(0.9)))
        await asyncio.sleep(0.02)
        frames = await asyncio.gather(
            *(warp(pool, slots, fake_state(i / 10)) for i, slots in enumerate(viewers))
        )
        assert loop.time() - began < 0.1 * len(viewers)
        assert [decode_frame(f.nv12).jaw_open for f in frames if f is not None] == pytest.approx(
            [i / 10 for i in range(6)], abs=STEP
        )
        assert await busy is not None


async def test_a_refused_state_costs_no_other_viewer_of_its_batch_a_frame() -> None:
    async with running(FakeEngineFactory(warp_s=0.05, batch=8)) as pool:
        viewers = [pool.open_slots("default") for _ in range(3)]
        for slots in viewers:
            await refreshed(slots, 0.5)
        busy = asyncio.ensure_future(warp(pool, viewers[0], fake_state(0.9)))
        await asyncio.sleep(0.02)
        states = [fake_state(0.1), failing(fake_state()), fake_state(0.3)]
        results = await asyncio.gather(
            *(warp(pool, s, state) for s, state in zip(viewers, states, strict=True)),
            return_exceptions=True,
        )
        assert isinstance(results[1], RenderError)
        assert [isinstance(result, Exception) for result in results] == [False, True, False]
        await busy


async def test_viewers_with_the_same_inputs_share_an_image() -> None:
    async with running() as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        one = await warp(pool, slots, fake_state(0.4))
        other = await warp(pool, slots, fake_state(0.4))
        assert one is not None
        assert other is not None
        assert other.nv12 is one.nv12
        assert other.stages_ms["warp"] == 0


@pytest.mark.parametrize("fault", ["kill", "stop", "memory", "device"])
async def test_viewers_keep_their_caches_and_get_frames_after_the_process_is_replaced(
    fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running() as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.8)
        assert await warp(pool, slots, fake_state(0.1)) is not None
        ended = device_pid(pool)
        if fault == "kill":
            os.kill(ended, signal.SIGKILL)
        elif fault == "stop":
            os.kill(ended, signal.SIGSTOP)
        elif fault == "memory":
            assert await warp(pool, slots, exhausting(fake_state())) is None
        else:
            assert await warp(pool, slots, losing_device(fake_state())) is None
        await until(lambda: not pool.ready)
        assert "cpu: the device has failed" in (pool.reason or "")
        with pytest.raises(NotReadyError):
            pool.open_slots("default")
        assert await warped_again(pool, slots) < BACK_S
        assert not slots.device_failed
        assert slots.generation == 1, "a different cache was used"
        frame = await warp(pool, slots, fake_state(0.3))
        assert frame is not None
        assert decode_frame(frame.nv12).cached_jaw_open == pytest.approx(0.8, abs=STEP)
        assert not alive(ended)
        assert pool.ready
        (device,) = pool.status().devices
        assert (device.failures, device.problem) == (1, None)
        await refreshed(slots, 0.9)
    expected = {"kill": "code -9", "stop": "hung: no answer for 0.5 s", "memory": "MemoryError"}
    assert expected.get(fault, "illegal memory access") in caplog.text


async def test_an_error_that_the_device_survives_costs_one_frame() -> None:
    async with running() as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        process = device_pid(pool)
        with pytest.raises(RuntimeError, match="made to break"):
            await warp(pool, slots, breaking(fake_state()))
        assert await warp(pool, slots, fake_state()) is not None
        assert device_pid(pool) == process


async def test_only_the_viewer_whose_frames_end_the_process_loses_its_slots() -> None:
    async with running() as pool:
        bad, good = pool.open_slots("default"), pool.open_slots("default")
        await refreshed(bad, 0.5)
        await refreshed(good, 0.6)
        lost: list[str] = []
        bad.on_device_failed.append(lambda: lost.append("bad"))
        good.on_device_failed.append(lambda: lost.append("good"))
        for _ in range(2):
            assert await warp(pool, bad, hanging(fake_state())) is None
            await warped_again(pool, good)
        assert lost == ["bad"]
        bad.close()
        assert await warp(pool, good, fake_state(0.2)) is not None


async def test_slots_in_gpu_memory_close_with_their_process_and_new_ones_work() -> None:
    async with running(FakeEngineFactory(device_names=("cuda:0",))) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        assert await warp(pool, slots, fake_state()) is not None
        os.kill(device_pid(pool), signal.SIGKILL)
        await until(lambda: slots.device_failed)
        assert not await pool.wait_warps(slots)
        slots.close()
        async with asyncio.timeout(BACK_S):
            await until(lambda: pool.ready)
            again = pool.open_slots("default")
            await refreshed(again, 0.7)
            assert await warp(pool, again, fake_state()) is not None


async def test_a_replaced_worker_gets_handles_from_the_device_process() -> None:
    async with running(FakeEngineFactory(device_names=("cuda:0",))) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        worker = pool.status().workers[0].pid
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        await until(lambda: pool.status().workers[0].restarts == 1 and pool.ready)
        await refreshed(slots, 0.7)
        frame = await warp(pool, slots, fake_state())
        assert frame is not None
        assert decode_frame(frame.nv12).cached_jaw_open == pytest.approx(0.7, abs=STEP)


async def test_an_engine_that_cannot_be_built_is_reported_and_leaves_no_process() -> None:
    pool = RenderPool(
        PoolSettings(workers=1, warp_in="process"), FakeEngineFactory(builds_in_server=False)
    )
    with pytest.raises(RuntimeError, match="no memory left on cpu"):
        await pool.start()
    assert [worker.state for worker in pool.status().workers] == ["stopped"]


async def test_the_capacity_is_measured_in_the_device_process() -> None:
    async with running(FakeEngineFactory(warp_s=0.01)) as pool:
        found = (await pool.benchmark_warps(0.1))["cpu"]
        assert 0.01 <= found.warp_s < 0.1
        assert found.locked_s == 0
        assert found.images[0].shape == (96, 64)


async def test_an_added_avatar_is_warped_also_by_the_next_process(tmp_path: Path) -> None:
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "manifest.json").write_text('{"id": "large", "resolution": 128}')
    async with running() as pool:
        await pool.add_avatar(folder)
        slots = pool.open_slots("large")
        await refreshed(slots, 0.5)
        frame = await warp(pool, slots, fake_state())
        assert frame is not None
        assert frame.nv12.shape == (192, 128)
        os.kill(device_pid(pool), signal.SIGKILL)
        await until(lambda: not pool.ready)
        await warped_again(pool, slots)
        slots.close()
        await pool.remove_avatar("large", lambda: None)


async def test_closing_leaves_no_process_or_memory() -> None:
    before = mapped_blocks()
    async with running(FakeEngineFactory(warp_s=0.05)) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        process = device_pid(pool)
        warping = asyncio.ensure_future(warp(pool, slots, fake_state()))
        await asyncio.sleep(0.01)
    assert not alive(process)
    assert mapped_blocks() == before
    assert await warping is not None


async def test_both_backends_make_identical_frames() -> None:
    frames = {}
    for place in ("thread", "process"):
        pool = RenderPool(PoolSettings(workers=1, warp_in=place), FakeEngineFactory())
        await pool.start()
        await pool.wait_ready(READY_S)
        slots = pool.open_slots("default")
        await refreshed(slots, 0.37)
        made = [await warp(pool, slots, fake_state(i / 7, i / 9)) for i in range(5)]
        frames[place] = np.stack([frame.nv12 for frame in made if frame is not None])
        await pool.close()
    assert np.array_equal(frames["thread"], frames["process"])


@pytest.fixture(autouse=True)
def _capture_supervisor_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "server.pool")
