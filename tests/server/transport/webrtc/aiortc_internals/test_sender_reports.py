"""Sender reports state the RTP timestamp of the moment at which they are sent."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpSender, clock
from aiortc.rtp import RtcpPacket, RtcpSdesPacket, RtcpSenderInfo, RtcpSourceInfo, RtcpSrPacket

from server.transport.webrtc.aiortc_internals.sender_reports import ntp_time, report_media_time
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

LSR = "_RTCRtpSender__lsr"
NTP_SECOND = 2**32


@pytest.fixture
async def sender() -> AsyncIterator[RTCRtpSender]:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    yield connection.addTransceiver("video", direction="sendonly").sender
    await connection.close()


@pytest.fixture
def sent(sender: RTCRtpSender) -> list[bytes]:
    """Return the list of the packets that the sender's transport sends from now on."""
    packets: list[bytes] = []

    async def store(data: bytes) -> None:
        packets.append(data)

    sender.transport._send_rtp = store  # type: ignore[method-assign]
    return packets


def report_of(sender: RTCRtpSender) -> RtcpSrPacket:
    """Return a report as aiortc makes it."""
    info = RtcpSenderInfo(ntp_timestamp=7, rtp_timestamp=8, packet_count=9, octet_count=10)
    return RtcpSrPacket(ssrc=sender._ssrc, sender_info=info)


def test_upstream_still_sends_its_reports_this_way() -> None:
    assert_signature(RTCRtpSender, "_send_rtcp", ("self", "packets"), is_async=True)
    assert_signature(clock, "current_ntp_time", ())
    for caller, names in (
        ("_run_rtcp", {"_send_rtcp", "RtcpSrPacket", "RtcpSenderInfo", LSR}),
        ("_handle_rtcp_packet", {LSR}),
    ):
        missing = names - set(getattr(RTCRtpSender, caller).__code__.co_names)
        assert not missing, f"expected RTCRtpSender.{caller} to use {missing}, got no use"


def test_moments_are_ntp_times() -> None:
    now = time.monotonic()
    # Both clocks are read one after the other; seconds since 1900 exceed those since 1970.
    assert ntp_time(now) / NTP_SECOND == pytest.approx(time.time() + 2_208_988_800, abs=1)
    assert ntp_time(now + 1) - ntp_time(now) == pytest.approx(NTP_SECOND, abs=2)


async def test_a_report_describes_the_present_moment(
    sender: RTCRtpSender, sent: list[bytes]
) -> None:
    asked_at: list[float] = []

    def timestamp_at(at: float) -> int:
        asked_at.append(at)
        return 4_000_000_000

    report_media_time(sender, timestamp_at)
    names = RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=sender._ssrc, items=[(1, b"name")])])
    await sender._send_rtcp([report_of(sender), names])
    (moment,) = asked_at
    report, others = RtcpPacket.parse(sent[0])
    assert isinstance(report, RtcpSrPacket)
    assert report.sender_info == RtcpSenderInfo(
        ntp_timestamp=ntp_time(moment), rtp_timestamp=4_000_000_000, packet_count=9, octet_count=10
    )
    assert others == names
    # From this value a receiver's answer gives the round-trip time.
    assert_attribute(sender, LSR, int)
    assert getattr(sender, LSR) == (ntp_time(moment) >> 16) & 0xFFFFFFFF


async def test_no_report_is_sent_before_there_is_a_timestamp(
    sender: RTCRtpSender, sent: list[bytes]
) -> None:
    report_media_time(sender, lambda at: None)
    await sender._send_rtcp([report_of(sender)])
    assert sent == []
