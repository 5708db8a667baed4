"""An observer of aiortc's sender is called for packets and feedback."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiortc import RTCConfiguration, RTCDtlsTransport, RTCPeerConnection, RTCRtpSender
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RtcpPsfbPacket,
    RtcpRrPacket,
    pack_remb_fci,
)

from server.transport.webrtc.aiortc_internals.sender_events import SenderEvents, observe_sender
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

SSRC = 7


class Transport:
    """A transport that stores sent packets."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def _send_rtp(self, data: bytes) -> None:
        self.sent.append(data)


class Sender:
    """The parts of aiortc's sender that are wrapped."""

    def __init__(self) -> None:
        self._ssrc = SSRC
        self.transport = Transport()
        self.key_frames = 0

    async def _handle_rtcp_packet(self, packet: Any) -> None:
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_PLI:
            self._send_keyframe()

    def _send_keyframe(self) -> None:
        self.key_frames += 1

    async def _retransmit(self, sequence_number: int) -> None:
        await self.transport._send_rtp(struct.pack("!BBHLL", 0x80, 97, sequence_number, 0, SSRC))


class Recorder:
    """An observer that stores the events."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, bool, int]] = []
        self.key_frames = 0
        self.estimates: list[int] = []
        self.rtcp_packets = 0

    def events(self) -> SenderEvents:
        return SenderEvents(
            packet_sent=lambda *packet: self.packets.append(packet),
            key_frame_requested=self._key_frame,
            bandwidth_estimated=self.estimates.append,
            rtcp_received=self._rtcp,
        )

    def _key_frame(self) -> None:
        self.key_frames += 1

    def _rtcp(self) -> None:
        self.rtcp_packets += 1


@pytest.fixture
def sender() -> Any:
    return Sender()


@pytest.fixture
def recorder(sender: Any) -> Recorder:
    recorder = Recorder()
    observe_sender(sender, recorder.events())
    return recorder


def rtp(sequence_number: int, timestamp: int, marker: bool = False, ssrc: int = SSRC) -> bytes:
    kind = 96 | (0x80 if marker else 0)
    return struct.pack("!BBHLL", 0x80, kind, sequence_number, timestamp, ssrc) + b"payload"


async def test_upstream_still_sends_this_way() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    real = connection.addTransceiver("video", direction="sendonly").sender
    assert_attribute(real, "_ssrc", int)
    assert_attribute(real, "transport", RTCDtlsTransport)
    await connection.close()
    assert_signature(RTCRtpSender, "_handle_rtcp_packet", ("self", "packet"), is_async=True)
    assert_signature(RTCRtpSender, "_send_keyframe", ("self",))
    assert_signature(RTCRtpSender, "_retransmit", ("self", "sequence_number"), is_async=True)
    assert_signature(RTCDtlsTransport, "_send_rtp", ("self", "data"), is_async=True)


@pytest.mark.parametrize(
    ("method", "called"),
    [
        ("_handle_rtcp_packet", "_send_keyframe"),
        ("_handle_rtcp_packet", "_retransmit"),
        ("_retransmit", "_send_rtp"),
        ("_run_rtp", "_send_rtp"),
    ],
)
def test_upstream_still_calls_the_wrapped_methods(method: str, called: str) -> None:
    assert called in getattr(RTCRtpSender, method).__code__.co_names, (
        f"expected RTCRtpSender.{method} to call {called}, got no call"
    )


async def test_packets_are_reported_after_they_were_sent(sender: Any, recorder: Recorder) -> None:
    await sender.transport._send_rtp(rtp(65_535, 4_000_000_000))
    await sender.transport._send_rtp(rtp(0, 4_000_000_000, marker=True))
    assert recorder.packets == [(4_000_000_000, False, 19), (4_000_000_000, True, 19)]
    assert len(sender.transport.sent) == 2


async def test_retransmissions_are_not_reported(sender: Any, recorder: Recorder) -> None:
    for number in (5, 6, 5, 6, 7):
        await sender.transport._send_rtp(rtp(number, number))
    assert [timestamp for timestamp, _, _ in recorder.packets] == [5, 6, 7]


async def test_a_lost_packet_is_retransmitted_twice() -> None:
    sender: Any = Sender()
    observe_sender(sender, Recorder().events())
    await sender._retransmit(17)
    assert [packet[2:4] for packet in sender.transport.sent] == [b"\x00\x11"] * 2


async def test_packets_of_other_senders_are_not_reported(sender: Any, recorder: Recorder) -> None:
    await sender.transport._send_rtp(rtp(1, 1, ssrc=99))
    await sender.transport._send_rtp(bytes(RtcpRrPacket(ssrc=SSRC)))
    assert recorder.packets == []
    assert len(sender.transport.sent) == 2


async def test_a_pli_requests_a_key_frame(sender: Any, recorder: Recorder) -> None:
    await sender._handle_rtcp_packet(RtcpPsfbPacket(RTCP_PSFB_PLI, ssrc=1, media_ssrc=SSRC))
    assert recorder.key_frames == 1
    assert sender.key_frames == 1  # aiortc's own encoder receives the request too
    assert recorder.rtcp_packets == 1


@pytest.mark.parametrize(
    ("fci", "estimates"),
    [
        (pack_remb_fci(1_000_000, [SSRC]), [1_000_000]),
        (pack_remb_fci(1_000_000, [99]), []),
        (b"what", []),
        (b"REMB\x09\x00\x00\x00", []),
    ],
)
async def test_bandwidth_estimates_for_this_sender_are_reported(
    sender: Any, recorder: Recorder, fci: bytes, estimates: list[int]
) -> None:
    await sender._handle_rtcp_packet(RtcpPsfbPacket(RTCP_PSFB_APP, 1, SSRC, fci))
    assert recorder.estimates == estimates
