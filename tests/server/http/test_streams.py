"""Publishing over HTTP and WebSocket: accepted and refused frames, and reported counts."""

from __future__ import annotations

import base64
import gzip
import http.client
import json
import socket
import time
from collections.abc import Iterable, Iterator
from struct import pack
from typing import Any

import httpx2
import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

PROBLEM = "application/problem+json"
NDJSON = {"Content-Type": "application/x-ndjson"}


def frame(seq: int, **fields: Any) -> str:
    return json.dumps({"seq": seq, **fields})


def lines(texts: Iterable[str]) -> bytes:
    return "".join(f"{text}\n" for text in texts).encode()


def problem(response: httpx2.Response) -> dict[str, Any]:
    assert response.headers["content-type"] == PROBLEM
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body["type"] == "about:blank"
    assert body["title"]
    return body


def post_json(http: httpx2.Client, stream: str, text: str | bytes) -> httpx2.Response:
    return http.post(
        f"/v1/streams/{stream}/frames", content=text, headers={"Content-Type": "application/json"}
    )


def test_a_stream_is_created_described_listed_and_deleted(http: httpx2.Client) -> None:
    made = http.post("/v1/streams", json={"avatar": "default", "id": "my.stream-1"})
    assert made.status_code == 201
    assert made.headers["location"] == "/v1/streams/my.stream-1"
    wanted = {
        "id": "my.stream-1",
        "avatar": "default",
        "live": False,
        "last_seq": None,
        "accepted": 0,
        "dropped": 0,
        "viewers": 0,
    }
    assert made.json() == wanted
    assert http.get("/v1/streams/my.stream-1").json() == wanted
    assert wanted in http.get("/v1/streams").json()
    assert http.delete("/v1/streams/my.stream-1").status_code == 204
    gone = problem(http.get("/v1/streams/my.stream-1"))
    assert (gone["status"], gone["detail"]) == (404, "no stream 'my.stream-1'")


def test_a_stream_created_without_an_id_gets_one(http: httpx2.Client) -> None:
    made = http.post("/v1/streams")
    assert made.status_code == 201
    assert len(made.json()["id"]) >= 8
    http.delete(made.headers["location"])


def test_a_used_id_is_refused(http: httpx2.Client, stream: str) -> None:
    assert problem(http.post("/v1/streams", json={"id": stream}))["status"] == 409


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"avatar": "nobody"}, 404, "no avatar 'nobody'; there are: default"),
        ({"id": "a/b"}, 400, "id: "),
        ({"name": "x"}, 400, "name: expected no such field"),
        ([], 400, "expected an object"),
    ],
)
def test_a_stream_that_cannot_be_created_is_refused_with_the_reason(
    http: httpx2.Client, body: object, status: int, said: str
) -> None:
    answer = problem(http.post("/v1/streams", json=body))
    assert answer["status"] == status
    assert said in answer["detail"]


def test_too_many_streams_are_refused(http: httpx2.Client) -> None:
    made: list[str] = []
    try:
        while (answer := http.post("/v1/streams")).status_code == 201:
            made.append(answer.headers["location"])
        assert problem(answer)["status"] == 429
        assert "at most 40" in answer.json()["detail"]
    finally:
        for location in made:
            http.delete(location)


def test_a_frame_is_accepted(http: httpx2.Client, stream: str) -> None:
    answer = post_json(http, stream, frame(17, expression={"jawOpen": 0.3}))
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 1, "dropped": 0, "last_seq": 17}
    assert http.get(f"/v1/streams/{stream}").json()["live"] is True


