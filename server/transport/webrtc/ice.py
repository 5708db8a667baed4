"""A viewer's ICE candidates, of its offer and of trickled fragments: parsed, filtered, counted.

Names are never resolved. A browser hides its addresses behind mDNS names (`.local`), whose lookup
takes a second; without them the connection is found as a peer-reflexive candidate, by the checks
that the browser sends.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from aiortc import RTCIceCandidate

from models.contract.shown_text import quoted
from server.errors import BadOfferError
from server.network.addresses import CandidatePolicy
from server.transport.webrtc.offer import Offer, read_lines

MOST_CANDIDATES = 20
"""Maximum number of candidates of a session. A laptop with two networks, VPN, STUN and TURN has
about a dozen; each one costs checks to each address of the server."""
_CANDIDATE = re.compile(
    r"(?P<foundation>[^\s]{1,64}) +(?P<component>\d{1,5}) +(?P<protocol>\S+) +"
    r"(?P<priority>\d{1,10}) +(?P<address>\S+) +(?P<port>\d{1,5}) +typ +(?P<type>\S+)(?: .*)?",
    re.IGNORECASE,
)
"""RFC 8839, section 5.1, but with any foundation: the server compares it only with others."""
_TYPES = ("host", "srflx", "relay")
_RTP_COMPONENT = 1  # RFC 8839, section 5.1; RTCP shares it (`rtcp-mux`)
_HIGHEST_PRIORITY = 2**31 - 1  # RFC 8445, section 5.1.2


@dataclass(frozen=True)
class NamedCandidate:
    """A candidate line and the section that it belongs to."""

    mid: str | None
    """None where none is named."""
    text: str
    """The candidate without `a=candidate:`."""


@dataclass(frozen=True)
class Fragment:
    """The content of a trickle-ICE body (RFC 8840)."""

    user: str | None
    """The ICE user name it belongs to; None where it names none."""
    candidates: tuple[NamedCandidate, ...]


def parse_fragment(text: str) -> Fragment:
    """Parse an `application/trickle-ice-sdpfrag` body.

    Raises:
        BadOfferError: If the body is no SDP or has no attributes.
    """
    user: str | None = None
    mid: str | None = None
    candidates: list[NamedCandidate] = []
    if not text.removeprefix("\ufeff").lstrip().startswith(("a=", "m=")):
        raise BadOfferError(f"expected an SDP fragment with a=candidate lines, got {quoted(text)}")
    for kind, value in read_lines(text):
        name, _, rest = (part.strip() for part in value.partition(":"))
        name = name.lower()
        if kind == "m":
            mid = None
        elif name == "ice-ufrag":
            user = rest
        elif name == "mid":
            mid = rest
        elif name == "candidate":
            candidates.append(NamedCandidate(mid, rest))
    return Fragment(user, tuple(candidates))


class RemoteCandidates:
    """The candidates of one viewer that may be contacted.

    Args:
        policy: Which addresses may be.
    """

    def __init__(self, policy: CandidatePolicy) -> None:
        self.ignored = 0
        """Candidates after the last one that counted; they are not even parsed."""
        self._policy = policy
        self._known: set[tuple[str | None, str, int]] = set()

    def of_offer(self, offer: Offer) -> list[RTCIceCandidate]:
        """Return the usable candidates of an offer.

        Raises:
            BadOfferError: If one cannot be parsed.
        """
        return self._usable(
            NamedCandidate(section.key, text)
            for section in offer.sections
            for text in section.own.get("candidate", ())
        )

    def of_fragment(self, fragment: Fragment) -> list[RTCIceCandidate]:
        """Return the usable candidates of a fragment that were not known yet.

        Raises:
            BadOfferError: If one cannot be parsed.
        """
        return self._usable(fragment.candidates)

    def _usable(self, named: Iterable[NamedCandidate]) -> list[RTCIceCandidate]:
        usable: list[RTCIceCandidate] = []
        for text in named:
            # Counted before parsing, so that those above the limit cost next to nothing.
            if len(self._known) >= MOST_CANDIDATES:
                self.ignored += 1
            elif (candidate := self._parse(text)) is not None:
                key = (candidate.sdpMid, candidate.ip, candidate.port)
                if key not in self._known:
                    self._known.add(key)
                    usable.append(candidate)
        return usable

    def _parse(self, named: NamedCandidate) -> RTCIceCandidate | None:
        """Return a candidate; None if it is of no use here: TCP, RTCP, a name, not allowed."""
        found = _CANDIDATE.fullmatch(named.text.strip())
        if found is None:
            raise BadOfferError(f"expected an ICE candidate, got {quoted(named.text)}")
        component, port, priority = (int(found[n]) for n in ("component", "port", "priority"))
        address = self._policy.normalise(found["address"])
        # Not errors: browsers offer TCP candidates and mDNS names beside those that are of use.
        if found["protocol"].lower() != "udp" or component != _RTP_COMPONENT or address is None:
            return None
        kind = found["type"].lower()
        if kind not in _TYPES or not 0 < port <= 65535 or priority > _HIGHEST_PRIORITY:
            return None
        return RTCIceCandidate(
            component=component,
            foundation=found["foundation"],
            ip=address,
            port=port,
            priority=priority,
            protocol="udp",
            type=kind,
            sdpMid=named.mid,
        )
