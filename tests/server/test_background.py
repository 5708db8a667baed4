"""Failed background tasks are logged, reported and restarted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest

from server import background as background_module
from server.background import BackgroundTasks
from server.errors import PoolBusyError
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.pool.shared_block import SharedBlock
from server.settings import Settings
from tests.server.test_app import running

PAUSE_S = 0.05


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_module, "FIRST_PAUSE_S", PAUSE_S)


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_failed_task_is_reported_and_restarts_after_growing_delays(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tasks, started_at = BackgroundTasks(), list[float]()
    failures = [PoolBusyError("no memory"), KeyError("face"), RuntimeError()]

    async def work() -> None:
        started_at.append(asyncio.get_running_loop().time())
        raise failures[len(started_at) - 1]

    tasks.start("work", work)
    (status,) = tasks.statuses
    await until(lambda: status.problem == "failed: no memory")
    await until(lambda: status.problem == "failed: RuntimeError")
    await tasks.finish()
    assert len(started_at) == 3, "the task was restarted after `finish`"
    assert status.failures == 3
    first, second = started_at[1] - started_at[0], started_at[2] - started_at[1]
    assert PAUSE_S <= first < 2 * PAUSE_S <= second
    known, unknown, _ = caplog.records
    assert known.message == "work: failed: no memory; next attempt in 0.05 s"
    assert (known.levelno, known.exc_info) == (logging.ERROR, None)
    assert unknown.exc_info is not None


async def test_a_task_that_returns_is_finished_and_not_reported() -> None:
    tasks, runs = BackgroundTasks(), list[int]()

    async def work() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise OSError("once")

    tasks.start("work", work)
    await until(lambda: len(runs) == 2)
    await tasks.finish()
    (status,) = tasks.statuses
    assert (status.failures, status.problem, runs) == (1, None, [0, 1])


async def test_the_capacity_is_measured_as_soon_as_memory_suffices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    create = SharedBlock.create
    full = asyncio.Event()
    full.set()

    def create_unless_full(nbytes: int) -> SharedBlock:
        if full.is_set() and nbytes != 64 * 64 * 3:  # except the block for single images
            raise PoolBusyError("no shared memory for 0.0 MB more")
        return create(nbytes)

    monkeypatch.setattr(SharedBlock, "create", create_unless_full)
    settings = Settings(workers=1, demo=False, max_still_size=0)  # no larger block for stills
    async with running(settings, FakeEngineFactory()) as client:

        async def problems() -> list[str]:
            answer = await client.get("/readyz")
            found: list[str] = answer.json().get("problems", [])
            return found

        expected = ["measure the capacity: failed: no shared memory for 0.0 MB more"]
        async with asyncio.timeout(10):
            while await problems() != expected:
                await asyncio.sleep(0.01)
        metrics = (await client.get("/metrics")).text
        assert 'telewarp_task_up{task="measure the capacity"} 0.0' in metrics
        assert 'telewarp_task_up{task="expire streams"} 1.0' in metrics
        assert 'telewarp_task_up{task="supervise cpu-0"} 1.0' in metrics
        full.clear()
        async with asyncio.timeout(10):
            while (await client.get("/v1/status")).json()["measured"] is None:
                await asyncio.sleep(0.01)
        assert await problems() == []
        assert (await client.get("/v1/status")).json()["capacity"] > 1


async def test_the_supervision_of_a_worker_continues_after_an_error_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool = RenderPool(PoolSettings(workers=1), FakeEngineFactory())
    await pool.start()
    try:
        await pool.wait_ready(30)
        (worker,) = pool._workers
        back_off = worker._back_off

        async def fail_once() -> None:
            monkeypatch.setattr(worker, "_back_off", back_off)
            raise KeyError("a fault of the supervision")

        monkeypatch.setattr(worker, "_back_off", fail_once)
        worker._kill("by the test")
        (task,) = (task for task in pool.status().tasks if task.name.startswith("supervise"))
        await until(lambda: task.failures == 1)
        await pool.wait_ready(30)
        assert task.problem is None
    finally:
        await pool.close()
