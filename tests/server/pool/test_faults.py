"""Faults of workers, real ones where the kernel can make them: who is replaced, who is not."""

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
from server.pool.slot_memory import SharedBlock
from server.pool.supervisor import Timeouts
from tests.server.pool.test_pool import alive, pid, refreshed, running, until


async def test_an_idle_worker_that_stops_listening_is_found_and_replaced() -> None:
    async with running(timeouts=Timeouts(ping_s=0.1, pong_s=1.0)) as pool:
        stopped = pid(pool)
        os.kill(stopped, signal.SIGSTOP)
        await until(lambda: pool.status().workers[0].restarts == 1 and pool.ready)
        assert not alive(stopped)
        await refreshed(pool.open_slots("default"), 0.5)


async def test_a_worker_that_answers_pings_is_left_alone() -> None:
    async with running(timeouts=Timeouts(ping_s=0.01, pong_s=5.0)) as pool:
        await asyncio.sleep(0.3)
        await refreshed(pool.open_slots("default"), 0.5)
        assert pool.status().workers[0].restarts == 0


async def test_a_ping_does_not_take_the_deadline_from_a_job() -> None:
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


async def test_workers_that_do_nothing_but_hang_are_parked() -> None:
    # Each lives longer than `stable_s`, but does nothing with its life.
    timeouts = Timeouts(job_s=0.3, stable_s=0.1, backoff_s=60, max_backoff_s=60)
    async with running(timeouts=timeouts) as pool:
        pool.open_slots("default").request(always(hanging(fake_state())))
        await until(lambda: pool.failing and pool.status().workers[0].restarts == 2)
        assert pool.reason == "cpu-0: hung for 0.3 s on a job"


async def test_a_viewer_whose_state_breaks_every_worker_does_not_keep_others_from_theirs() -> None:
    async with running(timeouts=Timeouts(backoff_s=0.01, max_backoff_s=0.01)) as pool:
        bad, good = pool.open_slots("default"), pool.open_slots("default")

        def served() -> bool:
            bad.request(always(breaking(fake_state())))
            good.request(always(fake_state(0.5)))
            return good.generation >= 30

        await until(served)
        # Pauses of 0, 1, 2, 4, ... s after each death; without them every second job is one.
        assert pool.status().workers[0].restarts <= 5


async def test_a_worker_out_of_memory_is_replaced_and_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    factory = FakeEngineFactory(avatars=(fake_avatar(resolution=2048),))
    async with running(factory, workers=2) as pool:
        await until(lambda: all(worker.state == "idle" for worker in pool.status().workers))
        poor, other = (worker.pid for worker in pool.status().workers)
        assert poor is not None
        # Only then is a render the next that needs memory.
        await until(lambda: "/dev/shm/" in Path(f"/proc/{poor}/maps").read_text())
        held = int(Path(f"/proc/{poor}/statm").read_text().split()[0]) * resource.getpagesize()
        resource.prlimit(poor, resource.RLIMIT_AS, (held, held))  # not an image more
        shown = decode_image(await pool.render("default", fake_state(0.4)))
        assert shown.jaw_open == pytest.approx(0.4, abs=1 / 255)
        await until(lambda: all(worker.ready for worker in pool.status().workers))
        assert [worker.restarts for worker in pool.status().workers] == [1, 0]
        assert pool.status().workers[1].pid == other
    assert "MemoryError: Unable to allocate 16.0 MiB" in caplog.text


def test_a_block_that_does_not_fit_is_refused_and_leaves_nothing() -> None:
    before = set(os.listdir("/dev/shm"))
    room = os.statvfs("/dev/shm")
    with pytest.raises(PoolBusyError, match=r"no shared memory for .* MB more: No space left"):
        SharedBlock.create(room.f_blocks * room.f_frsize + 2**20)
    assert set(os.listdir("/dev/shm")) - before == set()


def test_a_block_takes_its_pages_when_it_is_made() -> None:
    block = SharedBlock.create(2**20)
    try:
        assert os.stat(f"/dev/shm/{block.name}").st_blocks * 512 == 2**20
    finally:
        block.close()


async def test_missing_memory_for_images_fails_start_and_leaves_no_worker() -> None:
    room = os.statvfs("/dev/shm")
    side = int((room.f_blocks * room.f_frsize / 3) ** 0.5) + 64
    factory = FakeEngineFactory(avatars=(fake_avatar(resolution=side),))
    pool = RenderPool(PoolSettings(workers=1), factory)
    with pytest.raises(PoolBusyError, match="no shared memory for"):
        await pool.start()
    assert [worker.state for worker in pool.status().workers] == ["stopped"]


@pytest.fixture(autouse=True)
def _hear_the_keeper(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "server.pool")
