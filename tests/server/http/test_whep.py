"""Errors of WHEP signalling; working sessions are in `transport/webrtc/test_peer.py`."""

from __future__ import annotations

import httpx2
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "a=mid:0\r\na=candidate:1 1 udp 2113937151 127.0.0.1 50000 typ host\r\n"


async def offer(direction: str = "recvonly", kind: str = "video") -> str:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver(kind, direction=direction)
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    await connection.close()
    return sdp


def refused(response: httpx2.Response, status: int, said: str) -> None:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert said in response.json()["detail"]


@pytest.fixture
async def session(http: httpx2.Client, stream: str) -> str:
    """Open a session; return its address. It ends with its stream."""
    response = http.post(f"/v1/streams/{stream}/whep", content=await offer(), headers=SDP)
    assert response.status_code == 201
    address: str = response.headers["location"]
    return address


def test_options_names_the_media_type_to_post(http: httpx2.Client, stream: str) -> None:
    answer = http.options(f"/v1/streams/{stream}/whep")
    assert answer.status_code == 204
    assert answer.headers["accept-post"] == "application/sdp"


def test_an_offer_of_another_type_is_refused(http: httpx2.Client, stream: str) -> None:
    answer = http.post(f"/v1/streams/{stream}/whep", json={"sdp": ""})
    refused(answer, 415, "expected Content-Type application/sdp, got application/json")


@pytest.mark.parametrize("text", [b"", b"hello", b"v=0\r\nm=video x\r\n", b"\xff\xfe", b"m=\r\n"])
def test_an_offer_that_is_not_sdp_is_refused(http: httpx2.Client, stream: str, text: bytes) -> None:
    answer = http.post(f"/v1/streams/{stream}/whep", content=text, headers=SDP)
    refused(answer, 400, "expected")


@pytest.mark.parametrize(("direction", "kind"), [("sendonly", "video"), ("recvonly", "audio")])
async def test_an_offer_without_video_is_refused(
    http: httpx2.Client, stream: str, direction: str, kind: str
) -> None:
    text = await offer(direction, kind)
    answer = http.post(f"/v1/streams/{stream}/whep", content=text, headers=SDP)
    refused(answer, 400, "expected an offer with a recvonly video section")


async def test_an_offer_without_a_supported_codec_is_refused(
    http: httpx2.Client, stream: str
) -> None:
    text = (await offer()).replace("VP8", "VP7").replace("H264", "H261")
    answer = http.post(f"/v1/streams/{stream}/whep", content=text, headers=SDP)
    refused(answer, 400, "expected an offer of h264 or vp8")


@pytest.mark.parametrize("text", ["", "green", "00b14", "00b1400", "#00b140", "Transparent"])
async def test_an_invalid_background_is_refused_with_its_reason(
    http: httpx2.Client, stream: str, text: str
) -> None:
    address = f"/v1/streams/{stream}/whep"
    answer = http.post(address, params={"background": text}, content=await offer(), headers=SDP)
    refused(answer, 400, f"expected six hexadecimal digits, RRGGBB, or transparent, got {text!r}")
    assert http.get(f"/v1/streams/{stream}").json()["viewers"] == 0


@pytest.mark.parametrize("text", ["", "0", "-1", "3.5", "16385", "123456", "big", "\u0663"])
async def test_an_invalid_display_size_is_refused_with_its_reason(
    http: httpx2.Client, stream: str, text: str
) -> None:
    address = f"/v1/streams/{stream}/whep"
    answer = http.post(address, params={"display": text}, content=await offer(), headers=SDP)
    refused(answer, 400, f"display: expected a number from 1 to 16384, got {text!r}")
    assert http.get(f"/v1/streams/{stream}").json()["viewers"] == 0


def test_a_huge_offer_is_refused(http: httpx2.Client, stream: str) -> None:
    answer = http.post(f"/v1/streams/{stream}/whep", content=b"a" * 300_000, headers=SDP)
    refused(answer, 413, "expected a body of at most 262144 bytes")


def test_an_offer_to_a_missing_stream_is_refused(http: httpx2.Client) -> None:
    answer = http.post("/v1/streams/nowhere/whep", content=b"v=0", headers=SDP)
    refused(answer, 404, "no stream 'nowhere'")


def test_a_refused_offer_holds_no_session_slot(http: httpx2.Client, stream: str) -> None:
    for _ in range(5):  # the session limit is three
        answer = http.post(f"/v1/streams/{stream}/whep", content=b"hello", headers=SDP)
        assert answer.status_code == 400
    assert http.get(f"/v1/streams/{stream}").json()["viewers"] == 0


def test_candidates_are_accepted(http: httpx2.Client, session: str) -> None:
    answer = http.patch(session, content=CANDIDATE, headers=FRAGMENT)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("tag", ['"ice-1"', "*", '"other", "ice-1"'])
def test_candidates_for_the_current_ice_credentials_are_accepted(
    http: httpx2.Client, session: str, tag: str
) -> None:
    answer = http.patch(session, content=CANDIDATE, headers=FRAGMENT | {"If-Match": tag})
    assert answer.status_code == 204


def test_candidates_for_other_ice_credentials_are_refused(
    http: httpx2.Client, session: str
) -> None:
    for other in ('"other"', 'W/"ice-1"', ""):
        headers = FRAGMENT | {"If-Match": other}
        refused(http.patch(session, content=CANDIDATE, headers=headers), 412, "If-Match")


def test_several_headers_of_credentials_are_one_list(http: httpx2.Client, session: str) -> None:
    several = [*FRAGMENT.items(), ("If-Match", '"other"'), ("If-Match", '"ice-1"')]
    assert http.patch(session, content=CANDIDATE, headers=several).status_code == 204


def test_an_ice_restart_is_refused(http: httpx2.Client, session: str) -> None:
    text = "a=ice-ufrag:fresh\r\na=ice-pwd:freshfreshfreshfreshfresh\r\n" + CANDIDATE
    refused(http.patch(session, content=text, headers=FRAGMENT), 422, "send a new offer")


def test_a_malformed_fragment_is_refused(http: httpx2.Client, session: str) -> None:
    refused(http.patch(session, content=b"hello", headers=FRAGMENT), 400, "a=candidate")
    refused(http.patch(session, content=CANDIDATE, headers=SDP), 415, "trickle-ice-sdpfrag")


def test_an_unknown_session_is_a_404(http: httpx2.Client) -> None:
    for method in ("GET", "DELETE"):
        refused(http.request(method, "/v1/sessions/nothing"), 404, "no session 'nothing'")
    answer = http.patch("/v1/sessions/nothing", content=CANDIDATE, headers=FRAGMENT)
    refused(answer, 404, "no session 'nothing'")


def test_all_sessions_are_listed_with_their_statistics(http: httpx2.Client, session: str) -> None:
    listed = {found["id"]: found for found in http.get("/v1/sessions").json()}
    own = listed[session.rsplit("/", 1)[-1]]
    assert own["stages_ms"].keys() <= {"wait", "queue", "raster", "warp", "hand_over", "encode"}
    assert own.keys() == http.get(session).json().keys()
