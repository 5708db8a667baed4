"""The JPEG fallback over a WebSocket: frames, flow control and close codes."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2
import numpy as np
import pytest
from PIL import Image
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from server.pool.fake import Shown, decode_image
from tests.server.conftest import Served

SOON_S = 10.0


class JpegViewer:
    """A viewer that receives and acknowledges JPEG frames as the page does."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.session: dict[str, Any] = json.loads(socket.recv(SOON_S))

    def take(self) -> tuple[dict[str, Any], Shown]:
        """Wait for the next image and its event; do not acknowledge it."""
        event = json.loads(self.socket.recv(SOON_S))
        assert event["type"] == "frame"
        jpeg = self.socket.recv(SOON_S)
        assert isinstance(jpeg, bytes)
        with Image.open(io.BytesIO(jpeg)) as image:
            assert image.format == "JPEG"
            rgb = np.asarray(image.convert("RGB"))
        return event, decode_image(rgb[8:-8, 8:-8])

    def shown(self, image: int) -> None:
        self.say({"type": "shown", "picture": image})

    def look(self, seq: int, eye_x: float) -> None:
        eye = {"rotation": [0, 0, 0, 1], "position": [eye_x, 0, 0.7]}
        self.say({"type": "view", "seq": seq, "sent_at_ms": 10.5 * seq, "eye": eye})

    def say(self, message: object) -> None:
        self.socket.send(json.dumps(message))

    def take_until(self, view_seq: int) -> tuple[dict[str, Any], Shown]:
        deadline = time.monotonic() + SOON_S
        while True:
            event, image = self.take()
            if event["view_seq"] == view_seq:
                return event, image
            assert time.monotonic() < deadline, event
            self.shown(event["picture"])


@contextmanager
def watching(served: Served, stream: str, query: str = "") -> Iterator[JpegViewer]:
    address = f"ws://{served.host}:{served.port}/v1/streams/{stream}/pictures{query}"
    with connect(address) as socket:
        yield JpegViewer(socket)


@pytest.fixture
def viewer(served: Served, stream: str) -> Iterator[JpegViewer]:
    with watching(served, stream) as viewer:
        yield viewer


def test_the_first_message_contains_the_session(viewer: JpegViewer, http: httpx2.Client) -> None:
    assert viewer.session["pictures"] == "image/jpeg"
    stats = http.get(f"/v1/sessions/{viewer.session['id']}")
    assert stats.status_code == 200


def test_a_jpeg_frame_shows_the_view_that_was_sent(viewer: JpegViewer) -> None:
    first, _ = viewer.take()
    assert first["picture"] == 1
    viewer.look(5, 0.2)
    viewer.shown(1)
    event, image = viewer.take_until(5)
    assert event["view_sent_at_ms"] == 52.5
    assert {"warp", "encode"} <= event["stages_ms"].keys()
    assert image.eye_x == pytest.approx(0.2, abs=0.08)


