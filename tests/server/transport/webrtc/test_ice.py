"""Candidates of offers and fragments are parsed, and useless ones dropped."""

from __future__ import annotations

import pytest

from server.errors import BadOfferError
from server.transport.webrtc.ice import parse_fragment, without_hidden_candidates

HOST = "a=candidate:1 1 udp 2113937151 192.168.1.7 50000 typ host"
HIDDEN = "a=candidate:2 1 udp 2113937151 5c1b-4f.local 50001 typ host generation 0"
TCP = "a=candidate:3 1 tcp 1518280447 192.168.1.7 9 typ host tcptype active"


def test_hidden_candidates_and_the_end_of_candidates_are_dropped() -> None:
    offer = f"v=0\r\nm=video 9\r\n{HOST}\r\n{HIDDEN}\r\na=end-of-candidates\r\na=mid:0\r\n"
    assert without_hidden_candidates(offer) == f"v=0\r\nm=video 9\r\n{HOST}\r\na=mid:0\r\n"


def test_a_fragment_gives_its_usable_candidates() -> None:
    lines = ["a=ice-ufrag:EsAw", "m=video 9 UDP/TLS/RTP/SAVPF 0", "a=mid:1", HOST, HIDDEN, TCP]
    fragment = parse_fragment("\r\n".join([*lines, "a=end-of-candidates"]))
    assert fragment.user == "EsAw"
    assert [(c.ip, c.port, c.sdpMid) for c in fragment.candidates] == [("192.168.1.7", 50000, "1")]


@pytest.mark.parametrize("text", ["", "hello", "a=candidate:1 1 udp", "a=candidate:1 1 udp x y z"])
def test_a_fragment_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(BadOfferError, match="expected"):
        parse_fragment(text)
