"""A running server under real faults of its environment.

Faults of workers alone are in pool/test_faults.py, of the network in network/test_impaired_link.py.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import pytest

from server.admission.admission import Admission
from server.app import pool_settings
from server.auth.grants import ANYONE
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.sessions.registry import Sessions
from server.settings import Settings
from server.streams.streams import Streams
from server.transport.jpeg_socket import JPEG, JpegPeer
from tests.server.conftest import Served, serving
from tests.server.network.network import ROOT, python
from tests.server.transport.webrtc.test_peer import Viewer, a_viewer

SOON_S = 10.0


def until(condition: Callable[[], bool], timeout_s: float = SOON_S) -> float:
    """Wait for a condition; return how long it took, seconds."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < timeout_s
        time.sleep(0.01)
    return time.monotonic() - began


def of_engines(factory: FakeEngineFactory) -> Callable[[Settings], RenderPool]:
    return lambda settings: RenderPool(pool_settings(settings), factory)


@dataclass
class MovingViewer:
    """A viewer that moves all the time."""

    viewer: Viewer
    came_at: list[float] = field(default_factory=list)
    """When its images were decoded."""

    async def look_around(self) -> None:
        for seq in range(1, 10_000):
            self.viewer.send_view(seq, seq % 20 / 20)
            shown = len(self.viewer.images)
            await asyncio.sleep(1 / 30)
            self.came_at += [time.monotonic()] * (len(self.viewer.images) - shown)

    def longest_gap_s(self) -> float:
        return max(
            late - early for early, late in zip(self.came_at, self.came_at[1:], strict=False)
        )


@pytest.mark.alone
async def test_four_viewers_keep_their_video_while_their_worker_is_killed_and_replaced() -> None:
    settings = Settings(port=0, workers=1, demo=False, max_sessions=8)
    with serving(settings, of_engines(FakeEngineFactory(refresh_s=0.1))) as served:
        pool, sessions = served.app.state.pool, served.app.state.sessions
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx2.AsyncClient(base_url=served.url))
            await client.post("/v1/streams", json={"id": "s"})
            crowd = []
            for _ in range(4):
                crowd.append(MovingViewer(await stack.enter_async_context(a_viewer(client))))
                await crowd[-1].viewer.watch("s")
            movements = [asyncio.create_task(one.look_around()) for one in crowd]
            await asyncio.sleep(0.5)
            ids = {session.id for session in sessions.list()}
            worker = pool.status().workers[0]
            while pool.status().workers[0].state != "busy":  # in the middle of a render
                await asyncio.sleep(0.001)
            os.kill(worker.pid, signal.SIGKILL)
            killed_at = time.monotonic()
            while not (pool.status().workers[0].restarts == 1 and pool.ready):
                await asyncio.sleep(0.01)
            back_s = time.monotonic() - killed_at
            await asyncio.sleep(1)
            for move in movements:
                move.cancel()
            assert back_s < 5
            assert {session.id for session in sessions.list()} == ids
            assert max(one.longest_gap_s() for one in crowd) < 1
            for session in sessions.list():
                newest = session.slots.ready
                assert newest is not None
                assert newest.age_ms < 1000, "no new caches arrive"


@pytest.mark.alone
async def test_a_player_without_views_waits_for_its_first_frame_while_it_is_connected() -> None:
    settings = Settings(port=0, workers=1, demo=False, max_sessions=8, idle_session_s=0.5)
    with serving(settings) as served:
        async with httpx2.AsyncClient(base_url=served.url) as client:
            await client.post("/v1/streams", json={"id": "s"})
            worker = served.app.state.pool.status().workers[0]
            os.kill(worker.pid, signal.SIGSTOP)  # no frame for longer than the idle timeout
            async with a_viewer(client) as viewer:  # never sends a view
                assert (await viewer.join("s")).status_code == 201
                await asyncio.sleep(2.5)
                assert (await client.get(viewer.address)).json()["state"] == "starting"
                os.kill(worker.pid, signal.SIGCONT)
                await viewer.until(lambda: bool(viewer.images))
                viewer.drop_outgoing()
                began = time.monotonic()
                await viewer.until_ended()
                assert time.monotonic() - began < 3, "its keepalive counts after the first frames"


