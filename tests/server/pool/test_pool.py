"""The pool with real spawned processes and shared memory; only the engine is fake."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from models.contract.frame_state import FrameState
from server.errors import AvatarNotFoundError, NotReadyError, PoolBusyError, RenderError
from server.pool.cache_slots import CacheSlots
from server.pool.fake import (
    FakeEngineFactory,
    always,
    breaking,
    decode_frame,
    decode_image,
    failing,
    fake_avatar,
    fake_state,
    hanging,
)
from server.pool.frame import Frame
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.pool.supervisor import Timeouts
from server.protocol.states import FrameInputs

READY_S = 20.0
STEP = 1 / 255
"""Quantisation of the values drawn into an image."""


@asynccontextmanager
async def running(
    factory: FakeEngineFactory | None = None,
    timeouts: Timeouts | None = None,
    workers: int = 1,
    max_pending_renders: int = 8,
    rest: float = 0.0,
) -> AsyncIterator[RenderPool]:
    settings = PoolSettings(
        workers=workers,
        max_pending_renders=max_pending_renders,
        rest=rest,
        timeouts=timeouts or Timeouts(),
    )
    pool = RenderPool(settings, factory or FakeEngineFactory())
    await pool.start()
    try:
        await pool.wait_ready(READY_S)
        yield pool
    finally:
        await pool.close()


async def until(condition: Callable[[], bool], timeout_s: float = READY_S) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


async def warp(pool: RenderPool, slots: CacheSlots, state: FrameState) -> Frame | None:
    """Warp the newest cache to a state."""
    inputs = FrameInputs(revision=1, view=None, mesh=None, state=state)
    return await slots.warp(slots.sequence, lambda: inputs)


async def refreshed(slots: CacheSlots, jaw_open: float) -> None:
    """Request a cache and wait for it."""
    slots.request(always(fake_state(jaw_open)))
    await until(lambda: cached_jaw_open(slots) == pytest.approx(jaw_open))


async def warped_from_a_worker(pool: RenderPool, slots: CacheSlots) -> Frame:
    """Return the frame of new slots that a first cache makes possible, and check what it shows."""
    assert await warp(pool, slots, fake_state()) is None
    await refreshed(slots, 0.8)
    frame = await warp(pool, slots, fake_state(0.2, eye_x=0.5))
    assert frame is not None
    shown = decode_frame(frame.nv12)
    assert shown.jaw_open == pytest.approx(0.2, abs=STEP)
    assert shown.eye_x == pytest.approx(0.5, abs=2 * STEP)
    assert shown.cached_jaw_open == pytest.approx(0.8, abs=STEP)
    assert frame.cache.generation == 1
    return frame


def cached_jaw_open(slots: CacheSlots) -> float | None:
    return float(slots.ready.state.expression[17]) if slots.ready else None


def pid(pool: RenderPool) -> int:
    found = pool.status().workers[0].pid
    assert found is not None
    return found


def alive(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def mapped_blocks() -> set[Path]:
    """Return the shared memory that this process has mapped."""
    mappings = Path("/proc/self/maps").read_text().splitlines()
    return {Path(mapping.split()[5]) for mapping in mappings if "/dev/shm/psm_" in mapping}


async def test_a_warp_shows_the_requested_state_from_the_cache_of_a_worker() -> None:
    async with running() as pool:
        slots = pool.open_slots("default")
        await warped_from_a_worker(pool, slots)
        assert pool.status().refreshes == 1
        assert pool.sizes(fake_avatar(resolution=320)) == (256, 320)
        larger = pool.open_slots("default", 256)
        await refreshed(larger, 0.6)
        frame = await warp(pool, larger, fake_state(0.2))
        assert frame is not None
        assert frame.nv12.shape == (384, 256)
        assert decode_frame(frame.nv12).cached_jaw_open == pytest.approx(0.6, abs=STEP)


async def test_the_newest_request_wins_while_a_slow_worker_is_busy() -> None:
    async with running(FakeEngineFactory(refresh_s=0.1)) as pool:
        slots = pool.open_slots("default")
        made: list[float | None] = []
        slots.on_ready.append(lambda: made.append(cached_jaw_open(slots)))
        for index in range(1, 31):
            slots.request(always(fake_state(index / 100)))
            await asyncio.sleep(0.01)
        await until(lambda: cached_jaw_open(slots) == pytest.approx(0.3))
        assert made[0] == pytest.approx(0.01)
        assert 3 <= len(made) <= 6
        assert pool.status().pending_refreshes == 0


@pytest.mark.alone  # beside other tests too few caches arrive during its warps
async def test_a_slot_is_never_written_while_it_is_read() -> None:
    # The fake engine's warp raises if its slot changes while it reads.
    async with running(FakeEngineFactory(warp_s=0.03)) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        for _ in range(20):
            warping = asyncio.ensure_future(warp(pool, slots, fake_state()))
            while not warping.done():
                slots.request(always(fake_state(0.6)))
                await asyncio.sleep(0.001)
            await warping
        assert slots.generation > 60


async def test_viewers_share_a_worker_but_not_their_caches() -> None:
    async with running(FakeEngineFactory(refresh_s=0.01)) as pool:
        all_slots = [pool.open_slots("default") for _ in range(3)]
        deadline = time.monotonic() + 0.6
        while time.monotonic() < deadline:
            for index, slots in enumerate(all_slots):
                slots.request(always(fake_state(index / 4)))
            await asyncio.sleep(0.002)
        counts = [slots.generation for slots in all_slots]
        assert max(counts) - min(counts) <= 1
        assert min(counts) > 5
        for index, slots in enumerate(all_slots):
            frame = await warp(pool, slots, fake_state())
            assert frame is not None
            assert decode_frame(frame.nv12).cached_jaw_open == pytest.approx(index / 4, abs=STEP)


async def test_a_killed_worker_is_replaced_and_warps_continue_meanwhile() -> None:
    async with running(FakeEngineFactory(refresh_s=0.3)) as pool:
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        killed = pid(pool)
        slots.request(always(fake_state(0.6)))
        os.kill(killed, signal.SIGKILL)
        await until(lambda: not pool.ready)
        slots.request(always(fake_state(0.7)))
        frame = await warp(pool, slots, fake_state())
        assert frame is not None
        assert decode_frame(frame.nv12).cached_jaw_open == pytest.approx(0.5, abs=STEP)
        await until(lambda: slots.generation == 2)
        assert cached_jaw_open(slots) == pytest.approx(0.7)
        worker = pool.status().workers[0]
        assert (worker.restarts, worker.problem) == (1, None)
        assert worker.pid != killed


async def test_the_current_request_is_repeated_when_its_worker_dies() -> None:
    async with running(FakeEngineFactory(refresh_s=0.2)) as pool:
        slots = pool.open_slots("default")
        slots.request(always(fake_state(0.4)))
        await until(lambda: pool.status().workers[0].state == "busy")
        os.kill(pid(pool), signal.SIGKILL)
        await until(lambda: slots.generation == 1)
        assert cached_jaw_open(slots) == pytest.approx(0.4)


async def test_requests_of_several_viewers_wait_for_a_new_worker_and_are_all_completed() -> None:
    async with running() as pool:
        all_slots = [pool.open_slots("default") for _ in range(4)]
        os.kill(pid(pool), signal.SIGKILL)
        for number, slots in enumerate(all_slots):
            slots.request(always(fake_state(number / 10)))
        await until(lambda: pool.status().workers[0].restarts == 1)
        await until(lambda: all(slots.ready for slots in all_slots))
        assert [slots.failed_refreshes for slots in all_slots] == [0] * 4


async def test_a_hung_worker_is_killed_and_replaced() -> None:
    async with running(timeouts=Timeouts(job_s=0.2)) as pool:
        slots = pool.open_slots("default")
        hung = pid(pool)
        slots.request(always(hanging(fake_state(0.1))))
        await until(lambda: pool.status().workers[0].state == "busy")
        slots.request(always(fake_state(0.2)))
        await until(lambda: slots.generation == 1)
        assert cached_jaw_open(slots) == pytest.approx(0.2)
        assert not alive(hung)
        assert pool.status().workers[0].restarts == 1


async def test_a_worker_rests_after_a_refresh_and_then_takes_the_newest_request() -> None:
    async with running(FakeEngineFactory(refresh_s=0.1), rest=3.0) as pool:
        slots = pool.open_slots("default")
        slots.request(always(fake_state(0.1)))
        await until(lambda: slots.generation == 1)
        finished_at = time.monotonic()
        slots.request(always(fake_state(0.2)))
        await asyncio.sleep(0.1)
        slots.request(always(fake_state(0.3)))
        await until(lambda: slots.generation == 2)
        # 0.3 s of rest, 0.1 s of refreshing; without the rest the first would have started at once.
        assert time.monotonic() - finished_at > 0.35
        assert cached_jaw_open(slots) == pytest.approx(0.3)


async def test_a_refused_state_fails_its_own_request_only() -> None:
    async with running() as pool:
        slots = pool.open_slots("default")
        slots.request(always(failing(fake_state(0.1))))
        await until(lambda: slots.failed_refreshes == 1)
        await refreshed(slots, 0.2)
        with pytest.raises(RenderError, match="made to fail"):
            await warp(pool, slots, failing(fake_state()))
        with pytest.raises(RenderError, match="made to fail"):
            await pool.render("default", failing(fake_state()))
        assert await warp(pool, slots, fake_state()) is not None
        assert pool.status().workers[0].restarts == 0


async def test_single_images_are_rendered_in_both_modes() -> None:
    async with running() as pool:
        full = decode_image(await pool.render("default", fake_state(0.4)))
        assert full.jaw_open == full.cached_jaw_open == pytest.approx(0.4, abs=STEP)
        rgb = await pool.render("default", fake_state(0.4), "warp", fake_state(0.8))
        assert rgb.shape == (64, 64, 3)
        assert decode_image(rgb).cached_jaw_open == pytest.approx(0.8, abs=STEP)
        assert pool.status().renders == 2


async def test_an_image_whose_worker_dies_is_retried_once_and_then_fails() -> None:
    async with running() as pool:
        with pytest.raises(RenderError, match="the worker died while rendering it"):
            await pool.render("default", breaking(fake_state()))
        await until(lambda: pool.ready)
        assert pool.status().workers[0].restarts == 2
        assert decode_image(await pool.render("default", fake_state(0.6))).jaw_open == 0.6


async def test_more_images_than_the_limit_are_refused() -> None:
    async with running(FakeEngineFactory(full_s=0.1), max_pending_renders=2) as pool:
        waiting = [
            asyncio.ensure_future(pool.render("default", fake_state(index / 10)))
            for index in range(3)
        ]
        await asyncio.sleep(0.02)
        with pytest.raises(PoolBusyError, match="2 images are waiting"):
            await pool.render("default", fake_state())
        shown = [decode_image(rgb).jaw_open for rgb in await asyncio.gather(*waiting)]
        assert shown == [pytest.approx(index / 10, abs=STEP) for index in range(3)]


async def test_a_cancelled_image_is_not_rendered() -> None:
    async with running(FakeEngineFactory(full_s=0.05)) as pool:
        first, second = (
            asyncio.ensure_future(pool.render("default", fake_state())) for _ in range(2)
        )
        await asyncio.sleep(0.01)
        second.cancel()
        await first
        await asyncio.sleep(0.1)
        assert pool.status().renders == 1


async def test_images_and_refreshes_alternate_under_load() -> None:
    async with running(FakeEngineFactory(refresh_s=0.02, full_s=0.02)) as pool:
        slots = pool.open_slots("default")

        async def render_on() -> None:
            while True:
                await pool.render("default", fake_state())

        clients = [asyncio.ensure_future(render_on()) for _ in range(3)]
        deadline = time.monotonic() + 0.8
        while time.monotonic() < deadline:
            slots.request(always(fake_state()))
            await asyncio.sleep(0.002)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)
        status = pool.status()
        assert status.refreshes > 8
        assert abs(status.refreshes - status.renders) <= 2


async def test_a_worker_that_cannot_build_its_engine_is_reported_and_restarted() -> None:
    timeouts = Timeouts(backoff_s=0.01, max_backoff_s=0.02)
    pool = RenderPool(
        PoolSettings(workers=1, timeouts=timeouts), FakeEngineFactory(builds_in_workers=False)
    )
    await pool.start()
    assert "default" in pool.avatars
    assert pool.reason == "the render workers are still starting"
    await until(lambda: pool.failing and pool.status().workers[0].restarts >= 2)
    assert not pool.ready
    assert pool.reason is not None
    assert "the engine could not be built: RuntimeError: no memory left on cpu" in pool.reason
    with pytest.raises(NotReadyError, match="no memory left"):
        await pool.render("default", fake_state())
    with pytest.raises(NotReadyError, match="no memory left"):
        await pool.wait_ready(0.01)
    await pool.close()


def test_repeated_early_deaths_increase_the_restart_delay() -> None:
    timeouts = Timeouts(backoff_s=0.5, max_backoff_s=3.0)
    waits = [timeouts.backoff_delay_s(deaths) for deaths in range(7)]
    assert waits == [0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


@pytest.mark.alone
async def test_a_worker_that_exits_silently_is_reported_and_does_not_delay_closing() -> None:
    timeouts = Timeouts(backoff_s=60, max_backoff_s=60)
    pool = RenderPool(
        PoolSettings(workers=1, timeouts=timeouts), FakeEngineFactory(exits_in_workers=True)
    )
    await pool.start()
    await until(lambda: pool.status().workers[0].restarts == 2)
    assert pool.failing
    assert pool.reason == "cpu-0: the process ended with code 3"
    closing = time.monotonic()
    await pool.close()
    assert time.monotonic() - closing < 5


async def test_an_engine_that_cannot_be_built_in_the_server_fails_start_and_leaves_no_worker() -> (
    None
):
    pool = RenderPool(PoolSettings(workers=1), FakeEngineFactory(builds_in_server=False))
    with pytest.raises(RuntimeError, match="no memory left on cpu"):
        await pool.start()
    assert [worker.state for worker in pool.status().workers] == ["stopped"]


async def test_an_unknown_device_fails_start() -> None:
    pool = RenderPool(PoolSettings(devices="cuda:7"), FakeEngineFactory())
    with pytest.raises(ValueError, match=r"device must be one of .*, got .*cuda:7"):
        await pool.start()


async def test_an_unknown_avatar_is_refused_by_its_id() -> None:
    async with running() as pool:
        with pytest.raises(AvatarNotFoundError, match="no avatar 'nobody'; there are: default"):
            pool.open_slots("nobody")
        with pytest.raises(AvatarNotFoundError, match="no avatar 'nobody'"):
            await pool.render("nobody", fake_state())


async def test_slots_are_opened_on_the_device_with_the_fewest() -> None:
    async with running(FakeEngineFactory(device_names=("cuda:0", "cuda:1"))) as pool:
        await until(lambda: all(worker.state == "idle" for worker in pool.status().workers))
        all_slots = [pool.open_slots("default") for _ in range(4)]
        assert [slots.device for slots in all_slots] == ["cuda:0", "cuda:1"] * 2
        all_slots[1].close()
        assert pool.open_slots("default").device == "cuda:1"
        for slots in all_slots[2:]:
            await refreshed(slots, 0.3)
        # Slots that closed before their memory was exported did not end the worker.
        assert [worker.restarts for worker in pool.status().workers] == [0, 0]


async def test_closing_leaves_no_process_memory_or_descriptor() -> None:
    resource_tracker.ensure_running()  # Python's resource tracker keeps it until this process ends
    descriptors = len(os.listdir("/proc/self/fd"))
    before = mapped_blocks()  # held by a test server that other modules share
    async with running(FakeEngineFactory(refresh_s=0.05, warp_s=0.05), workers=2) as pool:
        await until(lambda: all(worker.state == "idle" for worker in pool.status().workers))
        all_slots = [pool.open_slots("default") for _ in range(3)]
        await refreshed(all_slots[0], 0.5)
        processes = [worker.pid for worker in pool.status().workers]
        await pool.render("default", fake_state())
        all_slots[2].close()
        for slots in all_slots:
            slots.request(always(fake_state()))
        warping = asyncio.ensure_future(warp(pool, all_slots[0], fake_state()))
        rendering = asyncio.ensure_future(pool.render("default", breaking(fake_state())))
        await asyncio.sleep(0.01)
        blocks = mapped_blocks() - before
        assert len(blocks) == 4  # slots of two viewers, and an image block per worker
    assert not any(alive(process) for process in processes if process)
    assert mapped_blocks() == before
    assert not any(block.exists() for block in blocks)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert await warping is not None
    with pytest.raises(RenderError, match=r"closing|died"):
        await rendering


@pytest.mark.alone
async def test_closing_while_workers_start_does_not_wait_for_them() -> None:
    pool = RenderPool(PoolSettings(workers=2), FakeEngineFactory())
    await pool.start()
    began = time.monotonic()
    await pool.close()
    assert time.monotonic() - began < 2
    assert {worker.state for worker in pool.status().workers} == {"stopped"}


_ORPHAN = """
import asyncio
from server.pool.fake import FakeEngineFactory, always, fake_state, hanging
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings

