"""Observe one aiortc sender: the packets it sends and the feedback it receives.

aiortc does not report key-frame requests, bandwidth estimates or RTP timestamps to a track that
encodes its own frames, so methods of the sender are wrapped here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from
from typing import Any

from aiortc import RTCRtpSender
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, is_rtcp, unpack_remb_fci
from aiortc.utils import uint16_gt


@dataclass(frozen=True)
class SenderEvents:
    """Callbacks of an observer. All run on the event loop and must not raise."""

    packet_sent: Callable[[int, bool, int], None]
    """RTP timestamp, whether the packet ends its frame, size in bytes; not for retransmissions."""
    key_frame_requested: Callable[[], None]
    """The receiver cannot decode without a key frame (PLI or FIR)."""
    bandwidth_estimated: Callable[[int], None]
    """The receiver's estimate of the bandwidth, bits per second (REMB)."""
    rtcp_received: Callable[[], None]
    """Any RTCP packet was received; serves as a keepalive."""


def observe_sender(sender: RTCRtpSender, events: SenderEvents) -> None:
    """Call `events` from now on, and send every retransmission twice.

    Must be called after the transport is final and before the connection is established.
    """
    _observe_feedback(sender, events)
    _observe_packets(sender, events)
    _retransmit_twice(sender)


def _observe_feedback(sender: RTCRtpSender, events: SenderEvents) -> None:
    handle_rtcp = sender._handle_rtcp_packet
    send_keyframe = sender._send_keyframe

    async def handle(packet: Any) -> None:
        events.rtcp_received()
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate, ssrcs = unpack_remb_fci(packet.fci)
            except (ValueError, StructError):
                return  # aiortc's handler would raise as well, and end the connection
            if sender._ssrc in ssrcs:
                events.bandwidth_estimated(bitrate)
        await handle_rtcp(packet)

    def request_key_frame() -> None:
        events.key_frame_requested()
        send_keyframe()  # for tracks that aiortc encodes itself

    sender._handle_rtcp_packet = handle  # type: ignore[method-assign]  # replaced, of this object only
    sender._send_keyframe = request_key_frame  # type: ignore[method-assign]  # replaced, of this object only


def _observe_packets(sender: RTCRtpSender, events: SenderEvents) -> None:
    transport = sender.transport
    send_rtp = transport._send_rtp
    newest: int | None = None

    async def send(data: bytes) -> None:
        nonlocal newest
        # Sent first, so that the bookkeeping does not delay the packet.
        await send_rtp(data)
        if is_rtcp(data):
            return
        sequence_number, timestamp, ssrc = unpack_from("!HLL", data, 2)
        # A number that is not newer belongs to a retransmission.
        if ssrc != sender._ssrc or not (newest is None or uint16_gt(sequence_number, newest)):
            return
        newest = sequence_number
        # The highest bit of the second byte is the marker, which ends a frame (RFC 3550, section
        # 5.1).
        events.packet_sent(timestamp, bool(data[1] & 0x80), len(data))

    transport._send_rtp = send  # type: ignore[method-assign]  # replaced, of this object only


def _retransmit_twice(sender: RTCRtpSender) -> None:
    """Send each lost packet twice.

    If the only retransmission is lost too, the video freezes until the receiver sends its next
    NACK: after a round trip in browsers, after the next loss in aiortc.
    """
    retransmit = sender._retransmit

    async def twice(sequence_number: int) -> None:
        await retransmit(sequence_number)
        await retransmit(sequence_number)

    sender._retransmit = twice  # type: ignore[method-assign]  # replaced, of this object only
