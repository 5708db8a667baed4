"""Packets of a transport are numbered and paced, and feedback is extracted from its RTCP."""

from __future__ import annotations

import asyncio
import inspect
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiortc.rtp
import pytest
from aiortc import RTCConfiguration, RTCDtlsTransport, RTCPeerConnection, RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpSendParameters
from aiortc.rtp import (
    RTCP_PSFB_PLI,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtpPacket,
    unpack_header_extensions,
)

from server.transport.webrtc.aiortc_internals.transport_feedback import (
    LOWER_LAYERS,
    TRANSPORT_CC_URI,
    NumberedTransport,
    TransportEvents,
    enable_transport_numbers,
)
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)
from tests.server.transport.webrtc.congestion.reports import report, rtcp, run

ID = 5
MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"


@dataclass
class Recorder:
    """Stores the events; numbers packets from 65 535 on."""

    wait_s: float = 0.0
    may_retransmit: bool = True
    sent: list[tuple[int, int, int | None]] = field(default_factory=list)
    reports: list[bytes] = field(default_factory=list)

    def events(self) -> TransportEvents:
        return TransportEvents(
            wait_s=self._wait,
            may_retransmit=lambda: self.may_retransmit,
            sending=self._sending,
            reported=self.reports.append,
        )

    def _wait(self) -> float:
        wait_s, self.wait_s = self.wait_s, 0.0
        return wait_s

    def _sending(self, *packet: Any) -> int:
        self.sent.append(packet)
        return (65_534 + len(self.sent)) % 65_536


@dataclass
class UnconnectedSender:
    """An RTP sender of aiortc with an unconnected transport."""

    sender: Any
    recorder: Recorder
    transport: NumberedTransport
    outgoing: list[bytes] = field(default_factory=list)
    handled: list[bytes] = field(default_factory=list)

    def packet(self, number: int, payload: bytes = b"payload", ssrc: int | None = None) -> bytes:
        packet = RtpPacket(96, 0, number, 0, ssrc or self.sender._ssrc, payload)
        packet.extensions.mid = "0"
        return packet.serialize(self.sender._RTCRtpSender__rtp_header_extensions_map)

    async def send(self, data: bytes) -> None:
        await self.sender.transport._send_rtp(data)

    def numbers(self) -> list[int]:
        packets = [
            data[16 : 16 + 4 * struct.unpack_from("!H", data, 14)[0]] for data in self.outgoing
        ]
        extensions = [dict(unpack_header_extensions(0xBEDE, packet)) for packet in packets]
        return [struct.unpack("!H", found[ID])[0] for found in extensions]


@asynccontextmanager
async def a_sender(*, rtx: bool = True) -> AsyncIterator[UnconnectedSender]:
    enable_transport_numbers()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender: Any = connection.addTransceiver("video", direction="sendonly").sender
    extensions = [
        RTCRtpHeaderExtensionParameters(id=1, uri=MID_URI),
        RTCRtpHeaderExtensionParameters(id=ID, uri=TRANSPORT_CC_URI),
    ]
    sender._RTCRtpSender__rtp_header_extensions_map.configure(
        RTCRtpSendParameters(headerExtensions=extensions)
    )
    sender._RTCRtpSender__rtx_payload_type = 97 if rtx else None
    outgoing: list[bytes] = []
    handled: list[bytes] = []

    async def send_rtp(data: bytes) -> None:
        outgoing.append(data)

    async def handle_rtcp(data: bytes) -> None:
        handled.append(data)

    sender.transport._send_rtp, sender.transport._handle_rtcp_data = send_rtp, handle_rtcp
    recorder = Recorder()
    transport = NumberedTransport(sender, [sender], ID, recorder.events())
    yield UnconnectedSender(sender, recorder, transport, outgoing, handled)
    await connection.close()


async def test_upstream_still_sends_and_receives_this_way() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    real = connection.addTransceiver("video", direction="sendonly").sender
    assert_attribute(real, "_ssrc", int)
    assert_attribute(real, "transport", RTCDtlsTransport)
    assert_attribute(real, "_RTCRtpSender__rtp_history", dict)
    assert_attribute(real, "_RTCRtpSender__rtp_header_extensions_map", object)
    assert_attribute(real, "_RTCRtpSender__rtx_payload_type", object)
    await connection.close()
    assert_signature(RTCDtlsTransport, "_send_rtp", ("self", "data"), is_async=True)
    assert_signature(RTCDtlsTransport, "_handle_rtcp_data", ("self", "data"), is_async=True)
    assert_signature(RTCRtpSender, "_retransmit", ("self", "sequence_number"), is_async=True)
    assert_signature(aiortc.rtp.HeaderExtensionsMap, "set", ("self", "values"))
    assert aiortc.rtp.HeaderExtensions().transport_sequence_number is None
    source = inspect.getsource(RTCDtlsTransport._recv_next)
    assert "self._handle_rtcp_data(data)" in source
    retransmitting = inspect.getsource(RTCRtpSender._retransmit)
    assert retransmitting.count("await") == 1, "a probe is marked until `_send_rtp` is called"


