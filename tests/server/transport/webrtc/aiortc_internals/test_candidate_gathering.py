"""The server gathers candidates on its UDP ports, with its advertised address."""

from __future__ import annotations

import asyncio
import inspect
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
from server.transport.webrtc.aiortc_internals.candidate_gathering import as_aiortc, gather_within
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

PUBLIC = "203.0.113.7"


async def gathered(
    viewer: RTCPeerConnection, server: RTCPeerConnection, reachability: Reachability
) -> list[RTCIceCandidate]:
    """Let `server` answer an offer of video and data, and read its candidates from the answer."""
    enable_loopback_fallback()
    viewer.addTransceiver("video", direction="recvonly")
    viewer.createDataChannel("view")
    await viewer.setLocalDescription(await viewer.createOffer())
    offer = RTCSessionDescription(viewer.localDescription.sdp, "offer")
    await server.setRemoteDescription(offer)
    gather_within(server, reachability)
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
    """Return three consecutive ports that are free on every address."""
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


async def test_upstream_still_gathers_this_way(server: RTCPeerConnection) -> None:
    server.createDataChannel("view")
    assert server.sctp is not None
    gatherer = server.sctp.transport.transport.iceGatherer
    assert_attribute(gatherer, "_connection", aioice.ice.Connection)
    ice = gatherer._connection
    assert_attribute(ice, "_protocols", list)
    assert hasattr(ice, "stun_server"), "expected upstream to have Connection.stun_server, got none"
    assert_signature(
        ice, "get_component_candidates", ("component", "addresses", "timeout"), is_async=True
    )
    assert_signature(
        aioice.ice, "server_reflexive_candidate", ("protocol", "stun_server"), is_async=True
    )
    assert_signature(aioice.ice, "StunProtocol", ("receiver",))
    assert "local_candidate" in aioice.ice.StunProtocol.__annotations__, (
        "expected upstream to have StunProtocol.local_candidate, got none"
    )
    source = inspect.getsource(aioice.ice.Connection.gather_candidates)
    assert "self.get_component_candidates(component=component, addresses=addresses)" in source, (
        "expected Connection.gather_candidates to call get_component_candidates, got no such call"
    )


async def test_media_uses_the_configured_ports_only(
    viewer: RTCPeerConnection, server: RTCPeerConnection
) -> None:
    ports = three_free_ports()
    found = await gathered(viewer, server, Reachability(udp_ports=ports))
    assert found
    assert {candidate.port for candidate in found} <= set(ports)


async def test_without_a_free_port_the_error_suggests_a_retry(
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


async def test_the_advertised_address_is_offered_with_the_same_ports(
    viewer: RTCPeerConnection, server: RTCPeerConnection
) -> None:
    found = await gathered(viewer, server, Reachability(public_address=PUBLIC))
    own = {(c.ip, c.port) for c in found if c.type == "host" and ":" not in c.ip}
    public = {(c.relatedAddress, c.relatedPort) for c in found if c.type == "srflx"}
    assert own
    assert public == own
    assert {(c.ip, c.port) for c in found if c.type == "srflx"} == {(PUBLIC, p) for _, p in own}


class SilentServer(asyncio.DatagramProtocol):
    """A server that receives datagrams and never answers."""


@pytest.mark.alone
async def test_ice_servers_that_do_not_respond_delay_the_answer_only_briefly(
    viewer: RTCPeerConnection,
) -> None:
    loop = asyncio.get_running_loop()
    silent, _ = await loop.create_datagram_endpoint(SilentServer, local_addr=("127.0.0.1", 0))
    host, port = silent.get_extra_info("sockname")
    servers = [IceServer(f"stun:{host}:{port}"), IceServer(f"turn:{host}:{port}", "ann", "pw")]
    server = RTCPeerConnection(RTCConfiguration(iceServers=as_aiortc(servers)))
    started = time.monotonic()
    found = await gathered(viewer, server, Reachability())
    assert {candidate.type for candidate in found} == {"host"}
    assert time.monotonic() - started < 4.5  # 2 s; aioice's default is 5 s
    await server.close()
    silent.close()