def test_late_and_repeated_frames_are_dropped_and_counted(http: httpx2.Client, stream: str) -> None:
    body = f"[{frame(3)}, {frame(3)}, {frame(2)}, {frame(4)}]"
    answer = post_json(http, stream, body)
    assert answer.json() == {"accepted": 2, "dropped": 2, "last_seq": 4}
    described = http.get(f"/v1/streams/{stream}").json()
    assert (described["accepted"], described["dropped"]) == (2, 2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"seq": NaN}', "seq: expected a valid integer, got nan"),
        (frame(1, expression={"jawOpn": 0.3}), "got 'jawOpn'; did you mean 'jawOpen'?"),
        (frame(1, expression=[0.5] * 51), "expected 52 numbers (avatar 'default'), got 51"),
        (frame(1, head={"rotation": [0, 0, 0, 2]}), "expected a unit quaternion"),
        (frame(1, head={"translation": [0, 1e30, 0]}), "head.translation.1: expected less than"),
        (frame(1, vertices="@@@"), "vertices: expected base64"),
        (
            frame(1, vertices=base64.b64encode(np.zeros((9, 3), np.float32).tobytes()).decode()),
            "vertices: expected 4 x 3 float32 = 48 bytes (avatar 'default'), got 108 bytes",
        ),
        ("{", "expected JSON"),
        ("", "expected JSON"),
    ],
)
def test_a_bad_frame_is_refused_and_does_not_change_the_stream(
    http: httpx2.Client, stream: str, text: str, said: str
) -> None:
    answer = problem(post_json(http, stream, text))
    assert answer["status"] == 400
    assert said in answer["detail"]
    assert http.get(f"/v1/streams/{stream}").json()["last_seq"] is None


def test_an_array_with_a_bad_frame_is_refused_as_a_whole(http: httpx2.Client, stream: str) -> None:
    answer = post_json(http, stream, f"[{frame(1)}, {frame(2, expression={'x': 1})}]")
    assert problem(answer)["detail"].startswith("1.expression: ")
    assert http.get(f"/v1/streams/{stream}").json()["accepted"] == 0


def test_an_array_that_is_too_long_is_refused(http: httpx2.Client, stream: str) -> None:
    answer = post_json(http, stream, json.dumps([{"seq": i} for i in range(9)]))
    assert problem(answer)["detail"] == "expected an array of at most 8 frames, got 9"


def test_a_body_over_the_limit_is_refused(http: httpx2.Client, stream: str) -> None:
    answer = post_json(http, stream, b" " * 100_001)
    assert problem(answer)["status"] == 413
    assert answer.json()["detail"] == "expected a body of at most 100000 bytes, got 100001"


def test_a_body_of_unknown_length_over_the_limit_is_refused(
    http: httpx2.Client, stream: str
) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(11):
            yield b" " * 10_000

    answer = http.post(
        f"/v1/streams/{stream}/frames",
        content=chunks(),
        headers={"Content-Type": "application/json"},
    )
    assert problem(answer)["status"] == 413


def test_another_media_type_is_refused(http: httpx2.Client, stream: str) -> None:
    answer = http.post(f"/v1/streams/{stream}/frames", content=b"x")
    assert problem(answer)["status"] == 415
    assert answer.json()["detail"] == (
        "expected Content-Type application/json or application/x-ndjson, got none"
    )


def test_frames_for_a_missing_stream_are_refused(http: httpx2.Client) -> None:
    assert problem(post_json(http, "nowhere", frame(1)))["status"] == 404


def test_ndjson_lines_are_accepted_one_by_one(http: httpx2.Client, stream: str) -> None:
    body = (
        lines([frame(1), "", frame(2), frame(2)]) + frame(5).encode()
    )  # the last one without a line end
    answer = http.post(f"/v1/streams/{stream}/frames", content=body, headers=NDJSON)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": 3, "dropped": 1, "last_seq": 5}


def test_lines_before_a_malformed_one_are_accepted_and_the_error_gives_its_number(
    http: httpx2.Client, stream: str
) -> None:
    body = lines([frame(1), "", frame(1), frame(2), frame(3, expression={"jaw": 1}), frame(4)])
    answer = problem(http.post(f"/v1/streams/{stream}/frames", content=body, headers=NDJSON))
    assert answer["status"] == 400
    assert answer["detail"].startswith("line 5: expression: expected one of the 52 names")
    counts = {key: answer[key] for key in ("line", "accepted", "dropped", "last_seq")}
    assert counts == {"line": 5, "accepted": 2, "dropped": 1, "last_seq": 2}
    assert http.get(f"/v1/streams/{stream}").json()["last_seq"] == 2


