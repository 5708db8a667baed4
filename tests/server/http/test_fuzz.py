"""Fuzzing of messages, offers, candidates, bodies and paths: no input causes a server error."""

from __future__ import annotations

import asyncio
import json
import threading
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from server.errors import BadMessageError
from server.protocol.messages import each_mesh_frame, parse_mesh_frame, parse_viewer_message
from server.protocol.requests import DOCUMENTED, parse_render_request, parse_stream_request

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
PARSERS = (
    parse_viewer_message,
    parse_mesh_frame,
    lambda text: list(each_mesh_frame(text, 8)),
    parse_render_request,
    parse_stream_request,
)
KNOWN_KEYS = sorted({name for model in DOCUMENTED for name in model.model_fields} - {"root"})
quick = settings(
    max_examples=100,
    deadline=None,
    derandomize=True,  # the same examples in every run
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(KNOWN_KEYS) | st.text(max_size=8), inner, max_size=6)
    ),
    max_leaves=20,
)
like_messages = st.builds(
    lambda kind, rest: {"type": kind} | rest,
    st.sampled_from(["view", "mesh", "ping", "shown", ""]),
    st.dictionaries(st.sampled_from(KNOWN_KEYS), json_values, max_size=8),
)


def to_bytes(value: Any) -> bytes:
    return json.dumps(value).encode()


@quick
@given(st.binary(max_size=200) | (json_values | like_messages).map(to_bytes))
@example(b'{"type": "view", "seq": 1e999}')
@example(b"[" * 20_000)
@example(b'{"seq": 123456789012345678901234567890}')
@example("\ud800".encode("utf-8", "surrogatepass"))
def test_any_message_is_accepted_or_refused(text: bytes) -> None:
    for parse in PARSERS:
        with suppress(BadMessageError):
            parse(text)


async def _offer() -> str:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction="recvonly")
    connection.createDataChannel("view")
    await connection.setLocalDescription(await connection.createOffer())
    sdp = connection.localDescription.sdp
    await connection.close()
    return sdp


@pytest.fixture(scope="module")
def offer() -> str:
    """Return a valid offer."""
    made: list[str] = []
    thread = threading.Thread(target=lambda: made.append(asyncio.run(_offer())))
    thread.start()
    thread.join()
    return made[0]


@pytest.fixture
def watched(stream: str) -> str:
    return f"/v1/streams/{stream}/whep"


@st.composite
def damaged(draw: st.DrawFn, text: str) -> str:
    """Return a text with lines dropped, repeated, swapped, truncated or overwritten."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        change = draw(st.sampled_from(["lose", "double", "swap", "cut", "scribble", "number"]))
        if change == "lose" and len(lines) > 1:
            lines.pop(at)
        elif change == "double":
            lines.insert(at, lines[at])
        elif change == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        elif change == "cut":
            lines[at] = lines[at][: draw(st.integers(0, len(lines[at])))]
        elif change == "scribble":
            lines[at] += draw(st.text(st.characters(codec="utf-8"), max_size=12))
        else:
            number = draw(st.sampled_from(["-1", "99999999999", "x", "0", "65536", "NaN"]))
            head, _, _ = lines[at].rpartition(" ")
            lines[at] = f"{head} {number}"
    return "\r\n".join(lines) + "\r\n"


def test_any_offer_is_answered_or_refused_as_a_client_error(
    http: httpx2.Client, watched: str, offer: str
) -> None:
    seen: set[int] = set()

    @quick
    @given(damaged(offer))
    def post(sdp: str) -> None:
        answer = http.post(watched, content=sdp.encode(), headers=SDP)
        seen.add(answer.status_code)
        if answer.status_code == 201:
            http.delete(answer.headers["location"])
        else:
            assert 400 <= answer.status_code < 500, answer.text
            assert answer.json()["detail"]

    post()
    assert 400 in seen
    assert http.get("/healthz").status_code == 200


def test_any_candidates_are_accepted_or_refused_as_a_client_error(
    http: httpx2.Client, watched: str, offer: str
) -> None:
    opened = http.post(watched, content=offer.encode(), headers=SDP)
    assert opened.status_code == 201
    session = opened.headers["location"]
    valid_offer = (
        "a=ice-ufrag:abcd\r\na=mid:0\r\na=candidate:1 1 udp 2113937151 127.0.0.1 9 typ host\r\n"
    )

    @quick
    @given(damaged(valid_offer))
    def patch(fragment: str) -> None:
        answer = http.patch(session, content=fragment.encode(), headers=FRAGMENT)
        # 404: the session has timed out meanwhile, since no viewer connects.
        assert answer.status_code == 204 or 400 <= answer.status_code < 500, answer.text

    patch()
    assert http.get("/healthz").status_code == 200


@quick
@given(body=json_values)
@example(body={"id": "\x00"})
@example(body={"avatar": "../../etc", "id": "x"})
def test_any_body_is_accepted_or_refused_as_a_client_error(http: httpx2.Client, body: Any) -> None:
    text = json.dumps(body)
    for method, path in (
        ("POST", "/v1/streams"),
        ("POST", "/v1/render"),
        ("POST", "/v1/streams/nobody/frames"),
    ):
        answer = http.request(
            method, path, content=text.encode(), headers={"Content-Type": "application/json"}
        )
        assert answer.status_code < 500, (path, text, answer.text)
        if answer.status_code == 201:
            http.delete(answer.headers["location"])


@quick
@given(st.text(min_size=1, max_size=30))
@example("\x00")
@example("../../etc/passwd")
def test_any_path_is_served_or_answered_with_a_client_error(http: httpx2.Client, part: str) -> None:
    quoted = "/" + quote(part, safe="")
    for path in (f"/v1/streams{quoted}", f"/v1/sessions{quoted}", f"/v1/avatars{quoted}", quoted):
        assert http.get(path).status_code < 500, path
