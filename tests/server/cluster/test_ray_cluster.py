"""Two machines, simulated by Ray: viewers spread evenly, one machine dies, the other drains."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
import uvicorn
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription

from server.cluster.router import create_router
from server.cluster.settings import RouterSettings
from server.cluster.supervisor import HostPlan
from server.errors import NotReadyError
from server.network.listening import listen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

VIEWERS = 20
READY_S = 60.0
SILENCE_S = 2.0
"""The viewer's page gives up a silent session after 3 s."""
RETRY_S = 0.5
CONNECT_S = 5.0
PLAN = HostPlan(
    options=("--workers", "1", "--fps", "5", "--idle-session-s", "60", "--max-sessions", "30"),
    listen="127.0.0.1",
    public_url="http://127.0.0.1:{port}",
    module="tests.server.network.fake_server",
)
os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_raylet_start_wait_time_s": "120"}
logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Viewer:
    """A viewer that reconnects through the router when nothing arrives any more, as a page does."""

    router: str
    connection: RTCPeerConnection | None = None
    host: str | None = None
    heard_at: float = 0.0
    failures: list[str] = field(default_factory=list)

    @property
    def watching(self) -> bool:
        return self.host is not None and time.monotonic() - self.heard_at < SILENCE_S

    async def watch(self) -> None:
        async with httpx2.AsyncClient(follow_redirects=True, timeout=5) as http:
            while True:
                try:
                    await self._join(http)
                    while self.watching:
                        await asyncio.sleep(0.1)
                except (httpx2.HTTPError, PermissionError) as exc:
                    self.failures.append(repr(exc))
                    await asyncio.sleep(RETRY_S)
                finally:
                    await self.leave()

    async def leave(self) -> None:
        connection, self.connection, self.host = self.connection, None, None
        if connection is not None:
            await connection.close()

    async def _join(self, http: httpx2.AsyncClient) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTransceiver("video", direction="recvonly")
        events = self.connection.createDataChannel("events")
        events.on("message", self._hear)
        await self.connection.setLocalDescription(await self.connection.createOffer())
        response = await http.post(
            f"{self.router}/v1/streams/demo/whep",
            content=self.connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
        if response.status_code != 201:
            raise PermissionError(response.text)
        answer = RTCSessionDescription(response.text, "answer")
        await self.connection.setRemoteDescription(answer)
        self.heard_at = time.monotonic() + CONNECT_S
        self.host = f"http://{urlsplit(str(response.url)).netloc}"

    def _hear(self, _: str) -> None:
        self.heard_at = time.monotonic()


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A simulated cluster of one Ray node on this machine; the test adds and removes a second."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from ray.cluster_utils import Cluster

        resources: dict[str, Any] = {
            "num_cpus": 1,
            "object_store_memory": 80 * 2**20,
            "include_dashboard": False,
        }
        started = Cluster()
        try:
            started.add_node(**resources)
            yield started
        finally:
            import ray

            ray.shutdown()
            started.shutdown()  # type: ignore[no-untyped-call]  # Ray leaves it untyped


@asynccontextmanager
async def running_router(placement: Any) -> AsyncIterator[str]:
    settings = RouterSettings(port=0)
    with listen(settings.host, settings.port) as listening:
        app = create_router(settings, placement)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        await serving


@asynccontextmanager
async def watching_viewers(router: str) -> AsyncIterator[list[Viewer]]:
    viewers = [Viewer(router) for _ in range(VIEWERS)]
    watching = [asyncio.create_task(viewer.watch()) for viewer in viewers]
    try:
        yield viewers
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


async def until(condition: Any, seconds: float, otherwise: Any) -> float:
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < seconds, otherwise()
        await asyncio.sleep(0.05)
    return time.monotonic() - began


async def ready_hosts(placement: Any, count: int) -> list[str]:
    deadline = time.monotonic() + READY_S
    while True:
        found = []
        with suppress(NotReadyError):  # Ray may not be ready immediately after the loss
            found = [host for host in await placement.hosts() if host.ready]
        if len(found) == count:
            return [host.address for host in found]
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.2)


async def test_viewers_survive_the_loss_of_a_machine(cluster: Any) -> None:
    from server.cluster import ray_cluster

    second = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    ray_cluster.connect(cluster.address)
    await until(lambda: len(ray_cluster._nodes()) == 2, 30, lambda: "a machine is missing")
    started = await asyncio.to_thread(ray_cluster.start_hosts, PLAN)
    addresses = list(started)
    assert list(started.values()) == [None, None]
    assert await asyncio.to_thread(ray_cluster.start_hosts, PLAN) == started, (
        "a second call started hosts again"
    )
    placement = ray_cluster.RayPlacement()
    await ready_hosts(placement, 2)
    async with running_router(placement) as router, watching_viewers(router) as viewers:

        def all_watch() -> bool:
            return all(v.watching and v.heard_at <= time.monotonic() for v in viewers)

        def state() -> str:
            return f"{Counter(v.host for v in viewers)}, {[v.failures[:1] for v in viewers]}"

        joined_s = await until(all_watch, 30, state)
        assert Counter(viewer.host for viewer in viewers) == dict.fromkeys(addresses, 10)

        killed_at = time.monotonic()
        removing = asyncio.create_task(
            asyncio.to_thread(cluster.remove_node, second, allow_graceful=False)
        )
        killed = await silent_host(addresses)
        ended_s = time.monotonic() - killed_at
        (remaining,) = set(addresses) - {killed}
        await until(
            lambda: all_watch() and all(viewer.host == remaining for viewer in viewers),
            killed_at + 10 - time.monotonic(),
            state,
        )
        back_s = time.monotonic() - killed_at
        await removing
        logger.info(
            "joined in %.1f s; host gone in %.1f s, viewers elsewhere in %.1f s",
            joined_s,
            ended_s,
            back_s,
        )
        assert await ready_hosts(placement, 1) == [remaining]

        await asyncio.to_thread(ray_cluster.drain, remaining)
        deadline = time.monotonic() + 5
        while not (await placement.hosts())[0].draining:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        async with httpx2.AsyncClient() as http:
            refused = await http.post(f"{router}/v1/streams/demo/whep", content="v=0")
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert all_watch(), "connected viewers were interrupted"
    await asyncio.to_thread(ray_cluster.stop, remaining)
    await until(lambda: not responding(remaining), 10, lambda: "the host did not end")


def responding(address: str) -> bool:
    parts = urlsplit(address)
    with socket.socket() as probe:
        return probe.connect_ex((parts.hostname, parts.port)) == 0


async def silent_host(addresses: list[str]) -> str:
    """Return the host that no longer answers: its process ends with the removed node."""
    deadline = time.monotonic() + 5
    while True:
        for address in addresses:
            if not responding(address):
                return address
        assert time.monotonic() < deadline, "no host has ended"
        await asyncio.sleep(0.05)
