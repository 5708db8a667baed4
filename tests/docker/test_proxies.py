"""The server behind nginx and Caddy with their example configurations: below `/face/`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from websockets.asyncio.client import connect

from server.settings import Settings
from tests.docker.proxies import NAMES, proxied
from tests.server.conftest import serving

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
LIVE = {"Content-Type": "application/x-ndjson"}
FRAME_S = 10.0


@pytest.fixture(scope="module")
def server_port() -> Iterator[int]:
    settings = Settings(port=0, workers=1, max_sessions=4, trusted_proxies="127.0.0.1")
    with serving(settings) as served:
        yield served.port


@pytest.fixture(scope="module", params=NAMES)
def site(
    request: pytest.FixtureRequest, server_port: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    name: str = request.param
    with proxied(name, server_port, tmp_path_factory.mktemp(name)) as address:
        yield address


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(timeout=10) as http:
        yield http


async def test_the_files_of_the_page_and_the_documentation_are_served(
    client: httpx2.AsyncClient, site: str
) -> None:
    for path in ("", "js/main.js", "docs", "docs/start.js", "openapi.json", "readyz"):
        answer = await client.get(site + path)
        assert answer.status_code == 200, path
        assert answer.headers["strict-transport-security"] == "max-age=31536000", path
    moved = await client.get(f"{site}v1/streams/")
    assert moved.is_redirect
    assert str(moved.url.join(moved.headers["location"])) == f"{site}v1/streams"


async def test_a_created_stream_is_reached_at_its_location(
    client: httpx2.AsyncClient, site: str
) -> None:
    made = await client.post(f"{site}v1/streams", json={"id": "here"})
    stream = made.url.join(made.headers["location"])
    assert str(stream) == f"{site}v1/streams/here"
    assert (await client.delete(stream)).status_code == 204


async def test_whep_and_trickled_candidates_work_below_the_path(
    client: httpx2.AsyncClient, site: str
) -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("video", direction="recvonly").receiver
    await connection.setLocalDescription(await connection.createOffer())
    whep = f"{site}v1/streams/demo/whep"
    assert (await client.options(whep)).headers["accept-post"] == "application/sdp"
    answer = await client.post(whep, content=connection.localDescription.sdp, headers=SDP)
    session = answer.url.join(answer.headers["location"])
    assert str(session).startswith(f"{site}v1/sessions/")
    end = "a=mid:0\r\na=end-of-candidates\r\n"
    assert (await client.patch(session, content=end, headers=FRAGMENT)).status_code == 204
    await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    await asyncio.wait_for(receiver.track.recv(), FRAME_S)
    assert (await client.get(session)).json()["id"] == str(session).rsplit("/", 1)[1]
    assert (await client.delete(session)).status_code == 204
    await connection.close()


async def test_a_websocket_of_a_page_gets_jpeg_frames(site: str) -> None:
    # The proxy forwards the page's origin as `Host`.
    address = f"{site.replace('http', 'ws', 1)}v1/streams/demo/pictures"
    origin: Any = site.removesuffix("/face/")
    async with asyncio.timeout(FRAME_S), connect(address, origin=origin) as socket:
        assert json.loads(await socket.recv())["pictures"] == "image/jpeg"
        assert json.loads(await socket.recv())["type"] == "frame"
        image = await socket.recv()
        assert isinstance(image, bytes)
        assert image.startswith(b"\xff\xd8")


async def test_each_line_of_a_streaming_request_arrives_before_the_next_is_sent(
    client: httpx2.AsyncClient, site: str
) -> None:
    stream = f"{site}v1/streams/live"
    assert (await client.post(f"{site}v1/streams", json={"id": "live"})).status_code == 201

    async def until_published(count: int) -> None:
        while (await client.get(stream)).json()["accepted"] < count:
            await asyncio.sleep(0.02)

    async def lines() -> AsyncIterator[bytes]:
        # The last line exceeds the default body limit of proxies, 1 MB.
        for seq in range(3):
            padding = " " * (1_500_000 if seq == 2 else 0)
            yield json.dumps({"seq": seq}).encode() + padding.encode() + b"\n"
            await asyncio.wait_for(until_published(seq + 1), FRAME_S)

    answer = await client.post(f"{stream}/frames", content=lines(), headers=LIVE)
    assert answer.json()["accepted"] == 3
    await client.delete(stream)
