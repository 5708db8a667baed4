"""Faults of workers, caused by the kernel where possible: which workers are replaced."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
from pathlib import Path

import pytest

from server.errors import PoolBusyError
from server.pool.fake import (
    FakeEngineFactory,
    always,
    breaking,
    decode_image,
    fake_avatar,
    fake_state,
    hanging,
)
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.pool.shared_block import SharedBlock
from server.pool.supervisor import Timeouts
from tests.server.pool.test_pool import alive, pid, refreshed, running, until


async def test_an_idle_worker_that_does_not_answer_pings_is_replaced() -> None:
    async with running(timeouts=Timeouts(ping_s=0.1, pong_s=1.0)) as pool:
        stopped = pid(pool)
        os.kill(stopped, signal.SIGSTOP)
        await until(lambda: pool.status().workers[0].restarts == 1 and pool.ready)
        assert not alive(stopped)
        await refreshed(pool.open_slots("default"), 0.5)


async def test_a_worker_that_answers_pings_is_not_replaced() -> None:
    async with running(timeouts=Timeouts(ping_s=0.01, pong_s=5.0)) as pool:
        await asyncio.sleep(0.3)
        await refreshed(pool.open_slots("default"), 0.5)
        assert pool.status().workers[0].restarts == 0


async def test_a_ping_does_not_remove_the_deadline_of_a_job() -> None:
    async with running(timeouts=Timeouts(ping_s=0.01, pong_s=30.0, job_s=0.3)) as pool:
        hung = pid(pool)
        pool.open_slots("default").request(always(hanging(fake_state())))
        await until(lambda: not alive(hung), 5)


async def test_the_cause_of_a_broken_engine_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    async with running() as pool:
        slots = pool.open_slots("default")
        slots.request(always(breaking(fake_state())))
        await until(lambda: not pool.ready)
        expected = "the engine broke: RuntimeError: this state was made to break the engine"
        assert pool.reason == f"cpu-0: {expected}"
        slots.request(always(fake_state(0.5)))
        await until(lambda: slots.generation == 1)
    assert expected in caplog.text


async def test_workers_that_hang_repeatedly_are_restarted_with_growing_delays() -> None:
    # Each runs longer than `stable_s`, but completes no job.
    timeouts = Timeouts(job_s=0.3, stable_s=0.1, backoff_s=60, max_backoff_s=60)
    async with running(timeouts=timeouts) as pool:
        pool.open_slots("default").request(always(hanging(fake_state())))
        await until(lambda: pool.failing and pool.status().workers[0].restarts == 2)
        assert pool.reason == "cpu-0: hung for 0.3 s on a job"


async def test_a_viewer_whose_state_kills_every_worker_does_not_block_other_viewers() -> None:
    async with running(timeouts=Timeouts(backoff_s=0.01, max_backoff_s=0.01)) as pool:
        bad, good = pool.open_slots("default"), pool.open_slots("default")

        def served() -> bool:
            bad.request(always(breaking(fake_state())))
            good.request(always(fake_state(0.5)))
            return good.generation >= 30

        await until(served)
        # Refreshes of that viewer pause for 0, 1, 2, 4, ... s; otherwise every second job is one.
        assert pool.status().workers[0].restarts <= 5


async def test_only_a_worker_that_ran_out_of_memory_is_replaced(
    caplog: pytest.LogCaptureFixture,
) -> None:
    factory = FakeEngineFactory(avatars=(fake_avatar(resolution=2048),))
    async with running(factory, workers=2) as pool:
        await until(lambda: all(worker.state == "idle" for worker in pool.status().workers))
        little_memory, other = (worker.pid for worker in pool.status().workers)
        assert little_memory is not None
        # Only then is a render the next allocation.
        await until(lambda: "/dev/shm/" in Path(f"/proc/{little_memory}/maps").read_text())
        held = (
            int(Path(f"/proc/{little_memory}/statm").read_text().split()[0])
            * resource.getpagesize()
        )
        resource.prlimit(little_memory, resource.RLIMIT_AS, (held, held))  # not one image more fits
        shown = decode_image(await pool.render("default", fake_state(0.4)))
        assert shown.jaw_open == pytest.approx(0.4, abs=1 / 255)
        await until(lambda: all(worker.ready for worker in pool.status().workers))
        assert [worker.restarts for worker in pool.status().workers] == [1, 0]
        assert pool.status().workers[1].pid == other
    assert "MemoryError: Unable to allocate 16.0 MiB" in caplog.text


def test_a_block_that_does_not_fit_is_refused_and_leaves_no_file() -> None:
    before = set(os.listdir("/dev/shm"))
    room = os.statvfs("/dev/shm")
    with pytest.raises(PoolBusyError, match=r"no shared memory for .* MB more: No space left"):
        SharedBlock.create(room.f_blocks * room.f_frsize + 2**20)
    assert set(os.listdir("/dev/shm")) - before == set()


def test_a_block_allocates_its_pages_when_it_is_created() -> None:
    block = SharedBlock.create(2**20)
    try:
        assert os.stat(f"/dev/shm/{block.name}").st_blocks * 512 == 2**20
    finally:
        block.close()


async def test_a_start_without_memory_for_images_fails_and_leaves_no_worker() -> None:
    room = os.statvfs("/dev/shm")
    side = int((room.f_blocks * room.f_frsize / 3) ** 0.5) + 64
    factory = FakeEngineFactory(avatars=(fake_avatar(resolution=side),))
    pool = RenderPool(PoolSettings(workers=1), factory)
    with pytest.raises(PoolBusyError, match="no shared memory for"):
        await pool.start()
    assert [worker.state for worker in pool.status().workers] == ["stopped"]


@pytest.fixture(autouse=True)
def _capture_supervisor_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "server.pool")
