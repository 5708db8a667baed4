"""Packets of a voice are taken on arrival, counted for the receiver reports, and not decoded."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtcpByePacket, RtpPacket

from server.transport.webrtc.aiortc_internals.voice_receiver import MOST_SOURCES, take_packets
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

STREAMS = "_RTCRtpReceiver__remote_streams"


@pytest.fixture
async def receiver() -> AsyncIterator[RTCRtpReceiver]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    yield connection.addTransceiver("audio", direction="recvonly").receiver
    await connection.close()


def packet(number: int, ssrc: int = 1) -> RtpPacket:
    return RtpPacket(
        payload_type=111, sequence_number=number, timestamp=960 * number, ssrc=ssrc, payload=b"opus"
    )


async def test_upstream_still_hands_packets_over_and_counts_them_this_way(
    receiver: RTCRtpReceiver,
) -> None:
    arguments = ("self", "packet", "arrival_time_ms")
    assert_signature(RTCRtpReceiver, "_handle_rtp_packet", arguments, is_async=True)
    assert_signature(RTCRtpReceiver, "_handle_rtcp_packet", ("self", "packet"), is_async=True)
    assert_attribute(receiver, STREAMS, dict)
    assert STREAMS in RTCRtpReceiver._run_rtcp.__code__.co_names, (
        f"expected RTCRtpReceiver._run_rtcp to report {STREAMS}, got no read"
    )
    assert_signature(StreamStatistics, "__init__", ("self", "clockrate"))
    assert_signature(StreamStatistics, "add", ("self", "packet"))


async def test_packets_are_taken_and_counted(receiver: RTCRtpReceiver) -> None:
    taken: list[RtpPacket] = []
    take_packets(receiver, taken.append, lambda: None)
    sent = [packet(number) for number in (65_534, 65_535, 1)]  # number 0 was lost
    for one in sent:
        await receiver._handle_rtp_packet(one, arrival_time_ms=0)
    assert taken == sent
    counted = getattr(receiver, STREAMS)[1]
    assert (counted.packets_received, counted.packets_expected) == (3, 4)


async def test_packets_of_too_many_sources_are_dropped(receiver: RTCRtpReceiver) -> None:
    taken: list[RtpPacket] = []
    take_packets(receiver, taken.append, lambda: None)
    for ssrc in (*range(MOST_SOURCES + 3), 0):
        await receiver._handle_rtp_packet(packet(ssrc, ssrc), arrival_time_ms=0)
    assert [one.ssrc for one in taken] == [*range(MOST_SOURCES), 0]
    assert len(getattr(receiver, STREAMS)) == MOST_SOURCES


async def test_rtcp_is_observed_and_still_handled(
    receiver: RTCRtpReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    handled: list[object] = []

    async def handle(packet: object) -> None:
        handled.append(packet)

    monkeypatch.setattr(receiver, "_handle_rtcp_packet", handle)
    observed: list[bool] = []
    take_packets(receiver, lambda _: None, lambda: observed.append(True))
    bye = RtcpByePacket(sources=[1])
    await receiver._handle_rtcp_packet(bye)
    assert handled == [bye]
    assert observed == [True]
