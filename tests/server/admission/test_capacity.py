"""The measured capacity of a machine in viewers."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from server.admission import capacity
from server.admission.admission import Admission
from server.admission.capacity import FrameTimes, find_capacity, measure
from server.auth.grants import ANYONE
from server.pool.fake import FakeEngineFactory, fake_avatar
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.pool.supervisor import Timeouts
from server.sessions.registry import Sessions
from server.streams.streams import Streams
from tests.server.pool.test_pool import until


def times(warp_s: Mapping[str, float], encode_s: float = 0.001, cores: int = 16) -> FrameTimes:
    return FrameTimes(warp_s, encode_s, cores, warp_threads=2)


def test_the_warp_limits_the_capacity_where_cores_suffice() -> None:
    assert times({"cuda:0": 0.005}).frames_per_s == pytest.approx(200)
    assert times({"cuda:0": 0.005}).viewers(fps=30) == 4


def test_capacity_is_the_number_of_devices_times_the_rate_of_the_slowest() -> None:
    assert times({"cuda:0": 0.005, "cuda:1": 0.005}).frames_per_s == pytest.approx(400)
    assert times({"cuda:0": 0.005, "cuda:1": 0.02}).frames_per_s == pytest.approx(100)


def test_on_a_cpu_the_warp_shares_the_cores_with_encoding_and_sending() -> None:
    # (2 x 4 + 1 + 1.2) ms of two cores: 196 frames a second.
    assert times({"cpu": 0.004}, cores=2).frames_per_s == pytest.approx(2 / 0.0102)
    assert times({"cpu": 0.004}, cores=2).viewers(fps=30) == 3


def test_one_event_loop_limits_the_capacity_of_many_gpus() -> None:
    gpus = {f"cuda:{index}": 0.001 for index in range(8)}
    assert times(gpus, cores=128).frames_per_s == pytest.approx(1 / 0.0012)


def test_launching_work_on_gpus_reduces_the_event_loops_capacity() -> None:
    gpus = {f"cuda:{index}": 0.001 for index in range(8)}
    found = FrameTimes(gpus, 0.001, 128, 2, locked_s=dict.fromkeys(gpus, 0.0018))
    assert found.frames_per_s == pytest.approx(1 / 0.003)
    assert found.limit == "event loop"


def test_processor_time_of_warps_on_gpus_is_counted() -> None:
    gpus = {f"cuda:{index}": 0.004 for index in range(8)}
    found = FrameTimes(gpus, 0.001, 2, 2, thread_s=dict.fromkeys(gpus, 0.0028))
    # (2.8 + 1 + 1.2) ms of two cores, whatever the number of GPUs.
    assert found.frames_per_s == pytest.approx(400)
    assert found.limit == "cores"
    assert found.on(["cuda:0"]).frames_per_s == pytest.approx(250)
    assert found.on(["cuda:0"]).limit == "devices"


def test_a_device_that_was_not_timed_counts_as_the_slowest_one() -> None:
    found = times({"cuda:0": 0.01, "cuda:1": 0.02}).on(["cuda:0", "cuda:2", "cuda:3"])
    assert found.warp_s == {"cuda:0": 0.01, "cuda:2": 0.02, "cuda:3": 0.02}


async def test_the_session_limit_falls_with_a_failed_device_and_recovers() -> None:
    factory = FakeEngineFactory(device_names=("cuda:0", "cuda:1"), warp_s=0.02, rebuilds=False)
    timeouts = Timeouts(backoff_s=0.05)
    settings = PoolSettings(workers=1, warp_in="thread", timeouts=timeouts)
    pool = RenderPool(settings, factory)
    await pool.start()
    admission = Admission()
    try:
        await pool.wait_ready(20)
        with ThreadPoolExecutor(1) as executor:
            await find_capacity(pool, admission, 5.0, executor)
        with_both_devices = admission.capacity
        factory.lost.add("cuda:0")
        pool.gpu_memory()
        await until(lambda: pool.devices == ("cuda:1",))
        assert (
            with_both_devices // 2
            <= admission.capacity
            <= with_both_devices // 2 + 1
            < with_both_devices
        )
        factory.lost.clear()
        await until(lambda: len(pool.devices) == 2)
        assert admission.capacity == with_both_devices
    finally:
        await pool.close()


def test_a_lower_frame_rate_allows_more_viewers_and_a_higher_one_no_fewer() -> None:
    found = times({"cuda:0": 0.005})
    assert (found.viewers(fps=15), found.viewers(fps=60)) == (8, 4)


def test_the_capacity_is_at_least_one() -> None:
    assert times({"cpu": 2.0}, cores=1).viewers(fps=60) == 1


@pytest.mark.alone
async def test_warps_are_timed_on_every_device() -> None:
    factory = FakeEngineFactory(
        (fake_avatar("a", 32), fake_avatar("b", 64)), warp_s=0.02, device_names=("cuda:0", "cuda:1")
    )
    pool = RenderPool(PoolSettings(workers=1), factory)
    await pool.start()
    with ThreadPoolExecutor(1) as executor:
        found = await measure(pool, executor)
        benchmarks = await pool.benchmark_warps(0.1)
    await pool.close()
    assert found.warp_s.keys() == {"cuda:0", "cuda:1"}
    assert all(0.02 <= warp_s < 0.2 for warp_s in found.warp_s.values())
    assert 0 < found.encode_s < 0.1
    assert benchmarks["cuda:1"].images[0].shape == (96, 64)


async def test_capacity_is_measured_while_a_viewer_is_connected(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(capacity, "BENCHMARK_S", 2.0)
    pool = RenderPool(PoolSettings(workers=1), FakeEngineFactory(warp_s=0.01))
    await pool.start()
    streams, admission = Streams(pool.avatars), Admission()
    streams.create("default", "s")
    sessions = Sessions(streams, pool, 30.0, admission)
    with ThreadPoolExecutor(1) as executor:
        await pool.wait_ready(20)
        finding = asyncio.create_task(find_capacity(pool, admission, 30.0, executor))
        session, _ = await sessions.open("s", Unconnected, "offer", ANYONE)
        await session.next_frame()
        assert not finding.done(), "the viewer had to wait for the measurement"
        await finding
    await sessions.close_all()
    await pool.close()
    assert 1 <= admission.capacity <= 2  # 100 warps a second at most
    assert admission.measurement is not None
    assert admission.measurement.keys() == {
        *("warp_ms", "encode_ms", "cores"),
        *("frames_per_s", "limit"),
    }


class Unconnected:
    """A peer whose frames are pulled by the test."""

    def __init__(self, session: object) -> None: ...

    async def answer(self, offer_sdp: str) -> str:
        return "answer"

    async def add_candidates(self, sdp_fragment: str) -> None:
        raise AssertionError("nobody trickles here")

    def send_event(self, event: Mapping[str, Any]) -> None:
        """No viewer receives events."""

    async def close(self) -> None:
        """Nothing was opened."""