@pytest.mark.parametrize(
    ("query", "columns", "rows", "middle"),
    [
        ("background=transparent", 64, 144, 0),
        ("background=00FF00", 64, 64, 255),
        ("background=00FF00&display=200", 256, 256, 255),
    ],
)
def test_frames_have_the_background_and_size_given_in_the_query(
    served: Served, stream: str, query: str, columns: int, rows: int, middle: int
) -> None:
    with watching(served, stream, f"?{query}") as viewer:
        assert json.loads(viewer.socket.recv(SOON_S))["type"] == "frame"
        jpeg = viewer.socket.recv(SOON_S)
        assert isinstance(jpeg, bytes)
        with Image.open(io.BytesIO(jpeg)) as image:
            assert image.size == (columns, rows)
            shown = image.convert("L").getpixel((columns // 2, rows // 2))
            assert shown == pytest.approx(middle, abs=12)


@pytest.mark.parametrize(
    ("query", "words"),
    [("background=green", "expected six hexadecimal digits"), ("display=0", "display: expected a")],
)
def test_an_invalid_query_is_refused_with_its_reason(
    served: Served, stream: str, query: str, words: str
) -> None:
    address = f"ws://{served.host}:{served.port}/v1/streams/{stream}/pictures?{query}"
    with connect(address) as socket, pytest.raises(ConnectionClosed) as closed:
        socket.recv(SOON_S)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4400
    assert words in closed.value.rcvd.reason


def test_a_viewer_may_drive_the_face(viewer: JpegViewer) -> None:
    viewer.take()
    viewer.say({"type": "mesh", "seq": 3, "expression": {"jawOpen": 0.8}})
    viewer.shown(1)
    event, image = viewer.take()
    while event["mesh_seq"] != 3:
        viewer.shown(event["picture"])
        event, image = viewer.take()
    assert image.jaw_open == pytest.approx(0.8, abs=0.05)


def test_one_jpeg_frame_is_in_flight_and_the_next_one_is_the_newest(viewer: JpegViewer) -> None:
    viewer.take()
    for seq in range(1, 30):
        viewer.look(seq, seq / 100)
    viewer.shown(7)  # of an image that was never sent
    with pytest.raises(TimeoutError):
        viewer.socket.recv(0.3)
    viewer.shown(1)
    event, _ = viewer.take()
    assert (event["picture"], event["view_seq"]) == (2, 29)


def test_a_bad_message_is_answered_with_an_error_and_frames_continue(viewer: JpegViewer) -> None:
    viewer.take()
    viewer.say({"type": "view", "seq": -1})
    viewer.look(1, 0.1)
    viewer.shown(1)
    error = json.loads(viewer.socket.recv(SOON_S))
    assert error["type"] == "error"
    assert "seq" in error["detail"]
    assert viewer.take()[0]["view_seq"] == 1


def test_an_unchanged_frame_is_repeated_as_keepalive(viewer: JpegViewer) -> None:
    event, _ = viewer.take()
    viewer.shown(1)
    while event["stages_ms"].keys() != {"encode"}:  # wait until no new cache arrives
        event, _ = viewer.take()
        viewer.shown(event["picture"])


def _read_on(viewer: JpegViewer) -> None:
    while True:
        viewer.socket.recv(SOON_S)


def closed(viewer: JpegViewer) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        _read_on(viewer)
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


def test_a_deleted_stream_closes_the_socket(
    viewer: JpegViewer, http: httpx2.Client, stream: str
) -> None:
    viewer.take()
    http.delete(f"/v1/streams/{stream}")
    assert closed(viewer) == (4410, "the stream was deleted")


def test_a_viewer_that_never_acknowledges_a_frame_is_disconnected(viewer: JpegViewer) -> None:
    assert closed(viewer)[0] == 4410


def test_a_viewer_that_disconnects_frees_its_session_slot(
    served: Served, stream: str, http: httpx2.Client
) -> None:
    with watching(served, stream) as viewer:
        address = f"/v1/sessions/{viewer.session['id']}"
    deadline = time.monotonic() + SOON_S
    while http.get(address).status_code == 200:
        assert time.monotonic() < deadline, "the session has not ended"
        time.sleep(0.02)


@pytest.mark.parametrize("stream_id", ["nothing", "n\N{SNOWMAN}" * 60])
def test_a_missing_stream_is_reported_by_the_close_code(served: Served, stream_id: str) -> None:
    with connect(f"ws://{served.host}:{served.port}/v1/streams/{stream_id}/pictures") as socket:
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(SOON_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4404
        assert "stream 'n" in caught.value.rcvd.reason


def test_a_full_server_closes_the_socket_with_the_reason(served: Served, stream: str) -> None:
    address = f"ws://{served.host}:{served.port}/v1/streams/{stream}/pictures"
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(watching(served, stream))
        socket = stack.enter_context(connect(address))
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(SOON_S)
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 4503
        assert "all 3 session slots are in use" in caught.value.rcvd.reason


def test_candidates_are_refused_for_jpeg_sessions(viewer: JpegViewer, http: httpx2.Client) -> None:
    answer = http.patch(
        f"/v1/sessions/{viewer.session['id']}",
        content="a=candidate:1 1 udp 1 127.0.0.1 5 typ host",
        headers={"Content-Type": "application/trickle-ice-sdpfrag"},
    )
    assert answer.status_code == 400
    assert "one of the JPEG fallback" in answer.json()["detail"]
