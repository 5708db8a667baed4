"""Bound what one viewer's datagrams cost: aiortc and aioice handle all that arrive.

An SCTP packet costs the event loop some 0.2 ms, of which decryption and the acknowledgement are the
larger part, so a flood is dropped before both. To the sender a dropped packet is a lost one: SCTP
sends it again, or gives it up, and slows down.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from struct import error as StructError

from aioice import Connection, stun
from aioice.ice import StunProtocol
from aiortc import RTCPeerConnection, RTCSctpTransport
from aiortc.rtcsctptransport import DataChunk, tsn_plus_one

from server.protocol.message_rate import MessageRate

logger = logging.getLogger(__name__)

DATAGRAMS_PER_S = 1000.0
"""Of a viewer who sends views and acknowledges events at 60 Hz there are some 200."""
CHECKS_PER_S = 100.0
"""ICE checks. Browsers send one every 50 ms while they connect, and one every few seconds then."""
MOST_QUEUED = 1000
"""Datagrams; they queue while the DTLS transport is not started."""
MOST_REMOTE_CANDIDATES = 40
"""With peer-reflexive ones: every port that a viewer sends authenticated checks from is one."""
MOST_CHANNELS = 16
MOST_STREAMS = 64
"""SCTP streams that have received data; each data channel has one."""
MOST_GAPS = 1024
"""Chunks received beyond a gap: aiortc sorts all of them for each acknowledgement."""


def ice_connections(connection: RTCPeerConnection) -> set[Connection]:
    """Return the ICE connections of the transports; bundled sections share one."""
    transports = [t.sender.transport for t in connection.getTransceivers()]
    if connection.sctp is not None:
        transports.append(connection.sctp.transport)
    return {transport.transport.iceGatherer._connection for transport in transports}


def limit_inbound(connection: RTCPeerConnection) -> None:
    """Apply all limits to a connection.

    Must be called after the remote offer is set and before the connection is established.
    """
    for ice in ice_connections(connection):
        _limit_datagrams(ice)
        _limit_checks(ice)
    if connection.sctp is not None:
        _limit_chunks(connection.sctp)
        _limit_channels(connection.sctp)


def _limit_datagrams(ice: Connection) -> None:
    rate = MessageRate(DATAGRAMS_PER_S, DATAGRAMS_PER_S)
    receive = ice.data_received

    def limited(data: bytes, component: int) -> None:
        if rate.take() and ice._queue.qsize() < MOST_QUEUED:
            receive(data, component)

    ice.data_received = limited  # type: ignore[method-assign]  # replaced, of this object only


def _limit_checks(ice: Connection) -> None:
    rate = MessageRate(CHECKS_PER_S, CHECKS_PER_S)
    receive = ice.request_received

    def limited(message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        if rate.take() and _has_room(ice, addr):
            receive(message, addr, protocol)

    ice.request_received = limited  # type: ignore[method-assign]  # replaced, of this object only


def _has_room(ice: Connection, addr: tuple[str, int]) -> bool:
    known = ice._remote_candidates
    if len(known) < MOST_REMOTE_CANDIDATES:
        return True
    # A known address may go on: consent checks of the working pair come from it.
    return any((c._network_host, c.port) == addr for c in known)


def _limit_chunks(sctp: RTCSctpTransport) -> None:
    """Limit the data chunks, of which a packet can hold dozens, and what waits for missing ones."""
    rate = MessageRate(DATAGRAMS_PER_S, DATAGRAMS_PER_S)
    receive = sctp._receive_data_chunk

    async def limited(chunk: DataChunk) -> None:
        if rate.take() and all(_fits(sctp, chunk)):
            await receive(chunk)

    sctp._receive_data_chunk = limited  # type: ignore[method-assign]  # replaced, of this object only


def _fits(sctp: RTCSctpTransport, chunk: DataChunk) -> Iterator[bool]:
    next_tsn = tsn_plus_one(sctp._last_received_tsn or 0)
    yield chunk.tsn == next_tsn or len(sctp._sack_misordered) < MOST_GAPS
    yield chunk.stream_id in sctp._inbound_streams or len(sctp._inbound_streams) < MOST_STREAMS
    yield sctp._advertised_rwnd > 0  # otherwise the sender ignores the window it was told


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

    sctp._data_channel_receive = limited  # type: ignore[method-assign]  # replaced, of this object only
