"""Limit the cost of the datagrams of one connection: aiortc and aioice handle all that arrive.

Anyone can send to the UDP port of a connection. Datagrams other than STUN are accepted only from
addresses of its peer, which ICE has authenticated or the peer has named. STUN messages of others do
not count towards the peer's rates.

An SCTP packet costs the event loop some 0.2 ms, of which decryption and the acknowledgement are the
larger part, so a flood is dropped before both. The sender treats a dropped packet as lost: SCTP
retransmits or abandons it, and slows down.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from struct import error as StructError
from typing import Any

from aioice import Connection, stun
from aioice.ice import StunProtocol
from aiortc import RTCPeerConnection

from server.network.dropped_datagrams import count_dropped
from server.protocol.message_rate import MessageRate
from server.transport.webrtc.aiortc_internals.fresh_datagrams import FreshQueue, WaitingDatagrams
from server.transport.webrtc.aiortc_internals.rtcp_limits import limit_feedback
from server.transport.webrtc.aiortc_internals.sctp_limits import limit_sctp

VIEWER_DATAGRAMS_PER_S = 500.0
"""Mean rate of a viewer's datagrams. A viewer who sends views and acknowledges events at 60 Hz
sends some 200, with 250 views per second 350. On a core that takes 0.4 ms for each, a flood of 1000
took every fourth frame from the other viewers."""
PUBLISHER_DATAGRAMS_PER_S = 1000.0
"""Mean rate of a publisher's datagrams. A publisher may send vertices, whose frames fill several
datagrams."""
MOST_DATAGRAMS_AT_ONCE = 1000.0
"""Datagrams accepted at once after a pause."""
CHECKS_PER_S = 100.0
"""Rate of ICE checks. Browsers send one every 50 ms while they connect, and then one every few
seconds."""
STUN_PER_S = 300.0
"""Rate of STUN messages at one port, for its peer and for all others separately: checks, and
responses to the server's checks. One of 1500 bytes can take 0.15 ms to parse."""
MOST_QUEUED = 1000
"""Maximum number of datagrams that queue until the DTLS transport is started."""
MOST_REMOTE_CANDIDATES = 40
"""Maximum number of remote candidates, including peer-reflexive ones: each port from which a viewer
sends authenticated checks is one."""
_STUN, _DTLS = range(4), range(20, 64)
_RTP = range(128, 192)
"""First bytes of the packets of each protocol (RFC 7983)."""
MOST_BYTES = 1500
"""Maximum size of a datagram. Browsers send 1200 bytes, and aiortc reads no more of DTLS. A STUN
message of 64 kB costs 50 ms to parse, and needs no credentials."""


class LimitedStunProtocol(StunProtocol):
    """A UDP port that anyone can send to.

    Args:
        receiver: The connection.
    """

    _waiting: WaitingDatagrams | None = None

    def __init__(self, receiver: Connection) -> None:
        super().__init__(receiver)
        self._peers: set[tuple[str, int]] = set()
        """Addresses that were found among the remote candidates."""
        self._stun_rates = {
            of_peer: MessageRate(STUN_PER_S, STUN_PER_S) for of_peer in (True, False)
        }

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start to receive."""
        super().connection_made(transport)
        self._waiting = WaitingDatagrams(transport, MOST_BYTES + 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop receiving."""
        if self._waiting is not None:
            self._waiting.close()
        super().connection_lost(exc)

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Handle a datagram, and those that are queued after it."""
        self._take(data, addr)
        for next_data, sender in self._waiting or ():
            self._take(next_data, sender)

    def _take(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        """Handle a datagram, unless it is too large, malformed STUN, or not from the peer."""
        if not 0 < len(data) <= MOST_BYTES:
            return
        is_peer = self._is_peer((addr[0], addr[1]))
        if not (self._stun_rates[is_peer].take() if data[0] in _STUN else is_peer):
            count_dropped("rate" if is_peer else "stranger")
            return
        # An attribute is too short. The exception would be logged with a traceback.
        with suppress(StructError):
            super().datagram_received(data, addr)

    def _is_peer(self, addr: tuple[str, int]) -> bool:
        if addr not in self._peers and _is_known(self.receiver, addr):
            self._peers.add(addr)
        return addr in self._peers


def ice_connections(connection: RTCPeerConnection) -> set[Connection]:
    """Return the ICE connections of the transports; bundled sections share one."""
    transports = [t.sender.transport for t in connection.getTransceivers()]
    if connection.sctp is not None:
        transports.append(connection.sctp.transport)
    return {transport.transport.iceGatherer._connection for transport in transports}


def limit_inbound(connection: RTCPeerConnection, datagrams_per_s: float) -> None:
    """Apply all limits to a connection.

    Must be called after the remote offer is set and before the connection is established.

    Args:
        connection: A viewer's or a publisher's.
        datagrams_per_s: Mean rate that is accepted.
    """
    for ice in ice_connections(connection):
        _limit_datagrams(ice, datagrams_per_s)
        _limit_checks(ice)
    limit_feedback([transceiver.sender for transceiver in connection.getTransceivers()])
    if connection.sctp is not None:
        limit_sctp(connection.sctp)


def _limit_datagrams(ice: Connection, per_s: float) -> None:
    rate = MessageRate(per_s, MOST_DATAGRAMS_AT_ONCE)
    ice._queue = FreshQueue()  # nothing has arrived yet
    receive = ice.data_received

    def limited(data: bytes, component: int) -> None:
        if not data or not (data[0] in _DTLS or data[0] in _RTP):
            return  # aiortc ends the connection for an empty one
        if rate.take() and ice._queue.qsize() < MOST_QUEUED:
            receive(data, component)
        else:
            count_dropped("rate")

    ice.data_received = limited  # type: ignore[method-assign]  # replaced, of this object only


def _limit_checks(ice: Connection) -> None:
    rate, strangers = (MessageRate(CHECKS_PER_S, CHECKS_PER_S) for _ in range(2))
    receive = ice.request_received

    def limited(message: stun.Message, addr: tuple[str, int], protocol: StunProtocol) -> None:
        # Others do not know the user name; their requests are answered by errors.
        ours = ice._valid_username(str(message.attributes.get("USERNAME", "")))
        if (rate if ours else strangers).take() and _has_room(ice, addr):
            with suppress(KeyError):  # from a peer that omits its priority
                receive(message, addr, protocol)

    ice.request_received = limited  # type: ignore[method-assign]  # replaced, of this object only


def _has_room(ice: Connection, addr: tuple[str, int]) -> bool:
    # A known address may continue, because consent checks of the selected pair come from it.
    return len(ice._remote_candidates) < MOST_REMOTE_CANDIDATES or _is_known(ice, addr)


def _is_known(ice: Connection, addr: tuple[str, int]) -> bool:
    return any((c._network_host, c.port) == addr for c in ice._remote_candidates)