def test_a_line_over_the_limit_is_refused_before_its_end(http: httpx2.Client, stream: str) -> None:
    body = lines([frame(1)]) + b" " * 30_000
    answer = problem(http.post(f"/v1/streams/{stream}/frames", content=body, headers=NDJSON))
    assert (answer["status"], answer["detail"]) == (
        413,
        "line 2: expected at most 20000 bytes, got more",
    )
    assert http.get(f"/v1/streams/{stream}").json()["last_seq"] == 1


def last_seq_becomes(http: httpx2.Client, stream: str, seq: int) -> bool:
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        if http.get(f"/v1/streams/{stream}").json()["last_seq"] == seq:
            return True
        time.sleep(0.01)
    return False


def open_live_body(http: httpx2.Client, stream: str) -> http.client.HTTPConnection:
    url = http.base_url
    connection = http_connection(url.host, url.port)
    connection.putrequest("POST", f"/v1/streams/{stream}/frames")
    connection.putheader("Content-Type", "application/x-ndjson")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    return connection


def http_connection(host: str, port: int | None) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(host, port, timeout=5)


def send_chunk(connection: http.client.HTTPConnection, data: bytes) -> None:
    connection.send(b"%x\r\n%s\r\n" % (len(data), data))


def test_a_live_body_is_applied_while_it_is_still_being_sent(
    http: httpx2.Client, stream: str
) -> None:
    connection = open_live_body(http, stream)
    send_chunk(connection, lines([frame(1)]))
    assert last_seq_becomes(http, stream, 1)
    text = lines([frame(2)])
    send_chunk(connection, text[:4])  # one line in two chunks
    send_chunk(connection, text[4:])
    assert last_seq_becomes(http, stream, 2)
    connection.send(b"0\r\n\r\n")
    answer = connection.getresponse()
    assert answer.status == 202
    assert json.loads(answer.read()) == {"accepted": 2, "dropped": 0, "last_seq": 2}
    connection.close()


def test_frames_sent_before_a_publisher_disconnected_are_accepted(
    http: httpx2.Client, stream: str
) -> None:
    connection = open_live_body(http, stream)
    send_chunk(connection, lines([frame(1), frame(2)]) + b'{"seq": 3')
    assert last_seq_becomes(http, stream, 2)
    assert isinstance(connection.sock, socket.socket)
    connection.close()
    assert http.get("/healthz").status_code == 200


def test_a_live_body_ends_when_its_stream_is_deleted(http: httpx2.Client) -> None:
    stream = http.post("/v1/streams").json()["id"]
    connection = open_live_body(http, stream)
    send_chunk(connection, lines([frame(1)]))
    assert last_seq_becomes(http, stream, 1)
    http.delete(f"/v1/streams/{stream}")
    send_chunk(connection, lines([frame(2)]))
    answer = connection.getresponse()
    assert answer.status == 410
    assert "deleted" in json.loads(answer.read())["detail"]
    connection.close()


def socket_url(http: httpx2.Client, stream: str) -> str:
    return f"ws://{http.base_url.host}:{http.base_url.port}/v1/streams/{stream}/frames"


def test_frames_are_accepted_over_a_websocket(http: httpx2.Client, stream: str) -> None:
    with connect(socket_url(http, stream)) as socket:
        socket.send(frame(1))
        socket.send(frame(2))
        assert last_seq_becomes(http, stream, 2)


def test_a_binary_message_is_a_packed_frame_or_json(http: httpx2.Client, stream: str) -> None:
    packed = pack("<BQd7h52h", 1, 8, 12.5, 0, 0, 0, 32767, 0, 0, 0, *[500] * 52)
    with connect(socket_url(http, stream)) as socket:
        socket.send(packed)
        assert last_seq_becomes(http, stream, 8)
        socket.send(frame(9).encode())
        assert last_seq_becomes(http, stream, 9)
        socket.send(packed[:-1])
        answer = json.loads(socket.recv(timeout=2))
        assert answer["detail"].startswith("expected a packed frame of 31 bytes and 2 for each")
        assert (answer["accepted"], answer["last_seq"]) == (2, 9)