def test_a_missing_worker_is_reported_while_others_render() -> None:
    with serving(Settings(port=0, workers=2, demo=False, max_sessions=8)) as served:
        pool = served.app.state.pool
        until(lambda: all(worker.ready for worker in pool.status().workers))
        assert httpx2.get(f"{served.url}/readyz").json()["problems"] == []
        os.kill(pool.status().workers[1].pid, signal.SIGKILL)
        until(lambda: pool.status().workers[1].problem is not None)
        ready = httpx2.get(f"{served.url}/readyz")
        assert ready.status_code == 200
        assert ready.json()["problems"] == ["cpu-1: the process ended with code -9"]
        until(lambda: httpx2.get(f"{served.url}/readyz").json()["workers"] == 2)


async def test_a_failed_gpu_disconnects_only_its_viewers() -> None:
    factory = FakeEngineFactory(device_names=("cuda:0", "cuda:1"), rebuilds=False)
    settings = Settings(port=0, workers=1, demo=False, max_sessions=8, warp_in="thread")
    with serving(settings, of_engines(factory)) as served:
        pool, sessions = served.app.state.pool, served.app.state.sessions
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(httpx2.AsyncClient(base_url=served.url))
            viewers = []
            for stream in ("a", "b"):
                await client.post("/v1/streams", json={"id": stream})
                viewers.append(await stack.enter_async_context(a_viewer(client)))
                await viewers[-1].watch(stream)
            assert [s.slots.device for s in sessions.list()] == ["cuda:0", "cuda:1"]
            movements = [asyncio.create_task(MovingViewer(v).look_around()) for v in viewers]
            factory.lost.add("cuda:0")
            await viewers[0].until_ended()
            assert [s.slots.device for s in sessions.list()] == ["cuda:1"]
            shown = len(viewers[1].images)
            await viewers[1].until(lambda: len(viewers[1].images) > shown + 10)
            ready = (await client.get("/readyz")).json()
            metrics = (await client.get("/metrics")).text
            again = await stack.enter_async_context(a_viewer(client))
            await again.watch("a")
            assert [s.slots.device for s in sessions.list()] == ["cuda:1", "cuda:1"]
            for move in movements:
                move.cancel()
    problem = ready["problems"][0]
    assert re.match(r"cuda:0: .*illegal memory access", problem), problem
    assert 'telewarp_device_up{device="cuda:0"} 0.0' in metrics
    assert 'telewarp_device_up{device="cuda:1"} 1.0' in metrics
    assert re.search(r'telewarp_device_failures_total{device="cuda:0"} [1-9]', metrics)
    assert 'telewarp_gpu_memory_used_bytes{device="cuda:0"}' not in metrics
    assert pool.status().devices[1].failures == 0


class BlockedSocket:
    """A socket that blocks after the first message, as one of a viewer that does not read."""

    async def send_text(self, text: str) -> None:
        if '"session"' not in text:
            await asyncio.Event().wait()

    async def send_bytes(self, data: bytes) -> None:
        await asyncio.Event().wait()


async def test_a_viewer_that_sends_but_never_reads_is_disconnected() -> None:
    pool = RenderPool(PoolSettings(workers=1), FakeEngineFactory())
    await pool.start()
    streams = Streams(pool.avatars)
    streams.create("default", "s")
    sessions = Sessions(streams, pool, 30, Admission(1))
    try:
        with ThreadPoolExecutor(1) as executor:
            await sessions.open(
                "s", lambda session: JpegPeer(session, BlockedSocket(), executor, 0.5), JPEG, ANYONE
            )
            (session,) = sessions.list()
            deadline = time.monotonic() + SOON_S
            while sessions.list():
                assert time.monotonic() < deadline, "it keeps its session slot"
                assert isinstance(session.peer, JpegPeer)
                session.peer.receive('{"type": "ping", "sent_at_ms": 1}')
                await asyncio.sleep(0.02)
    finally:
        await sessions.close_all()
        await pool.close()


