"""Limits on a viewer's RTCP feedback: its bytes, and the retransmissions that it requests."""

from __future__ import annotations

import time
from typing import Any, cast

from aiortc import RTCDtlsTransport, RTCRtpSender
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket

from server.transport.webrtc.aiortc_internals.rtcp_limits import (
    FEEDBACK_BYTES_PER_S,
    RETRANSMISSIONS_PER_S,
    limit_feedback,
)
from tests.server.transport.webrtc.aiortc_internals.limited_pair import Pair
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_signature


def test_upstream_still_has_the_methods_that_the_limits_replace() -> None:
    assert_signature(RTCDtlsTransport, "_handle_rtcp_data", ("self", "data"), is_async=True)
    assert_signature(RTCRtpSender, "_retransmit", ("self", "sequence_number"), is_async=True)
    for owner, caller, name in (
        (RTCDtlsTransport, "_recv_next", "_handle_rtcp_data"),
        (RTCRtpSender, "_handle_rtcp_packet", "_retransmit"),
    ):
        assert name in getattr(owner, caller).__code__.co_names, (
            f"expected {owner.__name__}.{caller} to call {name}, got no call"
        )


async def test_retransmissions_are_limited_in_rate(pair: Pair) -> None:
    pair.server.addTransceiver("video", direction="sendonly")
    pair.viewer.addTransceiver("video", direction="recvonly")
    await pair.connect()
    sender = pair.server.getTransceivers()[0].sender
    sent: list[int] = []

    async def count(sequence_number: int) -> None:
        sent.append(sequence_number)

    sender._retransmit = count  # type: ignore[method-assign]
    limit_feedback([sender])
    lost = [number for first in range(0, 65_000, 17) for number in range(first, first + 17)]
    nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=0, media_ssrc=sender._ssrc, lost=lost[:4000])
    handled: list[int] = []
    handle = sender._handle_rtcp_packet

    async def note(feedback: Any) -> None:
        handled.append(len(bytes(feedback)))
        await handle(feedback)

    cast(Any, sender)._handle_rtcp_packet = note
    began_s = time.monotonic()
    for _ in range(100):
        await sender.transport._handle_rtcp_data(bytes(nack))
    seconds = time.monotonic() - began_s
    assert 0.5 * RETRANSMISSIONS_PER_S < len(sent) <= RETRANSMISSIONS_PER_S * (1 + seconds)
    most_bytes = FEEDBACK_BYTES_PER_S * (1 + seconds) + len(bytes(nack))
    assert 0 < sum(handled) <= most_bytes