def test_a_bad_message_on_a_websocket_is_answered_with_an_error_and_the_socket_stays_open(
    http: httpx2.Client, stream: str
) -> None:
    with connect(socket_url(http, stream)) as socket:
        socket.send(frame(1))
        socket.send(frame(2, expression={"jawOpen": 7}))
        answer = json.loads(socket.recv(timeout=2))
        assert answer == {
            "type": "error",
            "detail": "expression.jawOpen: expected less than or equal to 1.05, got 7",
            "accepted": 1,
            "dropped": 0,
            "last_seq": 1,
        }
        socket.send(frame(3))
        assert last_seq_becomes(http, stream, 3)


def test_a_websocket_for_a_missing_stream_is_refused_with_the_reason(http: httpx2.Client) -> None:
    with pytest.raises(InvalidStatus) as caught, connect(socket_url(http, "nowhere")):
        pass
    assert caught.value.response.status_code == 404
    assert json.loads(caught.value.response.body)["detail"] == "no stream 'nowhere'"


def test_a_websocket_message_over_the_limit_closes_the_socket(
    http: httpx2.Client, stream: str
) -> None:
    with connect(socket_url(http, stream)) as socket:
        socket.send(" " * 30_000)
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(timeout=2)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1009


def test_a_websocket_is_closed_when_its_stream_is_deleted(http: httpx2.Client) -> None:
    stream = http.post("/v1/streams").json()["id"]
    with connect(socket_url(http, stream)) as socket:
        socket.send(frame(1))
        assert last_seq_becomes(http, stream, 1)
        http.delete(f"/v1/streams/{stream}")
        socket.send(frame(2))
        with pytest.raises(ConnectionClosed) as caught:
            socket.recv(timeout=2)
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 4404


def test_a_compressed_body_is_refused_with_the_supported_encodings(
    http: httpx2.Client, stream: str
) -> None:
    for kind in ("application/json", "application/x-ndjson"):
        answer = http.post(
            f"/v1/streams/{stream}/frames",
            content=gzip.compress(frame(1).encode()),
            headers={"Content-Type": kind, "Content-Encoding": "gzip"},
        )
        assert problem(answer)["detail"] == "expected no Content-Encoding, got gzip"
        assert (answer.status_code, answer.headers["accept-encoding"]) == (415, "identity")
    assert http.get(f"/v1/streams/{stream}").json()["accepted"] == 0


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/streams/{}", "DELETE, GET, HEAD"),
        ("DELETE", "/v1/streams", "GET, HEAD, POST"),
        ("GET", "/v1/streams/{}/whep", "OPTIONS, POST"),
        ("POST", "/index.html", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_answered_with_a_list_of_all_methods_of_the_path(
    http: httpx2.Client, stream: str, method: str, path: str, allowed: str
) -> None:
    answer = http.request(method, path.format(stream))
    assert problem(answer)["status"] == 405
    assert answer.headers["allow"] == allowed
    assert f"expected the method to be {allowed}, got {method}" in answer.json()["detail"]


def test_a_byte_order_mark_before_a_body_is_ignored(http: httpx2.Client, stream: str) -> None:
    mark = b"\xef\xbb\xbf"
    body = mark + frame(1).encode() + b"\n"
    answer = http.post(f"/v1/streams/{stream}/frames", content=body, headers=NDJSON)
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)
    answer = http.post(
        f"/v1/streams/{stream}/frames",
        content=mark + f"[{frame(2)}]".encode(),
        headers={"Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["accepted"]) == (202, 1)


def test_above_the_frame_rate_the_newest_frame_is_used_and_the_others_are_counted_as_dropped(
    http: httpx2.Client, stream: str
) -> None:
    body = lines([frame(number) for number in range(1, 4001)])
    answer = http.post(f"/v1/streams/{stream}/frames", content=body, headers=NDJSON).json()
    assert answer["last_seq"] == 4000
    assert answer["accepted"] + answer["dropped"] == 4000
    assert answer["dropped"] > 500


def test_a_socket_above_the_rate_gets_one_error_and_stays_open(
    http: httpx2.Client, stream: str
) -> None:
    with connect(socket_url(http, stream)) as socket:
        for number in range(3000):
            socket.send(frame(number))
        answer = json.loads(socket.recv(timeout=5))
        assert answer["detail"] == "expected at most 500 frames per second, got more"
        time.sleep(0.3)  # tokens refill
        socket.send(frame(5000))
        assert last_seq_becomes(http, stream, 5000)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.1)
