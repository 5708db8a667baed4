"""Read the packets of an aiortc receiver on arrival, bypassing its jitter buffer and decoder.

The jitter buffer delays four packets (80 ms), and the queue of decoded frames behind it is
unbounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiortc import RTCRtpReceiver
from aiortc.rtcrtpreceiver import StreamStatistics
from aiortc.rtp import RtpPacket

from server.streams.voice import CLOCK_RATE

MOST_SOURCES = 8
"""Maximum number of sources of one connection: a browser has one, and another one after it has
replaced its microphone."""


def take_packets(
    receiver: RTCRtpReceiver,
    packet_received: Callable[[RtpPacket], None],
    rtcp_received: Callable[[], None],
) -> None:
    """Call `packet_received` for every RTP packet from now on, instead of decoding it.

    Receiver reports continue: the packets are counted as in aiortc. Those of sources beyond the
    limit are dropped.
    """
    statistics: dict[int, StreamStatistics] = receiver._RTCRtpReceiver__remote_streams  # type: ignore[attr-defined]  # private
    handle_rtcp = receiver._handle_rtcp_packet

    async def take(packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.ssrc not in statistics:
            if len(statistics) >= MOST_SOURCES:
                return
            statistics[packet.ssrc] = StreamStatistics(CLOCK_RATE)  # the rate scales its jitter
        # Counted here because the replaced method did it; receiver reports contain the counts.
        statistics[packet.ssrc].add(packet)
        packet_received(packet)

    async def note(packet: Any) -> None:
        rtcp_received()
        await handle_rtcp(packet)

    receiver._handle_rtp_packet = take  # type: ignore[method-assign]  # replaced, of this object only
    receiver._handle_rtcp_packet = note  # type: ignore[method-assign]  # replaced, of this object only
