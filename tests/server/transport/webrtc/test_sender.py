"""Listening to aiortc's sender."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_PLI,
    RtcpPsfbPacket,
    RtcpRrPacket,
    pack_remb_fci,
)

from server.transport.webrtc.sender import SenderEvents, listen_to

SSRC = 7


class Transport:
    """Keeps what was sent."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    async def _send_rtp(self, data: bytes) -> None:
        self.sent.append(data)


class Sender:
    """The parts of aiortc's sender that are listened to."""

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


class Heard:
    """Keeps what was told."""

    def __init__(self) -> None:
        self.packets: list[tuple[int, bool, int]] = []
        self.key_frames = 0
        self.estimates: list[int] = []
        self.signs = 0

    def events(self) -> SenderEvents:
        return SenderEvents(
            packet_sent=lambda *packet: self.packets.append(packet),
            key_frame_wanted=self._key_frame,
            estimate=self.estimates.append,
            sign_of_life=self._sign,
        )

    def _key_frame(self) -> None:
        self.key_frames += 1

    def _sign(self) -> None:
        self.signs += 1


@pytest.fixture
def sender() -> Any:
    return Sender()


@pytest.fixture
def heard(sender: Any) -> Heard:
    heard = Heard()
    listen_to(sender, heard.events())
    return heard


def rtp(sequence_number: int, timestamp: int, marker: bool = False, ssrc: int = SSRC) -> bytes:
    kind = 96 | (0x80 if marker else 0)
    return struct.pack("!BBHLL", 0x80, kind, sequence_number, timestamp, ssrc) + b"payload"


async def test_packets_are_told_after_they_were_sent(sender: Any, heard: Heard) -> None:
    await sender.transport._send_rtp(rtp(65_535, 4_000_000_000))
    await sender.transport._send_rtp(rtp(0, 4_000_000_000, marker=True))
    assert heard.packets == [(4_000_000_000, False, 19), (4_000_000_000, True, 19)]
    assert len(sender.transport.sent) == 2


async def test_packets_sent_again_are_not_told(sender: Any, heard: Heard) -> None:
    for number in (5, 6, 5, 6, 7):
        await sender.transport._send_rtp(rtp(number, number))
    assert [timestamp for timestamp, _, _ in heard.packets] == [5, 6, 7]


async def test_what_was_lost_is_sent_twice_over() -> None:
    sender: Any = Sender()
    listen_to(sender, Heard().events())
    await sender._retransmit(17)
    assert [packet[2:4] for packet in sender.transport.sent] == [b"\x00\x11"] * 2


async def test_what_belongs_to_others_is_not_told(sender: Any, heard: Heard) -> None:
    await sender.transport._send_rtp(rtp(1, 1, ssrc=99))
    await sender.transport._send_rtp(bytes(RtcpRrPacket(ssrc=SSRC)))
    assert heard.packets == []
    assert len(sender.transport.sent) == 2


async def test_a_lost_picture_asks_for_a_key_frame(sender: Any, heard: Heard) -> None:
    await sender._handle_rtcp_packet(RtcpPsfbPacket(RTCP_PSFB_PLI, ssrc=1, media_ssrc=SSRC))
    assert heard.key_frames == 1
    assert sender.key_frames == 1  # aiortc's own encoders hear it too
    assert heard.signs == 1


@pytest.mark.parametrize(
    ("fci", "estimates"),
    [
        (pack_remb_fci(1_000_000, [SSRC]), [1_000_000]),
        (pack_remb_fci(1_000_000, [99]), []),
        (b"what", []),
        (b"REMB\x09\x00\x00\x00", []),
    ],
)
async def test_estimates_for_this_sender_are_told(
    sender: Any, heard: Heard, fci: bytes, estimates: list[int]
) -> None:
    await sender._handle_rtcp_packet(RtcpPsfbPacket(RTCP_PSFB_APP, 1, SSRC, fci))
    assert heard.estimates == estimates
