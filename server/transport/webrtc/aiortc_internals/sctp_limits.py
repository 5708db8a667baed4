"""Limit the cost of one viewer's SCTP packets, each of which can hold hundreds of chunks.

Some chunks cost far more than their bytes: an acknowledgement of 1200 bytes can name millions of
numbers, each heartbeat and each request to reset streams is answered by a packet. The sender treats
a dropped chunk as lost: SCTP retransmits or abandons it, and slows down.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from struct import error as StructError

from aiortc import RTCSctpTransport
from aiortc.rtcsctptransport import (
    Chunk,
    DataChunk,
    ForwardTsnChunk,
    ReconfigChunk,
    SackChunk,
    tsn_plus_one,
)

from server.protocol.message_rate import MessageRate

logger = logging.getLogger(__name__)

CHUNKS_PER_S = 1000.0
"""Chunks per second. A viewer who sends views and acknowledges events at 60 Hz sends about 200."""
MOST_CHANNELS = 16
MOST_STREAMS = 64
"""SCTP streams that have received data; each data channel has one."""
MOST_GAPS = 1024
"""Chunks received beyond a gap: aiortc sorts all of them for each acknowledgement. Also chunks that
one acknowledgement may name beyond a gap: aiortc counts all of them, sent or not."""
MOST_RECONFIG_PARAMETERS = 2
"""RFC 6525, section 3.1."""


def limit_sctp(sctp: RTCSctpTransport) -> None:
    """Apply all limits to the data channels of a connection."""
    _limit_packets(sctp)
    _limit_channels(sctp)


def _limit_packets(sctp: RTCSctpTransport) -> None:
    """Limit the chunks, and drop packets unparsed while those of earlier ones exceed the rate."""
    rate = MessageRate(CHUNKS_PER_S, CHUNKS_PER_S)
    handle, receive = sctp._handle_data, sctp._receive_chunk

    async def limited(data: bytes) -> None:
        if rate.wait_s():
            return
        try:
            await handle(data)
        except (AssertionError, StructError, UnicodeDecodeError) as exc:
            # The exception would end the connection with a traceback in the log.
            logger.info("ignored a malformed SCTP packet: %s", exc)

    async def limited_chunk(chunk: Chunk) -> None:
        if not rate.take():
            rate.charge(1)  # the packet has been parsed
        elif all(_fits(sctp, chunk)):
            await receive(chunk)

    sctp._handle_data = limited  # type: ignore[method-assign]  # of this object only
    sctp._receive_chunk = limited_chunk  # type: ignore[method-assign]  # of this object only


def _fits(sctp: RTCSctpTransport, chunk: Chunk) -> Iterator[bool]:
    """Yield for each limit of a kind of chunk whether it is met."""
    match chunk:
        case DataChunk():
            next_tsn = tsn_plus_one(sctp._last_received_tsn or 0)
            yield chunk.tsn == next_tsn or len(sctp._sack_misordered) < MOST_GAPS
            yield _has_room(sctp, {chunk.stream_id})
            yield sctp._advertised_rwnd > 0  # otherwise the sender ignores the announced window
        case SackChunk():
            yield all(0 < first <= last for first, last in chunk.gaps)
            yield sum(last - first + 1 for first, last in chunk.gaps) <= MOST_GAPS
        case ForwardTsnChunk():
            yield _has_room(sctp, {stream_id for stream_id, _ in chunk.streams})
        case ReconfigChunk():
            yield len(chunk.params) <= MOST_RECONFIG_PARAMETERS


def _has_room(sctp: RTCSctpTransport, streams: set[int]) -> bool:
    known = sctp._inbound_streams.keys()
    return streams <= known or len(known | streams) <= MOST_STREAMS


def _limit_channels(sctp: RTCSctpTransport) -> None:
    """Ignore channels above the limit, and messages that would end the whole connection."""
    receive = sctp._data_channel_receive

    async def limited(stream_id: int, pp_id: int, data: bytes) -> None:
        if stream_id not in sctp._data_channels and len(sctp._data_channels) >= MOST_CHANNELS:
            return
        try:
            await receive(stream_id, pp_id, data)
        except (AssertionError, StructError, UnicodeDecodeError) as exc:
            logger.info("ignored a malformed data channel message: %s", exc)

    sctp._data_channel_receive = limited  # type: ignore[method-assign]  # of this object only
