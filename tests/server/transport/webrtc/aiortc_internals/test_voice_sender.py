"""A sender without track sends the given packets, with their own numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket

from server.transport.webrtc.aiortc_internals.voice_sender import OutgoingPacket, send_packets
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

PREFIX = "_RTCRtpSender__"
CODEC = RTCRtpCodecParameters(mimeType="audio/opus", clockRate=48_000, channels=2, payloadType=109)


@pytest.fixture
async def sender() -> AsyncIterator[RTCRtpSender]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    yield connection.addTransceiver("audio", direction="sendonly").sender
    await connection.close()


async def test_upstream_still_runs_and_stops_its_senders_this_way(sender: RTCRtpSender) -> None:
    assert_signature(RTCRtpSender, "_run_rtp", ("self", "codec"), is_async=True)
    for name, kind in (
        ("rtp_started", asyncio.Event),
        ("rtp_exited", asyncio.Event),
        ("rtp_header_extensions_map", object),
        ("mid", object),
        ("packet_count", int),
        ("octet_count", int),
    ):
        assert_attribute(sender, PREFIX + name, kind)
    for caller, names in (
        ("send", {"_run_rtp"}),
        ("stop", {f"{PREFIX}rtp_started", f"{PREFIX}rtp_exited"}),
        ("_run_rtcp", {f"{PREFIX}packet_count", f"{PREFIX}octet_count"}),
    ):
        missing = names - set(getattr(RTCRtpSender, caller).__code__.co_names)
        assert not missing, f"expected RTCRtpSender.{caller} to use {missing}, got no use"


async def test_packets_keep_their_numbers_and_are_counted(sender: RTCRtpSender) -> None:
    outgoing = [
        OutgoingPacket(b"a", 65_535, 2**32 - 960, marker=True),
        OutgoingPacket(b"bcd", 1, 960, marker=False),  # number 0 was lost before
    ]
    sent: list[bytes] = []
    waiting = asyncio.Event()

    async def store(data: bytes) -> None:
        sent.append(data)

    async def next_packet() -> OutgoingPacket:
        if outgoing:
            return outgoing.pop(0)
        waiting.set()
        await asyncio.Event().wait()
        raise AssertionError("nothing ends this wait but a cancellation")

    sender.transport._send_rtp = store  # type: ignore[method-assign]
    send_packets(sender, next_packet)
    running = asyncio.create_task(sender._run_rtp(CODEC))
    await asyncio.wait_for(waiting.wait(), 5)
    packets = [RtpPacket.parse(data) for data in sent]
    assert [(p.payload, p.sequence_number, p.timestamp, p.marker) for p in packets] == [
        (b"a", 65_535, 2**32 - 960, 1),
        (b"bcd", 1, 960, 0),
    ]
    assert {(p.ssrc, p.payload_type) for p in packets} == {(sender._ssrc, 109)}
    assert (getattr(sender, f"{PREFIX}packet_count"), getattr(sender, f"{PREFIX}octet_count")) == (
        2,
        4,
    )
    assert getattr(sender, f"{PREFIX}rtp_started").is_set()
    assert not getattr(sender, f"{PREFIX}rtp_exited").is_set()
    running.cancel()
    await running  # ends without an exception, as `RTCRtpSender.stop` expects
    assert getattr(sender, f"{PREFIX}rtp_exited").is_set()


async def test_a_lost_connection_ends_the_sender(sender: RTCRtpSender) -> None:
    async def fail(data: bytes) -> None:
        raise ConnectionError

    async def next_packet() -> OutgoingPacket:
        return OutgoingPacket(b"a", 0, 0, marker=False)

    sender.transport._send_rtp = fail  # type: ignore[method-assign]
    send_packets(sender, next_packet)
    await asyncio.wait_for(sender._run_rtp(CODEC), 5)
    assert getattr(sender, f"{PREFIX}rtp_exited").is_set()
