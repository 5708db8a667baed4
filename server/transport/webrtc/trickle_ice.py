"""Add the candidates of the other end to a connection: those of its offer, and later ones."""

from __future__ import annotations

from collections.abc import Sequence

from aiortc import RTCIceCandidate, RTCPeerConnection

from server.errors import IceRestartError
from server.transport.webrtc.ice import RemoteCandidates, parse_fragment
from server.transport.webrtc.negotiation import Negotiation


class TrickleIce:
    """The remote candidates of one connection.

    Args:
        connection: The connection.
        negotiation: Negotiation of its offer, which names the transports.
        candidates: Decides which may be contacted.
    """

    def __init__(
        self, connection: RTCPeerConnection, negotiation: Negotiation, candidates: RemoteCandidates
    ) -> None:
        self._connection = connection
        self._negotiation = negotiation
        self._candidates = candidates

    async def add(self, candidates: Sequence[RTCIceCandidate]) -> None:
        """Add candidates, unless their section is rejected."""
        for candidate in candidates:
            candidate.sdpMid = self._negotiation.transport_of(candidate.sdpMid)
            if candidate.sdpMid is not None:
                await self._connection.addIceCandidate(candidate)

    async def add_fragment(self, sdp_fragment: str) -> None:
        """Add the candidates of a fragment (RFC 8840).

        Raises:
            BadOfferError: If they cannot be parsed.
            IceRestartError: If they belong to another ICE user than the offer.
        """
        fragment = parse_fragment(sdp_fragment)
        if fragment.user is not None and fragment.user not in self._negotiation.ice_users:
            raise IceRestartError("ICE restart is not supported: send a new offer instead")
        await self.add(self._candidates.of_fragment(fragment))