def test_upstream_still_refuses_a_padded_report() -> None:
    with pytest.raises(ValueError, match="feedback length is invalid"):
        RtcpPacket.parse(rtcp(report(0, 1, [run(1, 1)], b"\x04")))


def test_audio_and_video_use_one_id_for_the_extension_of_the_numbers() -> None:
    enable_transport_numbers()
    enable_transport_numbers()
    ids = [
        extension.id
        for kind in ("audio", "video")
        for extension in aiortc.codecs.HEADER_EXTENSIONS[kind]
        if extension.uri == TRANSPORT_CC_URI
    ]
    assert len(ids) == 2
    assert len(set(ids)) == 1


async def test_packets_are_numbered_in_the_order_in_which_they_leave() -> None:
    async with a_sender() as setting:
        for number in range(3):
            await setting.send(setting.packet(number))
        assert setting.numbers() == [65_535, 0, 1]
        size = len(setting.outgoing[0])
        assert setting.recorder.sent == [(size + LOWER_LAYERS, 7, None)] * 3


async def test_only_the_number_of_a_packet_changes() -> None:
    async with a_sender() as setting:
        data = setting.packet(4)
        await setting.send(data)
        changed = [
            i for i, (a, b) in enumerate(zip(data, setting.outgoing[0], strict=True)) if a != b
        ]
        assert len(changed) == 2


async def test_packets_without_the_extension_are_sent_unchanged() -> None:
    async with a_sender() as setting:
        others = [RtpPacket(96, 0, 1, 0, 99, b"voice").serialize(), bytes(RtcpRrPacket(ssrc=1))]
        for data in others:
            await setting.send(data)
        assert setting.outgoing == others
        assert setting.recorder.sent == []


@pytest.mark.alone
async def test_only_packets_of_a_frame_are_paced() -> None:
    async with a_sender() as setting:
        setting.recorder.wait_s = 0.05
        frame = asyncio.create_task(setting.send(setting.packet(1)))
        await asyncio.sleep(0)
        began = time.monotonic()
        await setting.send(setting.packet(1, ssrc=99))
        assert time.monotonic() - began < 0.04
        await frame
        assert time.monotonic() - began > 0.04
        assert [packet[1] for packet in setting.recorder.sent] == [0, 7]


async def test_a_retransmission_is_not_paced_and_not_counted_to_a_frame() -> None:
    async with a_sender(rtx=False) as setting:
        await setting.send(setting.packet(7))
        setting.recorder.wait_s = 5.0
        await asyncio.wait_for(setting.send(setting.packet(7)), 1)
        assert [packet[1] for packet in setting.recorder.sent] == [7, 0]


async def test_a_retransmission_without_room_is_dropped() -> None:
    async with a_sender() as setting:
        packet = RtpPacket(96, 0, 7, 0, setting.sender._ssrc, b"payload")
        setting.sender._RTCRtpSender__rtp_history[7] = packet
        setting.recorder.may_retransmit = False
        await setting.sender._retransmit(7)
        assert setting.outgoing == []
        setting.recorder.may_retransmit = True
        await setting.sender._retransmit(7)
        assert len(setting.outgoing) == 1


async def test_a_probe_retransmits_the_last_packets_and_marks_them() -> None:
    async with a_sender() as setting:
        assert not setting.transport.can_probe
        for number in range(3):
            packet = RtpPacket(96, 0, number, 0, setting.sender._ssrc, b"payload")
            setting.sender._RTCRtpSender__rtp_history[number] = packet
            await setting.send(setting.packet(number))
        assert setting.transport.can_probe
        sizes = [await setting.transport.send_probe(9, number) for number in range(4)]
        assert [packet[2] for packet in setting.recorder.sent] == [None] * 3 + [9] * 4
        assert sizes == [packet[0] for packet in setting.recorder.sent[3:]]
        assert setting.numbers()[3:] == [2, 3, 4, 5]


async def test_without_retransmissions_there_is_no_probe() -> None:
    async with a_sender(rtx=False) as setting:
        await setting.send(setting.packet(1))
        assert not setting.transport.can_probe


async def test_a_report_is_extracted_from_a_compound_packet() -> None:
    async with a_sender() as setting:
        fci = report(3, 1, [run(1, 1)], b"\x04")
        before, after = bytes(RtcpRrPacket(ssrc=1)), bytes(RtcpPsfbPacket(RTCP_PSFB_PLI, 1, 7))
        await setting.sender.transport._handle_rtcp_data(before + rtcp(fci) + after)
        (found,) = setting.recorder.reports
        assert found.startswith(fci)
        assert setting.handled == [before + after]
        await setting.sender.transport._handle_rtcp_data(rtcp(fci))
        assert setting.handled == [before + after], "no other RTCP packet is left for aiortc"


@pytest.mark.parametrize("cut", [1, 3, 5, 11])
async def test_a_truncated_compound_packet_is_left_to_aiortc(cut: int) -> None:
    async with a_sender() as setting:
        data = bytes(RtcpRrPacket(ssrc=1)) + rtcp(report(3, 1, [run(1, 1)], b"\x04"))
        await setting.sender.transport._handle_rtcp_data(data[:-cut])
        assert setting.handled == [data[:-cut]]
        assert setting.recorder.reports == []
