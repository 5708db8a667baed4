"""Finding a way to the browser without waiting: what is left out of offers, and loopback.

A browser hides its addresses behind mDNS names (`.local`), whose lookup costs a second; without
them it is found anyway, as a peer-reflexive candidate, by the checks it sends to us.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import aioice.ice
from aiortc import RTCIceCandidate
from aiortc.sdp import candidate_from_sdp

from server.errors import BadOfferError

_CANDIDATE = re.compile(r"^a=candidate:(.+)$")
_LOCAL_NAME = re.compile(r"\s[^\s]+\.local\s", re.IGNORECASE)


def without_hidden_candidates(offer: str) -> str:
    """Drop an offer's `.local` candidates, and its claim that there are no more to come."""
    kept = [line for line in offer.splitlines() if not _is_useless(line)]
    return "\r\n".join(kept) + "\r\n"


def _is_useless(line: str) -> bool:
    if line.startswith("a=end-of-candidates"):
        return True
    return line.startswith("a=candidate:") and _LOCAL_NAME.search(line) is not None


@dataclass(frozen=True)
class Fragment:
    """What a trickle-ICE body (RFC 8840) says."""

    user: str | None
    """The ICE user name it belongs to, where it names one."""
    candidates: tuple[RTCIceCandidate, ...]
    """The usable ones: UDP, with a real address, each with its `sdpMid`."""


def parse_fragment(text: str) -> Fragment:
    """Read an `application/trickle-ice-sdpfrag` body.

    Raises:
        BadOfferError: If a candidate cannot be parsed, or none and no user name is in it.
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


def offer_loopback_when_alone() -> None:
    """Let aioice offer 127.0.0.1 on a machine, or in a network namespace, with nothing else."""
    found = aioice.ice.get_host_addresses
    if getattr(found, "offers_loopback", False):
        return

    def with_loopback(use_ipv4: bool, use_ipv6: bool) -> list[str]:
        return found(use_ipv4=use_ipv4, use_ipv6=use_ipv6) or ["127.0.0.1"]

    with_loopback.offers_loopback = True  # type: ignore[attr-defined]
    aioice.ice.get_host_addresses = with_loopback
