"""A connection may be closed while it is being established."""

from __future__ import annotations

import logging

import pytest
from aiortc import RTCConfiguration, RTCIceTransport, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError

from server.transport.webrtc.aiortc_internals.connecting import allow_early_end
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_signature

CONNECT = "_RTCPeerConnection__connect"


async def answering() -> tuple[RTCPeerConnection, RTCIceTransport]:
    """Return a connection that is about to start its transport."""
    offerer, answerer = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    offerer.addTransceiver("video", direction="recvonly")
    await offerer.setLocalDescription(await offerer.createOffer())
    sdp = offerer.localDescription.sdp
    await answerer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
    (transceiver,) = answerer.getTransceivers()
    transport = transceiver.receiver.transport.transport
    await transport.iceGatherer.gather()
    await offerer.close()
    return answerer, transport


async def test_a_transport_that_is_closed_before_its_start_raises_no_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection, transport = await answering()
    assert_signature(connection, CONNECT, (), is_async=True)
    set_state = transport._RTCIceTransport__setState  # type: ignore[attr-defined]  # private: as a lost network sets it
    set_state("closed")  # its state while it is being stopped
    with pytest.raises(InvalidStateError):
        await getattr(connection, CONNECT)()
    allow_early_end(connection)
    with caplog.at_level(logging.INFO):
        await getattr(connection, CONNECT)()
    assert "a connection ended before all its transports were started" in caplog.text
    set_state("new")  # otherwise its sockets stay open
    await connection.close()
