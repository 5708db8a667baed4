"""Make the sender reports of aiortc contain the RTP timestamp of the present moment.

aiortc reports the last packet's timestamp together with the time at which that packet was sent,
encoding and queues included, so that a browser cannot align sound and image by it. Here, a report
describes the moment at which it is sent (RFC 3550, section 6.4.1), on one timeline for all tracks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from aiortc import RTCRtpSender, clock
from aiortc.rtp import AnyRtcpPacket, RtcpSrPacket

_STARTED_AT = time.monotonic()
_STARTED_AT_NTP = clock.current_ntp_time()
_NTP_FRACTION = 1 << 32  # units of a 64-bit NTP timestamp per second


def ntp_time(at: float) -> int:
    """Return a moment as a 64-bit NTP timestamp.

    Counted from the start of the process, so that a step of the machine's clock does not move one
    report against another.

    Args:
        at: `time.monotonic()`, seconds.
    """
    return _STARTED_AT_NTP + round((at - _STARTED_AT) * _NTP_FRACTION)


def report_media_time(
    sender: RTCRtpSender, rtp_timestamp_at: Callable[[float], int | None]
) -> None:
    """Take the times of the sender's reports from `rtp_timestamp_at` from now on.

    Args:
        sender: Sender of any track.
        rtp_timestamp_at: Returns the RTP timestamp of a moment, `time.monotonic()` seconds; None
            before the first packet, and then no report is sent.
    """
    send_rtcp = sender._send_rtcp

    async def send(packets: list[AnyRtcpPacket]) -> None:
        now = time.monotonic()
        for packet in packets:
            if isinstance(packet, RtcpSrPacket):
                timestamp = rtp_timestamp_at(now)
                if timestamp is None:
                    return
                ntp = ntp_time(now)
                packet.sender_info = replace(
                    packet.sender_info, ntp_timestamp=ntp, rtp_timestamp=timestamp
                )
                # Used by aiortc to match the receiver's answer, for the round-trip time. The middle
                # 32 bits of the NTP time are the compact form (RFC 3550, section 4).
                sender._RTCRtpSender__lsr = (ntp >> 16) & 0xFFFFFFFF  # type: ignore[attr-defined]  # private
        await send_rtcp(packets)

    sender._send_rtcp = send  # type: ignore[method-assign]  # replaced, of this object only
