"""Which candidates the server offers of itself."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, suppress

import aioice.ice
import pytest
from aiortc import RTCConfiguration, RTCIceCandidate, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription

from server.errors import PoolBusyError
from server.network.addresses import Reachability
from server.network.ice_servers import IceServer
from server.transport.webrtc.gathering import as_aiortc, gather_within
from server.transport.webrtc.ice import offer_loopback_when_alone

PUBLIC = "203.0.113.7"


async def gathered(
    viewer: RTCPeerConnection, server: RTCPeerConnection, reach: Reachability
) -> list[RTCIceCandidate]:
    """Let `server` answer an offer of video and data, and read its candidates from the answer."""
    offer_loopback_when_alone()
    viewer.addTransceiver("video", direction="recvonly")
    viewer.createDataChannel("view")
    await viewer.setLocalDescription(await viewer.createOffer())
    offer = RTCSessionDescription(viewer.localDescription.sdp, "offer")
    await server.setRemoteDescription(offer)
    gather_within(server, reach)
    await server.setLocalDescription(await server.createAnswer())
    media = SessionDescription.parse(server.localDescription.sdp).media
    return [candidate for section in media for candidate in section.ice_candidates]


@pytest.fixture
async def viewer() -> AsyncIterator[RTCPeerConnection]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    yield connection
    await connection.close()


@pytest.fixture
async def server() -> AsyncIterator[RTCPeerConnection]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    yield connection
    await connection.close()


def three_free_ports() -> range:
    """Three in a row that are free on every address just now."""
    for first in range(41_000, 60_000, 7):
        ports = range(first, first + 3)
        try:
            for port in ports:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind(("", port))
        except OSError:
            continue
        return ports
    raise AssertionError("no three free ports in a row")


async def test_media_stays_within_its_ports(
    viewer: RTCPeerConnection, server: RTCPeerConnection
) -> None:
    ports = three_free_ports()
    found = await gathered(viewer, server, Reachability(udp_ports=ports))
    assert found
    assert {candidate.port for candidate in found} <= set(ports)


async def test_without_a_free_port_a_viewer_is_told_to_come_back(
    viewer: RTCPeerConnection, server: RTCPeerConnection
) -> None:
    (port, *_) = three_free_ports()
    with ExitStack() as stack:
        for address in aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=True) or ["127.0.0.1"]:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            taken = stack.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            with suppress(OSError):  # the server cannot bind this one either
                taken.bind((address, port))
        with pytest.raises(PoolBusyError, match=f"all UDP ports from {port} to {port} are in use"):
            await gathered(viewer, server, Reachability(udp_ports=range(port, port + 1)))


async def test_the_public_address_is_offered_with_the_same_ports(
    viewer: RTCPeerConnection, server: RTCPeerConnection
) -> None:
    found = await gathered(viewer, server, Reachability(public_address=PUBLIC))
    own = {(c.ip, c.port) for c in found if c.type == "host" and ":" not in c.ip}
    public = {(c.relatedAddress, c.relatedPort) for c in found if c.type == "srflx"}
    assert own
    assert public == own
    assert {(c.ip, c.port) for c in found if c.type == "srflx"} == {(PUBLIC, p) for _, p in own}


class DeafServer(asyncio.DatagramProtocol):
    """Takes everything, answers nothing."""


async def test_servers_that_do_not_answer_hold_nobody_up_for_long(
    viewer: RTCPeerConnection,
) -> None:
    loop = asyncio.get_running_loop()
    deaf, _ = await loop.create_datagram_endpoint(DeafServer, local_addr=("127.0.0.1", 0))
    host, port = deaf.get_extra_info("sockname")
    servers = [IceServer(f"stun:{host}:{port}"), IceServer(f"turn:{host}:{port}", "ann", "pw")]
    server = RTCPeerConnection(RTCConfiguration(iceServers=as_aiortc(servers)))
    started = time.monotonic()
    found = await gathered(viewer, server, Reachability())
    assert {candidate.type for candidate in found} == {"host"}
    assert time.monotonic() - started < 4.5  # 2 s; aioice's own 5
    await server.close()
    deaf.close()
