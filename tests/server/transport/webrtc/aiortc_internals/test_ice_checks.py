"""Only authenticated ICE checks of a viewer are observed."""

from __future__ import annotations

import asyncio

from aioice import Connection, stun
from aiortc import RTCConfiguration, RTCPeerConnection

from server.transport.webrtc.aiortc_internals.ice_checks import observe_checks
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_signature


def test_upstream_still_separates_authenticated_checks() -> None:
    assert_signature(Connection, "check_incoming", ("self", "message", "addr", "protocol"))
    names = Connection.request_received.__code__.co_names
    assert names.index("check_message_integrity") < names.index("check_incoming")


async def test_checks_of_the_peer_are_observed_and_forged_ones_are_not() -> None:
    enable_loopback_fallback()
    one, other = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    checks: list[float] = []
    try:
        sender = one.addTransceiver("video", direction="sendonly").sender
        await one.setLocalDescription(await one.createOffer())
        observe_checks(sender, lambda: checks.append(asyncio.get_running_loop().time()))
        connection = sender.transport.transport._connection
        forged = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        connection.request_received(forged, ("127.0.0.1", 9), connection._protocols[0])
        assert checks == []
        await other.setRemoteDescription(one.localDescription)
        await other.setLocalDescription(await other.createAnswer())
        await one.setRemoteDescription(other.localDescription)
        async with asyncio.timeout(10):
            while one.connectionState != "connected":
                await asyncio.sleep(0.01)
        assert checks
    finally:
        await one.close()
        await other.close()
