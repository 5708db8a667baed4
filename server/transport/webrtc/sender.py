"""One aiortc sender, listened to: what it sent, and what the receiver asks of it.

aiortc gives a track that encodes by itself no way to hear of key-frame requests and bandwidth
estimates, nor the RTP timestamp of a frame. All reaching into aiortc's sender happens here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from struct import error as StructError
from struct import unpack_from
from typing import Any

from aiortc import RTCRtpSender, RTCRtpTransceiver
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, is_rtcp, unpack_remb_fci


@dataclass(frozen=True)
class SenderEvents:
    """What a listener is called with. All are called on the event loop and must not raise."""

    packet_sent: Callable[[int, bool, int], None]
    """RTP timestamp, whether it ends its frame, size in bytes; not for repeated packets."""
    key_frame_wanted: Callable[[], None]
    """The receiver cannot decode without one (PLI or FIR)."""
    estimate: Callable[[int], None]
    """The receiver's estimate of the bandwidth, bits per second (REMB)."""
    sign_of_life: Callable[[], None]
    """Any RTCP packet came in."""


def listen_to(sender: RTCRtpSender, events: SenderEvents) -> None:
    """Call `events` from now on; before the connection is made, so that nothing is missed."""
    _listen_to_feedback(sender, events)
    _listen_to_packets(sender, events)
    _repeat_twice(sender)


def never_receive(transceiver: RTCRtpTransceiver) -> None:
    """Take from the receiver, which each sender has beside it, what only a used one needs.

    Its bandwidth estimator is three quarters of all the Python objects of a connection.
    """
    transceiver.receiver._RTCRtpReceiver__remote_bitrate_estimator = None  # type: ignore[attr-defined]


def _listen_to_feedback(sender: RTCRtpSender, events: SenderEvents) -> None:
    handle_rtcp = sender._handle_rtcp_packet
    send_keyframe = sender._send_keyframe

    async def handle(packet: Any) -> None:
        events.sign_of_life()
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            try:
                bitrate, ssrcs = unpack_remb_fci(packet.fci)
            except (ValueError, StructError):
                return  # aiortc's sender would raise too, and end the connection with it
            if sender._ssrc in ssrcs:
                events.estimate(bitrate)
        await handle_rtcp(packet)

    def want_key_frame() -> None:
        events.key_frame_wanted()
        send_keyframe()  # for the tracks that aiortc encodes

    sender._handle_rtcp_packet = handle  # type: ignore[method-assign]
    sender._send_keyframe = want_key_frame  # type: ignore[method-assign]


def _listen_to_packets(sender: RTCRtpSender, events: SenderEvents) -> None:
    transport = sender.transport
    send_rtp = transport._send_rtp
    newest: int | None = None

    async def send(data: bytes) -> None:
        nonlocal newest
        await send_rtp(data)
        if is_rtcp(data):
            return
        sequence_number, timestamp, ssrc = unpack_from("!HLL", data, 2)
        if ssrc != sender._ssrc or not _is_after(sequence_number, newest):
            return  # sent once more, for a receiver that missed it
        newest = sequence_number
        events.packet_sent(timestamp, bool(data[1] & 0x80), len(data))

    transport._send_rtp = send  # type: ignore[method-assign]


def _repeat_twice(sender: RTCRtpSender) -> None:
    """Send what was lost twice over: were the repeat lost too, the picture would stand still.

    Until the receiver asks again, that is: a round trip in browsers, the next loss in aiortc.
    """
    retransmit = sender._retransmit

    async def twice(sequence_number: int) -> None:
        await retransmit(sequence_number)
        await retransmit(sequence_number)

    sender._retransmit = twice  # type: ignore[method-assign]


def _is_after(sequence_number: int, newest: int | None) -> bool:
    return newest is None or 0 < (sequence_number - newest) & 0xFFFF < 0x8000
