"""Send RTP packets with given numbers through an aiortc sender.

aiortc numbers the packets of a track one after another, which would hide losses between publisher
and server from the receiver, and marks every packet as the first after a silence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiortc import RTCRtpSender, clock
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtp import RtpPacket


@dataclass(frozen=True, slots=True)
class OutgoingPacket:
    """A packet of the sender's own source."""

    payload: bytes
    sequence_number: int
    """16 bits."""
    timestamp: int
    """32 bits."""
    marker: bool


def send_packets(
    sender: RTCRtpSender, next_packet: Callable[[], Awaitable[OutgoingPacket]]
) -> None:
    """Make a sender without track send what `next_packet` returns, once it is connected.

    Must be called before the connection is established. `next_packet` is awaited until the sender
    stops, and cancelled then.
    """

    async def run(codec: RTCRtpCodecParameters) -> None:
        # `RTCRtpSender.stop` waits for this event, and for `rtp_exited`, without a limit.
        sender._RTCRtpSender__rtp_started.set()  # type: ignore[attr-defined]  # private
        try:
            while True:
                await _send(sender, codec, await next_packet())
        except (asyncio.CancelledError, ConnectionError):
            pass  # the sender has stopped, or its connection has ended
        finally:
            sender._RTCRtpSender__rtp_exited.set()  # type: ignore[attr-defined]  # private

    sender._run_rtp = run  # type: ignore[method-assign]  # replaced, of this object only


async def _send(
    sender: RTCRtpSender, codec: RTCRtpCodecParameters, outgoing: OutgoingPacket
) -> None:
    assert codec.payloadType is not None  # of a negotiated codec
    packet = RtpPacket(
        payload_type=codec.payloadType,
        marker=int(outgoing.marker),
        sequence_number=outgoing.sequence_number,
        timestamp=outgoing.timestamp,
        ssrc=sender._ssrc,
        payload=outgoing.payload,
    )
    # 24 bits of NTP time with 18 fractional bits, as the extension is defined.
    packet.extensions.abs_send_time = (clock.current_ntp_time() >> 14) & 0x00FFFFFF
    packet.extensions.mid = sender._RTCRtpSender__mid  # type: ignore[attr-defined]  # private
    extensions = sender._RTCRtpSender__rtp_header_extensions_map  # type: ignore[attr-defined]  # private
    await sender.transport._send_rtp(packet.serialize(extensions))
    sender._RTCRtpSender__packet_count += 1  # type: ignore[attr-defined]  # private
    sender._RTCRtpSender__octet_count += len(outgoing.payload)  # type: ignore[attr-defined]  # private