async def main():
    pool = RenderPool(PoolSettings(workers=2), FakeEngineFactory())
    await pool.start()
    while not all(worker.state == "idle" for worker in pool.status().workers):
        await asyncio.sleep(0.01)
    pool.open_slots("default").request(always(hanging(fake_state())))
    print(*(worker.pid for worker in pool.status().workers), flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


async def test_workers_end_when_the_server_is_killed_even_during_a_job(
    tmp_path: Path,
) -> None:
    script = tmp_path / "orphan.py"
    script.write_text(_ORPHAN)
    with subprocess.Popen(
        [sys.executable, script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        assert server.stdout is not None
        workers = [int(word) for word in server.stdout.readline().split()]
        assert len(workers) == 2
        assert all(alive(worker) for worker in workers)
        server.kill()
    await until(lambda: not any(alive(worker) for worker in workers), 5)


async def test_workers_ignore_ctrl_c() -> None:
    async with running() as pool:
        process = pid(pool)
        os.kill(process, signal.SIGINT)
        slots = pool.open_slots("default")
        await refreshed(slots, 0.5)
        assert pid(pool) == process


async def test_cpu_workers_run_at_a_raised_niceness() -> None:
    async with running() as pool:
        assert os.getpriority(os.PRIO_PROCESS, pid(pool)) == min(19, os.nice(0) + 10)


async def test_slots_closed_before_a_busy_worker_attaches_them_are_harmless() -> None:
    async with running(FakeEngineFactory(refresh_s=0.2)) as pool:
        staying = pool.open_slots("default")
        staying.request(always(fake_state(0.1)))
        await asyncio.sleep(0.05)  # the worker is busy now and reads further messages later
        for _ in range(20):
            pool.open_slots("default").close()
        await refreshed(staying, 0.9)
        assert pool.status().workers[0].restarts == 0


async def test_slots_on_a_device_whose_workers_fail_repeatedly_are_reported() -> None:
    # Two builds in a row must take longer than the start of the pool.
    factory = FakeEngineFactory(
        device_names=("cuda:0", "cuda:1"), broken_devices=("cuda:1",), build_s=1.0
    )
    pool = RenderPool(PoolSettings(workers=1, timeouts=Timeouts(backoff_s=0.01)), factory)
    await pool.start()
    try:
        all_slots = [pool.open_slots("default") for _ in range(2)]
        assert [slots.device for slots in all_slots] == ["cuda:0", "cuda:1"]
        device_failed = asyncio.Event()
        all_slots[0].on_device_failed.append(lambda: pytest.fail("its device works"))
        all_slots[1].on_device_failed.append(device_failed.set)
        async with asyncio.timeout(30):
            await device_failed.wait()
        all_slots[1].close()
        assert {pool.open_slots("default").device for _ in range(3)} == {"cuda:0"}
    finally:
        await pool.close()
