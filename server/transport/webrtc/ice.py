"""Parse ICE candidates of offers and fragments, and drop those whose lookup would only cost time.

A browser hides its addresses behind mDNS names (`.local`), whose lookup takes a second. Without
them the connection is found as a peer-reflexive candidate, by the checks the browser sends.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp

from server.errors import BadOfferError

_CANDIDATE = re.compile(r"^a=candidate:(.+)$")
_LOCAL_NAME = re.compile(r"\s[^\s]+\.local\s", re.IGNORECASE)


def without_hidden_candidates(offer: str) -> str:
    """Drop an offer's `.local` candidates and its `end-of-candidates` lines."""
    kept = [line for line in offer.splitlines() if not _is_useless(line)]
    return "\r\n".join(kept) + "\r\n"


def _is_useless(line: str) -> bool:
    if line.startswith("a=end-of-candidates"):
        return True
    return line.startswith("a=candidate:") and _LOCAL_NAME.search(line) is not None


@dataclass(frozen=True)
class Fragment:
    """The content of a trickle-ICE body (RFC 8840)."""

    user: str | None
    """The ICE user name it belongs to; None where it names none."""
    candidates: tuple[RTCIceCandidate, ...]
    """The usable candidates: UDP, with a real address, each with its `sdpMid`."""


def parse_fragment(text: str) -> Fragment:
    """Parse an `application/trickle-ice-sdpfrag` body.

    Raises:
        BadOfferError: If a candidate cannot be parsed, or the body has no SDP lines.
    """
    user: str | None = None
    mid = "0"
    candidates: list[RTCIceCandidate] = []
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not any(line.startswith(("a=", "m=")) for line in lines):
        raise BadOfferError(f"expected an SDP fragment with a=candidate lines, got {text[:60]!r}")
    for line in lines:
        if line.startswith("a=ice-ufrag:"):
            user = line.removeprefix("a=ice-ufrag:")
        elif line.startswith("a=mid:"):
            mid = line.removeprefix("a=mid:")
        elif (found := _CANDIDATE.match(line)) and not _is_useless(line):
            candidates.extend(_usable(found[1], mid))
    return Fragment(user, tuple(candidates))


def _usable(text: str, mid: str) -> list[RTCIceCandidate]:
    try:
        candidate = candidate_from_sdp(text)
    except (AssertionError, IndexError, ValueError) as exc:
        raise BadOfferError(f"expected an ICE candidate, got {text[:80]!r}") from exc
    candidate.sdpMid = mid
    return [candidate] if candidate.protocol.lower() == "udp" else []