async def test_events_that_a_viewer_never_reads_do_not_accumulate() -> None:
    with serving(Settings(port=0, workers=1, demo=False, max_sessions=8)) as served:
        httpx2.post(f"{served.url}/v1/streams", json={"id": "s"})
        async with (
            httpx2.AsyncClient(base_url=served.url) as client,
            a_viewer(client) as viewer,
        ):
            await viewer.watch("s")
            (session,) = served.app.state.sessions.list()
            channel = session.peer._control._events

            async def ignore(data: bytes) -> None:
                """Discard data, as a stopped page whose video still decodes."""

            sctp = viewer.connection.sctp
            assert sctp is not None
            sctp._handle_data = ignore  # type: ignore[method-assign]  # on this connection only
            shown = len(viewer.images)
            for _ in range(40):
                for _ in range(40):
                    session.peer._control.send({"type": "frame", "filler": "x" * 200})
                await asyncio.sleep(0.02)
            assert 64 * 1024 < channel.bufferedAmount < 80 * 1024
            assert len(viewer.images) > shown
            assert (await client.get(viewer.address)).status_code == 200


@contextmanager
def little_shared_memory(folder: Path) -> Iterator[tuple[str, Path]]:
    """Run a server with a small /dev/shm of its own; yield its address and that folder."""
    if shutil.which("unshare") is None or os.getuid():
        pytest.skip("needs root and `unshare` to give a server a small /dev/shm")
    mount = "mount -t tmpfs -o size=256k tmpfs /dev/shm && exec"
    # Without stills, whose image block would not fit.
    options = "--port", "0", "--workers", "1", "--max-still-size", "0"
    program = python("-m", "tests.server.network.fake_server", *options)
    log = folder / "server.txt"
    with log.open("wb") as out:
        server = subprocess.Popen(
            ["unshare", "-m", "sh", "-c", f'{mount} "$@"', "sh", *program],
            cwd=ROOT, stdout=out, stderr=out, env={**os.environ, "PYTHONPATH": str(ROOT)},
        )  # fmt: skip
    try:
        until(lambda: "showing the face" in log.read_text(), 60)
        found = re.search(r"http://\S+", log.read_text())
        assert found is not None
        yield found[0], Path(f"/proc/{server.pid}/root/dev/shm")
    finally:
        server.terminate()
        server.wait(10)


async def test_viewers_are_refused_with_the_reason_when_shared_memory_is_full(
    tmp_path: Path,
) -> None:
    with little_shared_memory(tmp_path) as (address, memory):
        async with httpx2.AsyncClient(base_url=address, timeout=10) as client:
            before = set(os.listdir(memory))
            _fill(memory / "filler")
            viewer = Viewer(client)
            refused = await viewer.join("demo")
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            assert "no shared memory for 0.0 MB more: No space left" in refused.json()["detail"]
            assert (await client.get("/readyz")).json()["sessions"] == 0
            assert set(os.listdir(memory)) == before | {"filler"}
            (memory / "filler").unlink()
            await viewer.leave()
            async with a_viewer(client) as viewer:
                await viewer.watch("demo")


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as filler, suppress(OSError):  # no space left
        while True:
            filler.write(bytes(4096))


def test_connections_to_an_unreachable_peer_time_out(served: Served) -> None:
    # The kernel times out: connections inherit the options of the listening socket.
    with socket.create_connection((served.host, served.port)):
        timers = subprocess.run(["ss", "-tnoH", f"sport = :{served.port}"], capture_output=True)
    assert b"timer:(keepalive," in timers.stdout
