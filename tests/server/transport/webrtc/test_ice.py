"""Candidates of offers and fragments are parsed, filtered by address and counted."""

from __future__ import annotations

import pytest
from aiortc import RTCIceCandidate

from server.errors import BadOfferError
from server.network.addresses import CandidatePolicy
from server.transport.webrtc.ice import MOST_CANDIDATES, RemoteCandidates, parse_fragment
from server.transport.webrtc.offer import parse_offer

HOST = "a=candidate:1 1 udp 2113937151 192.168.1.7 50000 typ host"
HIDDEN = "a=candidate:2 1 udp 2113937151 5c1b-4f.local 50001 typ host generation 0"
TCP = "a=candidate:3 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active"
RTCP = "a=candidate:1 2 udp 2113937150 192.168.1.7 50002 typ host"


def usable(*lines: str, policy: CandidatePolicy | None = None) -> list[RTCIceCandidate]:
    candidates = RemoteCandidates(policy or CandidatePolicy())
    return candidates.of_fragment(parse_fragment("\r\n".join(lines)))


def test_an_offer_gives_the_candidates_of_each_section() -> None:
    media = "m=video 9 UDP/TLS/RTP/SAVPF 96"
    offer = parse_offer("\n".join(["v=0", media, "a=mid:7", HOST, HIDDEN, "a=end-of-candidates"]))
    found = RemoteCandidates(CandidatePolicy()).of_offer(offer)
    assert [(c.ip, c.port, c.sdpMid) for c in found] == [("192.168.1.7", 50000, "7")]


def test_a_fragment_gives_its_usable_candidates() -> None:
    lines = ["a=ice-ufrag:EsAw", "m=video 9 UDP/TLS/RTP/SAVPF 0", "a=mid:1", HOST, HIDDEN, TCP]
    assert parse_fragment("\r\n".join(lines)).user == "EsAw"
    found = usable(*lines, RTCP, "a=end-of-candidates")
    assert [(c.ip, c.port, c.sdpMid) for c in found] == [("192.168.1.7", 50000, "1")]


def test_candidates_of_a_session_are_limited_over_all_fragments() -> None:
    candidates = RemoteCandidates(CandidatePolicy())
    taken = 0
    for fragment in range(5):
        ports = range(1024 + 15 * fragment, 1039 + 15 * fragment)
        lines = [f"a=candidate:1 1 udp 1 198.51.100.7 {port} typ host" for port in ports]
        taken += len(candidates.of_fragment(parse_fragment("\n".join(lines))))
    assert (taken, candidates.ignored) == (MOST_CANDIDATES, 75 - MOST_CANDIDATES)


def test_candidates_are_case_insensitive_and_have_any_foundation() -> None:
    lines = [
        HOST.replace(":1 ", ":2f1c-{a} ").replace("udp", "UDP").replace("typ host", "TYP HOST")
    ]
    fragment = "\ufeffa=ICE-Ufrag: EsAw\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=MID:1\r\n" + lines[0]
    assert parse_fragment(fragment).user == "EsAw"
    assert [(c.ip, c.sdpMid, c.type) for c in usable(fragment)] == [("192.168.1.7", "1", "host")]


def test_sections_without_mid_keep_their_own_candidates() -> None:
    media, other = "m=video 9 UDP/TLS/RTP/SAVPF 96", HOST.replace("50000", "50001")
    offer = parse_offer("\n".join(["v=0", media, HOST, media, other]))
    first, second = RemoteCandidates(CandidatePolicy()).of_offer(offer)
    assert (first.sdpMid, second.sdpMid) == (offer.sections[0].key, offer.sections[1].key)
    assert first.sdpMid != second.sdpMid


def test_a_candidate_that_is_repeated_counts_once() -> None:
    assert len(usable(*[HOST] * 50)) == 1


@pytest.mark.parametrize(
    "text",
    ["", "hello", "a=candidate:1 1 udp", "a=candidate:1 1 udp x y z", "a=candidate:1 1 udp 1 ::1"],
)
def test_a_malformed_fragment_is_refused(text: str) -> None:
    with pytest.raises(BadOfferError, match="expected"):
        usable(text)


@pytest.mark.parametrize(
    "rest",
    ["198.51.100.7 0 typ host", "198.51.100.7 65536 typ host", "198.51.100.7 9000 typ prflx"],
)
def test_an_unusable_candidate_is_ignored(rest: str) -> None:
    assert usable(f"a=candidate:1 1 UDP 1 {rest}") == []
