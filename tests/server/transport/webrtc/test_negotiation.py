"""Negotiation: each section of an offer is served, rejected with port 0, or refused."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx2
import pytest
from aiortc.sdp import SessionDescription

from server.transport.webrtc.aiortc_internals.transport_feedback import TRANSPORT_CC_URI
from tests.server.transport.webrtc.offers import (
    FINGERPRINT,
    H264,
    RTP,
    TRANSPORT,
    data,
    offer,
    section,
)

REMB, REPORTS = "a=rtcp-fb:102 goog-remb", "a=rtcp-fb:102 transport-cc"
NUMBERS = f"a=extmap:5 {TRANSPORT_CC_URI}"
OPUS = ("a=rtpmap:111 opus/48000/2", "a=rtcp-fb:111 transport-cc")
SDP = {"Content-Type": "application/sdp"}
VIDEO = section("0", *H264)
Post = Callable[[str], Awaitable[httpx2.Response]]


@pytest.fixture
async def post(http: httpx2.Client, stream: str) -> AsyncIterator[Post]:
    """Post an offer; end the session at once, so that there is always a free slot."""
    async with httpx2.AsyncClient(base_url=http.base_url, timeout=10) as client:

        async def post(sdp: str) -> httpx2.Response:
            address = f"/v1/streams/{stream}/whep"
            response = await client.post(address, content=sdp, headers=SDP)
            if response.status_code == 201:
                await client.delete(response.headers["location"])
            return response

        yield post


async def answered(post: Post, sdp: str) -> SessionDescription:
    response = await post(sdp)
    assert response.status_code == 201, response.text
    return SessionDescription.parse(response.text)


async def refused(post: Post, sdp: str) -> str:
    response = await post(sdp)
    assert response.status_code == 400, response.text
    detail: str = response.json()["detail"]
    return detail


def ports(answer: SessionDescription) -> list[tuple[str, bool]]:
    return [(media.kind, media.port > 0) for media in answer.media]


@pytest.mark.parametrize(
    "other",
    [
        section("1", "a=rtpmap:97 MPEG4-GENERIC/48000/2", media=f"audio 9 {RTP} 97"),
        section("1", "a=rtpmap:97 opus/48000/2", media=f"audio 0 {RTP} 97"),
        section("1", "a=rtpmap:99 t140/1000", media=f"text 9 {RTP} 99", direction="inactive"),
        section("1", *H264),
        section("1", media="message 9 TCP/TLS/MSRP *", direction=None),
        data("1", media="application 9 UDP/TLS/BFCP *"),
        data("1", media="application 0 UDP/DTLS/SCTP webrtc-datachannel"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
async def test_a_section_that_cannot_be_served_is_rejected_at_its_position(
    post: Post, other: list[str], first: bool
) -> None:
    if other[0].startswith("m=video") and first:
        other = [line.replace("recvonly", "sendonly") for line in other]
    sections = [other, VIDEO] if first else [VIDEO, other]
    answer = await answered(post, offer(*sections, session=["a=group:BUNDLE 1 0"]))
    rejected, served = (0, 1) if first else (1, 0)
    assert answer.media[served].kind == "video"
    assert answer.media[served].port > 0
    assert answer.media[served].direction == "sendonly"
    assert answer.media[rejected].port == 0
    assert answer.media[rejected].rtp.muxId == "1"
    media = other[0].removeprefix("m=").split(" ")
    assert [answer.media[rejected].kind, answer.media[rejected].profile] == [media[0], media[2]]
    assert [group.items for group in answer.group] == [["0"]]


@pytest.mark.parametrize("section_direction", [None, "recvonly", "sendrecv"])
@pytest.mark.parametrize("session_direction", [None, "recvonly", "inactive"])
async def test_a_direction_is_inherited_from_the_session(
    post: Post, section_direction: str | None, session_direction: str | None
) -> None:
    session = [f"a={session_direction}"] if session_direction else []
    sdp = offer(section("0", *H264, direction=section_direction), session=session)
    if section_direction is None and session_direction == "inactive":
        assert "recvonly video section, got inactive" in await refused(post, sdp)
    else:
        assert (await answered(post, sdp)).media[0].direction == "sendonly"


@pytest.mark.parametrize(
    "profile", ["42e01f", "42001f", "4d001f", "640c1f", "64081f", "6e001f", "42E034"]
)
async def test_every_profile_of_h264_is_served_under_its_payload_type(
    post: Post, profile: str
) -> None:
    fmtp = f"a=fmtp:102 packetization-mode=1;profile-level-id={profile}"
    answer = await answered(post, offer(section("0", "a=rtpmap:102 H264/90000", fmtp)))
    (codec,) = answer.media[0].rtp.codecs
    assert (codec.payloadType, codec.name) == (102, "H264")
    assert codec.parameters["profile-level-id"] == profile
    assert codec.parameters["packetization-mode"] == "1"


async def test_the_profile_that_is_encoded_is_preferred(post: Post) -> None:
    lines = [
        line
        for number, mode, profile in ((98, 1, "64001f"), (99, 0, "42e01f"), (100, 1, "42e01f"))
        for line in (
            f"a=rtpmap:{number} H264/90000",
            f"a=fmtp:{number} packetization-mode={mode};profile-level-id={profile}",
        )
    ]
    lines += ["a=rtpmap:101 rtx/90000", "a=fmtp:101 apt=100", "a=rtcp-fb:* nack pli"]
    answer = await answered(post, offer(section("0", *lines, media=f"video 9 {RTP} 98 99 100 101")))
    assert [codec.payloadType for codec in answer.media[0].rtp.codecs] == [100, 101]
    assert [f.parameter for f in answer.media[0].rtp.codecs[0].rtcpFeedback] == ["pli"]


@pytest.mark.parametrize(
    ("fmtp", "said"),
    [
        ("packetization-mode=0;profile-level-id=42e01f", "got packetization-mode=0"),
        ("packetization-mode=1;profile-level-id=zzzzzz", "profile-level-id=zzzzzz"),
        ("packetization-mode=1;profile-level-id=6e101f", "profile-level-id=6e101f"),
    ],
)
async def test_unsupported_h264_is_refused_with_the_reason(
    post: Post, fmtp: str, said: str
) -> None:
    lines = ["a=rtpmap:102 H264/90000", f"a=fmtp:102 {fmtp}"]
    assert said in await refused(post, offer(section("0", *lines)))


@pytest.mark.parametrize(("setup", "answer"), [("active", "passive"), ("passive", "active")])
async def test_the_answer_takes_the_other_dtls_role(post: Post, setup: str, answer: str) -> None:
    sdp = offer(VIDEO).replace("setup:actpass", f"setup:{setup}")
    assert f"a=setup:{answer}" in (await post(sdp)).text


async def test_transport_attributes_may_be_at_session_level_with_lf_line_ends(post: Post) -> None:
    sdp = offer(section("0", *H264, transport=()), session=TRANSPORT)
    answer = await answered(post, sdp.replace("\r\n", "\n"))
    assert ports(answer) == [("video", True)]
    assert answer.group == []  # no group was offered


async def test_rtcp_mux_may_be_that_of_the_session_or_of_the_first_bundled_section(
    post: Post,
) -> None:
    video, voice = VIDEO.copy(), section("1", *OPUS, media=f"audio 9 {RTP} 111")
    video.remove("a=rtcp-mux")
    assert ports(await answered(post, offer(video, session=["a=rtcp-mux"]))) == [("video", True)]
    bundle = ["a=group:BUNDLE 1 0"]
    assert all(
        open_ for _, open_ in ports(await answered(post, offer(voice, video, session=bundle)))
    )
    assert "a=rtcp-mux in section 1 " in await refused(post, offer(voice, video, session=[]))


async def test_sdp_is_case_insensitive(post: Post) -> None:
    names = ("group", "ice-ufrag", "fingerprint", "setup", "rtcp-mux", "mid", "rtpmap", "recvonly")
    sdp = offer(VIDEO, data("1")).replace("actpass", "ActPass").replace("BUNDLE", "bundle")
    for name in names:
        sdp = sdp.replace(f"a={name}", f"a={name.title()}")
    answer = await answered(post, sdp)
    assert ports(answer) == [("video", True), ("application", True)]
    assert [group.items for group in answer.group] == [["0", "1"]]
    for protocol in (RTP, "UDP/DTLS/SCTP"):  # answered as offered; aiortc cannot parse that
        sdp = sdp.replace(protocol, protocol.lower())
    assert (await post(sdp)).status_code == 201


async def test_a_mid_may_be_any_token_beside_a_section_without_one(post: Post) -> None:
    for mid in ("telewarp-1", "1", "section.1"):
        answer = await answered(post, offer(section(mid, *H264), data(None), session=()))
        assert ports(answer) == [("video", True), ("application", True)]


async def test_payload_types_below_96_are_answered(post: Post) -> None:
    lines = [line.replace("102", "39") for line in H264]
    lines += ["a=rtpmap:40 rtx/90000", "a=fmtp:40 apt=39;rtx-time=200"]
    voice = section("1", "a=rtpmap:63 opus/48000/2", media=f"audio 9 {RTP} 0 63")
    answer = await answered(post, offer(section("0", *lines, media=f"video 9 {RTP} 39 40"), voice))
    assert [codec.payloadType for codec in answer.media[0].rtp.codecs] == [39, 40]
    assert [codec.payloadType for codec in answer.media[1].rtp.codecs] == [63]
    reserved = section("0", "a=rtpmap:72 VP8/90000", media=f"video 9 {RTP} 72")
    assert "got a=rtpmap:72 VP8/90000" in await refused(post, offer(reserved))


async def test_opus_without_a_number_of_channels_is_answered_with_two(post: Post) -> None:
    voice = section("1", "a=rtpmap:97 OPUS/48000", media=f"audio 9 {RTP} 97")
    assert "a=rtpmap:97 opus/48000/2" in (await post(offer(VIDEO, voice))).text


async def test_fingerprints_of_other_hashes_and_texts_with_tabs_are_accepted(post: Post) -> None:
    others = [f"a=fingerprint:sha-1 {':'.join(['AB'] * 20)}"] * 20
    transport = [*others, *(line.lower() for line in TRANSPORT)]
    sdp = offer(section("0", *H264, transport=transport)).replace("s=-", "s=a\tname")
    assert ports(await answered(post, sdp)) == [("video", True)]


async def test_a_bundled_section_may_omit_its_transport(post: Post) -> None:
    rest = section("1", *H264, media=f"video 0 {RTP} 102", transport=("a=bundle-only",))
    answer = await answered(post, offer(data("0"), rest))
    assert ports(answer) == [("application", True), ("video", True)]
    assert [group.items for group in answer.group] == [["0", "1"]]


async def test_sections_without_a_mid_are_answered_without_one(post: Post) -> None:
    response = await post(offer(section(None, *H264), data(None), session=()))
    assert response.status_code == 201
    assert "a=mid" not in response.text
    assert "a=group" not in response.text
    assert ports(SessionDescription.parse(response.text)) == [
        ("video", True),
        ("application", True),
    ]


async def test_the_old_form_of_data_channels_is_answered_in_the_same_form(post: Post) -> None:
    old = section(
        "1", "a=sctpmap:5000 webrtc-datachannel 1024", media="application 9 DTLS/SCTP 5000"
    )
    answer = await answered(post, offer(VIDEO, old))
    assert (answer.media[1].profile, answer.media[1].fmt) == ("DTLS/SCTP", ["5000"])


async def test_the_protocol_of_a_section_is_answered_as_offered(post: Post) -> None:
    answer = await answered(post, offer(section("0", *H264, media="video 9 RTP/SAVPF 102")))
    assert answer.media[0].profile == "RTP/SAVPF"


async def test_unused_header_extensions_are_left_out(post: Post) -> None:
    mid = "urn:ietf:params:rtp-hdrext:sdes:mid"
    lines = [f"a=extmap:{i} {mid}" for i in (0, 15, 300, 4, 5)] + ["a=extmap:x y", "a=extmap:4 z"]
    answer = await answered(post, offer(section("0", *H264, *lines)))
    assert [(e.id, e.uri) for e in answer.media[0].rtp.headerExtensions] == [(4, mid)]


def without(*prefixes: str) -> str:
    """Return an offer of video without the lines that have these prefixes."""
    lines = offer(VIDEO).split("\r\n")
    return "\r\n".join(line for line in lines if not line.startswith(prefixes))


def replacing(old: str, new: str) -> str:
    """Return an offer of video with `old` replaced by `new`."""
    text = offer(VIDEO)
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("sdp", "said"),
    [
        (without("a=ice-ufrag"), "expected a=ice-ufrag of 4 to 256 .* in section 0 .*, got none"),
        (without("a=ice-pwd"), "expected a=ice-pwd of 22 to 256 .*, got none"),
        (without("a=fingerprint"), "expected a=fingerprint of sha-256, .*, got none"),
        (without("a=setup"), "expected a=setup:actpass, active or passive .*, got none"),
        (without("a=rtcp-mux"), "expected a=rtcp-mux in section 0 .*, got none"),
        (without("m="), "expected an SDP offer with sections"),
        (replacing("ufrag:abcd", "ufrag:abc"), "4 to 256 .*, got 'abc'"),
        (replacing("ufrag:abcd", "ufrag:" + "a" * 257), "4 to 256 "),
        (replacing("pwd:abcdefgh", "pwd:ab cdefgh"), r"22 to 256 .*, got '\*{8}'"),
        (replacing("sha-256", "md5"), "got md5"),
        (replacing(":AB" * 31, ":AB" * 30), "got sha-256"),
        (replacing("setup:actpass", "setup:holdconn"), "got 'holdconn'"),
        (replacing("m=video 9", "m=video 0"), "recvonly video section, got one with port 0"),
        (replacing("m=video 9", "m=video 70000"), "expected a section such as"),
        (replacing("SAVPF 102", "SAVPF 102 x"), "payload types up to 127 in section 0 .*, got 'x'"),
        (offer(VIDEO, section("1", media=f"audio 9 {RTP} -1")), "127 in section 1 .*, got '-1'"),
        (replacing(RTP, "udp"), "recvonly video section, got udp"),
        (offer(VIDEO, section("0", *H264)), "different mids, got '0' twice"),
        (offer(*[VIDEO] * 33), "at most 32 sections, got 33"),
        (offer(VIDEO + ["a=x"] * 1000), "at most 1000 lines"),
        (offer(VIDEO + ["a=x:" + "y" * 1000] * 70), "SDP of at most 65536 characters"),
        (offer([*VIDEO, "a=x:" + "y" * 3000]), "lines of at most 2048 characters"),
        (offer([*VIDEO, "what is this"]), "expected SDP lines such as 'a=mid:0', got 'what is"),
        (offer([*VIDEO, "a=candidate:1 1 udp x"]), "expected an ICE candidate, got '1 1 udp x'"),
        (offer(section("0", *H264, transport=(FINGERPRINT,))), "expected a=ice-ufrag"),
    ],
)
async def test_the_error_names_what_an_offer_lacks(post: Post, sdp: str, said: str) -> None:
    assert re.search(said, await refused(post, sdp))


async def test_transport_wide_feedback_replaces_remb(post: Post) -> None:
    answer = (await post(offer(section("0", *H264, REMB, REPORTS, NUMBERS)))).text
    assert REPORTS in answer
    assert NUMBERS in answer
    assert "goog-remb" not in answer


@pytest.mark.parametrize("missing", [REPORTS, NUMBERS])
async def test_incomplete_transport_wide_feedback_leaves_remb(post: Post, missing: str) -> None:
    lines = [line for line in (REMB, REPORTS, NUMBERS) if line != missing]
    answer = (await post(offer(section("0", *H264, *lines)))).text
    assert REMB in answer
    assert "transport-cc" not in answer
    assert TRANSPORT_CC_URI not in answer


async def test_vp8_keeps_remb(post: Post) -> None:
    lines = (line.replace("102", "96") for line in ("a=rtpmap:102 VP8/90000", REMB, REPORTS))
    answer = (await post(offer(section("0", *lines, NUMBERS, media=f"video 9 {RTP} 96")))).text
    assert "a=rtcp-fb:96 goog-remb" in answer
    assert "transport-cc" not in answer


@pytest.mark.parametrize(
    ("video", "audio", "numbered"),
    [
        ((REPORTS, NUMBERS), (NUMBERS,), True),
        ((REPORTS, NUMBERS), (NUMBERS.replace(":5", ":6"),), False),
        ((REPORTS, NUMBERS), (), False),
        ((REPORTS,), (NUMBERS,), False),
    ],
)
async def test_audio_has_transport_wide_numbers_only_beside_video(
    post: Post, video: tuple[str, ...], audio: tuple[str, ...], numbered: bool
) -> None:
    voice = section("1", *OPUS, *audio, media=f"audio 9 {RTP} 111")
    answer = (await post(offer(section("0", *H264, *video), voice))).text
    answered = answer.partition("m=audio")[2]
    assert ("a=rtcp-fb:111 transport-cc" in answered) is numbered
    assert (TRANSPORT_CC_URI in answered) is numbered
