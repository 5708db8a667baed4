"""Limit the cost of one viewer's RTCP feedback: four bytes can request 17 retransmissions."""

from __future__ import annotations

from collections.abc import Sequence

from aiortc import RTCDtlsTransport, RTCRtpSender

from server.protocol.message_rate import MessageRate

FEEDBACK_BYTES_PER_S = 16_000.0
"""A browser that loses packets sends some 5 kB per second."""
RETRANSMISSIONS_PER_S = 500.0
"""Retransmissions per second: more than half of all packets at the highest default bitrate."""


def limit_feedback(senders: Sequence[RTCRtpSender]) -> None:
    """Apply the limits to a connection's senders, each after its last other patch."""
    for transport in {sender.transport for sender in senders}:
        _limit_bytes(transport)
    for sender in senders:
        _limit_retransmissions(sender)


def _limit_bytes(transport: RTCDtlsTransport) -> None:
    rate = MessageRate(FEEDBACK_BYTES_PER_S, FEEDBACK_BYTES_PER_S)
    handle = transport._handle_rtcp_data

    async def limited(data: bytes) -> None:
        if not rate.wait_s():
            rate.take()  # compensates the time since the last one
            rate.charge(len(data))
            await handle(data)

    transport._handle_rtcp_data = limited  # type: ignore[method-assign]  # of this object only


def _limit_retransmissions(sender: RTCRtpSender) -> None:
    rate = MessageRate(RETRANSMISSIONS_PER_S, RETRANSMISSIONS_PER_S)
    retransmit = sender._retransmit

    async def limited(sequence_number: int) -> None:
        if rate.take():
            await retransmit(sequence_number)

    sender._retransmit = limited  # type: ignore[method-assign]  # of this object only
