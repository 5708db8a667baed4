"""Timeouts of viewers and workers do not run while the server process is stopped."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx2
from websockets.sync.client import connect

from server.awake_clock import LONGEST_GAP_S, TICK_S, AwakeClock, Stopwatch
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.pool.supervisor import Timeouts
from tests.server.test_line_writer import free_port, wait_until_ready
from tests.server.transport.webrtc.test_peer import Viewer
from tests.warm_python import Started, WarmPython

IDLE_S = 2.0


def test_the_clock_follows_the_system_clock_except_for_gaps() -> None:
    system = [100.0]
    clock = AwakeClock(lambda: system[0])
    for step in (0.1, LONGEST_GAP_S, 0.5):
        before = clock.now()
        system[0] += step
        assert abs(clock.now() - before - step) < 1e-9
    system[0] += 3600
    woken = clock.now()
    assert abs(woken - (100 + 0.1 + LONGEST_GAP_S + 0.5 + TICK_S)) < 1e-9
    assert clock.frozen_s == 3600 - TICK_S
    system[0] += 0.5
    assert clock.now() == woken + 0.5


async def test_the_clock_ticks_by_itself_so_that_a_long_wait_is_no_gap() -> None:
    clock = AwakeClock()
    running = asyncio.create_task(clock.run())
    before = clock.now()
    await asyncio.sleep(LONGEST_GAP_S + 0.2)
    assert clock.now() - before > LONGEST_GAP_S
    assert clock.frozen_s == 0
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


def test_a_stopwatch_measures_from_its_last_restart() -> None:
    system = [5.0]
    stopwatch = Stopwatch(lambda: system[0])
    assert stopwatch.elapsed_s == math.inf
    stopwatch.restart()
    system[0] += 2.5
    assert stopwatch.elapsed_s == 2.5
    stopwatch.restart()
    assert stopwatch.elapsed_s == 0.0


@contextmanager
def fake_server(python: WarmPython) -> Iterator[tuple[str, Started]]:
    """Start a server process that can be stopped; yield its address and the process."""
    port = free_port()
    options = ["--port", port, "--workers", 1, "--max-sessions", 1, "--idle-session-s", IDLE_S]
    server = python.start("-m", "tests.server.network.fake_server", *options)
    try:
        wait_until_ready(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}", server
    finally:
        server.send_signal(signal.SIGCONT)
        server.terminate()
        server.wait(20)


def test_viewers_stay_connected_when_a_server_resumes_after_more_than_their_timeout(
    warm_python: WarmPython,
) -> None:
    with (
        fake_server(warm_python) as (url, server),
        connect(f"{url.replace('http', 'ws')}/v1/streams/demo/pictures") as viewer,
    ):
        session = viewer.recv(5)
        while not isinstance(viewer.recv(5), bytes):
            """Until an image is in flight, which this viewer does not acknowledge yet."""
        ticket = httpx2.post(f"{url}/v1/streams/demo/queue").json()["ticket"]
        server.send_signal(signal.SIGSTOP)
        time.sleep(6)  # also longer than the polling timeout of a ticket
        server.send_signal(signal.SIGCONT)
        assert httpx2.get(f"{url}/v1/queue/{ticket}").json()["place"] == 1
        viewer.send('{"type": "shown", "picture": 1}')
        while not isinstance(viewer.recv(5), bytes):
            """Until the next image."""
        assert '"session"' in str(session)
        assert len(httpx2.get(f"{url}/v1/sessions").json()) == 1


async def test_a_moving_viewer_gets_its_full_frame_rate_immediately_after_a_server_resumes(
    warm_python: WarmPython,
) -> None:
    with fake_server(warm_python) as (url, server):
        async with httpx2.AsyncClient(base_url=url, timeout=10) as http:
            viewer = Viewer(http)
            await viewer.watch("demo")
            moving = asyncio.create_task(move(viewer))
            try:
                before = await frames_within(viewer, 1.5)
                server.send_signal(signal.SIGSTOP)
                await asyncio.sleep(4)
                server.send_signal(signal.SIGCONT)
                after = await frames_within(viewer, 1.5)
            finally:
                moving.cancel()
                await viewer.leave()
    assert before > 15
    assert after > before / 2


async def move(viewer: Viewer) -> None:
    """Send views at 30 Hz, also while the server does not answer."""
    for seq in range(1, 10_000):
        viewer.send_view(seq, seq % 50 / 500)
        await asyncio.sleep(1 / 30)


async def frames_within(viewer: Viewer, seconds: float) -> int:
    """Return the number of frames that arrive; the marker bit ends each."""
    first = len(viewer.packets)
    await asyncio.sleep(seconds)
    return sum(packet.marker for packet in viewer.packets[first:])


async def test_a_worker_that_was_stopped_with_the_server_is_not_killed() -> None:
    timeouts = Timeouts(ping_s=0.05, pong_s=0.5)
    pool = RenderPool(PoolSettings(workers=1, timeouts=timeouts), FakeEngineFactory())
    clock = AwakeClock()
    ticking = asyncio.create_task(clock.run())
    await pool.start(clock.now)
    try:
        await pool.wait_ready(30)
        (worker,) = pool.status().workers
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGSTOP)
        await asyncio.sleep(0.2)  # the server has sent a ping
        time.sleep(1.5)  # as if this process had been stopped too
        await asyncio.sleep(0)
        os.kill(worker.pid, signal.SIGCONT)
        await asyncio.sleep(0.5)
        (after,) = pool.status().workers
        assert (after.pid, after.restarts) == (worker.pid, 0)
        os.kill(worker.pid, signal.SIGSTOP)  # a worker that hangs alone is killed
        async with asyncio.timeout(10):
            while pool.status().workers[0].restarts == 0:
                await asyncio.sleep(0.01)
    finally:
        await pool.close()
        ticking.cancel()
