"""Fuzzing of offers: each is answered validly or refused with a reason, in bounded time."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.sdp import SessionDescription
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.encoding.codecs import Codec
from server.errors import BadOfferError
from server.network.addresses import CandidatePolicy
from server.transport.webrtc.accepted_sections import (
    AcceptedSection,
    choose_audio,
    choose_data,
    choose_video,
)
from server.transport.webrtc.ice import RemoteCandidates, parse_fragment
from server.transport.webrtc.negotiation import Negotiation
from server.transport.webrtc.offer import Offer, parse_offer
from tests.server.transport.webrtc.offers import H264, RTP, data, offer, section

LONGEST_S = 0.05
"""Longest processor time for which a call may block the event loop, seconds."""
LARGEST = 256 * 1024
SECTIONS = (
    section("0", *H264, "a=rtcp-fb:* nack pli", "a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid"),
    section("1", "a=rtpmap:96 VP8/90000", media=f"video 9 {RTP} 96"),
    section("2", "a=rtpmap:111 opus/48000/2", media=f"audio 9 {RTP} 111"),
    data("3"),
    section(None, "a=sctpmap:5000 webrtc-datachannel 9", media="application 9 DTLS/SCTP 5000"),
    section("5", media="text 0 RTP/AVP 99"),
)
PIECES = st.sampled_from(
    [
        *{piece for lines in SECTIONS for line in lines for piece in (line, line.split(":")[0])},
        *("a=mid:", "a=rtpmap:102 H264/0", "a=fmtp:102 packetization-mode=2", "a=sctp-port:0"),
        *("a=candidate:1 1 udp 1 198.51.100.7 9 typ host", "a=bundle-only", "a=setup:active"),
        *("a=group:BUNDLE", "a=group:BUNDLE 3 0 0 9", "a=ice-lite", "a=sendonly", "a=inactive"),
        *("m=video 9 UDP/TLS/RTP/SAVPF 0", "m=video 1/2 RTP/AVP -1", "m=application 9 DTLS/SCTP x"),
    ]
)


@st.composite
def offers(draw: st.DrawFn) -> str:
    """Draw offers of valid sections with lines dropped, repeated, moved, replaced and damaged."""
    chosen = draw(st.lists(st.sampled_from(SECTIONS), min_size=1, max_size=5))
    lines = offer(*chosen).split("\r\n")
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, len(lines) - 1))
        other = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "insert", "damage"])):
            case "drop":
                lines[at] = ""
            case "double":
                lines.insert(at, lines[other])
            case "swap":
                lines[at], lines[other] = lines[other], lines[at]
            case "insert":
                lines.insert(at, draw(PIECES))
            case _:
                lines[at] = lines[at][: draw(st.integers(0, 40))] + draw(st.text(max_size=20))
    return draw(st.sampled_from(["\r\n", "\n", "\r"])).join(lines)


def negotiated(text: str) -> tuple[Offer, list[AcceptedSection], Negotiation]:
    found = parse_offer(text)
    video, _ = choose_video(found, tuple(Codec))
    audio = choose_audio(found, video.transport_cc)
    accepted = [s for s in (video, audio, choose_data(found)) if s is not None]
    negotiation = Negotiation(found, accepted)
    RemoteCandidates(CandidatePolicy()).of_offer(found)
    return found, accepted, negotiation


def check(refusal: BadOfferError) -> None:
    assert str(refusal).startswith("expected ")
    assert len(str(refusal)) < 600


async def answered(sdp: str) -> str:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    try:
        connection.addTransceiver("video", direction="sendonly")
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        return (await connection.createAnswer()).sdp
    finally:
        await connection.close()


@given(offers())
@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
def test_an_offer_is_answered_validly_or_refused_with_the_reason(text: str) -> None:
    try:
        found, accepted, negotiation = negotiated(text)
    except BadOfferError as exc:
        check(exc)
        return
    with ThreadPoolExecutor(1) as thread:  # in an event loop of its own
        answer = negotiation.complete(
            thread.submit(asyncio.run, answered(negotiation.sdp)).result()
        )
    described = SessionDescription.parse(answer)
    assert [m.kind for m in described.media] == [s.kind for s in found.sections]
    assert [m.rtp.muxId or None for m in described.media] == [s.mid for s in found.sections]
    serving = {a.section.index for a in accepted}
    assert {i for i, media in enumerate(described.media) if media.port} == serving
    bundled = {mid for group in described.group for mid in group.items}
    assert bundled <= {a.section.mid for a in accepted}
    assert len(described.group) <= 1


@given(st.text(max_size=2000))
@settings(deadline=None, max_examples=100)
def test_any_text_is_refused_with_the_reason(text: str) -> None:
    for read in (
        parse_offer,
        lambda t: RemoteCandidates(CandidatePolicy()).of_fragment(parse_fragment(t)),
    ):
        try:
            read("m=" + text)
        except BadOfferError as exc:
            check(exc)


EXPENSIVE_OFFERS = {
    "lines": "a=x\n" * (LARGEST // 4),
    "empty lines": "\n" * LARGEST,
    "one line": "a=" + "x" * LARGEST,
    "sections": f"m=video 9 {RTP} 102\n" * (LARGEST // 35),
    "formats": "m=video 9 RTP/SAVPF" + " 102" * 500 + "\n" + "a=rtpmap:102 H264/90000\n" * 980,
    "feedback": offer(section("0", *H264, *["a=rtcp-fb:102 nack pli"] * 980)),
    "parameters": offer(section("0", H264[0], *["a=fmtp:102 " + "x=1;" * 500] * 980))[:LARGEST],
    "extensions": offer(section("0", *H264, *[f"a=extmap:{i} u{i}" for i in range(980)])),
    "candidates": offer(
        section(
            "0", *H264, *[f"a=candidate:1 1 udp 1 9.9.9.9 {i + 1} typ host" for i in range(980)]
        )
    ),
    "bundles": offer(SECTIONS[0], session=["a=group:BUNDLE " + "0 " * 1000] * 120),
    "blanks": offer(section("0", *H264, *["a=rtpmap:" + " " * 2000 + "x"] * 120)),
}


@pytest.mark.alone
@pytest.mark.parametrize("kind", EXPENSIVE_OFFERS)
def test_no_offer_blocks_the_event_loop(kind: str) -> None:
    took_s = []
    for _ in range(3):  # the fastest run counts, because caches may be cold
        began = time.thread_time()
        try:
            negotiated(EXPENSIVE_OFFERS[kind])
        except BadOfferError as exc:
            check(exc)
        took_s.append(time.thread_time() - began)
    assert min(took_s) < LONGEST_S
