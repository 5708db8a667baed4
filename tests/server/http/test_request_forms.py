"""Every form of request that HTTP allows is served; others are refused; none hangs."""

from __future__ import annotations

import logging
import socket
import struct

import pytest

from server.http.request_forms import _is_readable
from server.network.websocket_protocol import MOST_FRAGMENTS
from tests.server.conftest import Served

KEY = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", KEY)
JSON = "Content-Type: application/json"
MASK = b"\0\0\0\0"


def request(line: str, *headers: str, body: str = "") -> bytes:
    return "\r\n".join((f"{line} HTTP/1.1", "Host: localhost", *headers, "", body)).encode(
        "latin-1"
    )


def exchange(served: Served, *parts: bytes, end: bool = False) -> bytes:
    """Send each part after the response to the previous one; return all that was received."""
    with socket.create_connection((served.host, served.port), 5) as connection:
        answer = bytearray()
        for index, part in enumerate(parts):
            if index:
                answer += connection.recv(65536)
            connection.sendall(part)
        if end:
            connection.shutdown(socket.SHUT_WR)
        while data := connection.recv(65536):
            answer += data
        return bytes(answer)


def close(line: str, *headers: str, body: str = "") -> bytes:
    return request(line, "Connection: close", *headers, body=body)


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (close("HEAD /healthz"), 200),
        (close("HEAD /v1/streams"), 200),
        (close("HEAD /"), 200),
        (close("HEAD /v1/streams/nowhere"), 404),
        (close("GET http://example.org/v1/streams"), 200),
        (close("GET HTTP://example.org:80"), 200),
        (b"\r\n" + close("GET /healthz"), 200),
        (close("GET /index.html", "Range: bytes=0-1"), 206),
        (close("GET /index.html", "Range: bytes=0-1,"), 206),
        (close("GET /index.html", "Range: bytes=5-1"), 200),
        (close("GET /index.html", "Range: pages=1-2"), 200),
        (close("POST /v1/streams/nowhere/frames", *UPGRADE[1:], JSON), 404),
    ],
)
def test_every_form_of_a_request_is_answered(served: Served, sent: bytes, status: int) -> None:
    head, _, body = exchange(served, sent).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert (body == b"") == sent.startswith(b"HEAD")


@pytest.mark.parametrize(
    ("sent", "status", "words"),
    [
        (request("GET /v1/streams", "Host: b"), 400, b"multiple Host"),
        (request("GET /", "X : secret-1234"), 400, b"illegal header line"),
        (request("POST /", "Content-Length: -1"), 400, b"bad Content-Length"),
        (request("POST /", "Transfer-Encoding: gzip, chunked"), 400, b"Transfer-Encoding"),
        (request("GET /", "X: " + "x" * 100_000), 431, b"Receive buffer too long"),
        (
            request("POST /v1/streams", JSON, "Transfer-Encoding: chunked", body="-5\r\n"),
            400,
            b"illegal chunk header",
        ),
        *(
            (
                request("POST /v1/streams", kind, "Transfer-Encoding: chunked", body=body),
                400,
                b"valid HTTP/1.1",
            )
            for kind in (JSON, "Content-Type: application/x-ndjson")
            for body in ("2\n{}\n0\n\n", "2\r{}\r0\r\r", "2\r\n{}\r\n0\n\n", "2\r\n{}\n")
        ),
        (request("GET /v1/nothing", *UPGRADE), 404, b"got a WebSocket at /v1/nothing"),
        (request("GET /v1/streams/a/frames", *UPGRADE, "Content-Length: 1"), 400, b"body"),
        (request("GET /v1/streams/a/frames", *UPGRADE, *["A: b"] * 200), 400, b"headers"),
    ],
)
def test_a_malformed_request_is_refused_with_its_reason(
    served: Served, caplog: pytest.LogCaptureFixture, sent: bytes, status: int, words: bytes
) -> None:
    answer = exchange(served, sent)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in answer.lower()
    assert words in answer
    assert b"secret" not in answer
    assert not [r for r in caplog.records if r.exc_info]


def test_a_client_that_disconnects_during_its_body_causes_no_error(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    exchange(served, request("POST /v1/streams", JSON, "Content-Length: 9", body="{"), end=True)
    exchange(served, close("GET /healthz"))  # the first request has ended by now
    assert not [r for r in caplog.records if r.levelno >= logging.ERROR]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("ranges", ["9999999-", "0-1,9999999-", "-0"])
def test_a_range_beyond_a_file_is_refused_with_its_reason(
    served: Served, method: str, ranges: str
) -> None:
    answer = exchange(served, close(f"{method} /index.html", f"Range: bytes={ranges}"))
    head, _, body = answer.lower().partition(b"\r\n\r\n")
    assert head.startswith(b"http/1.1 416 ")
    assert b"application/problem+json" in head
    assert b"content-range: bytes */" in head
    assert (f"bytes, got bytes={ranges}".encode() in body) is (method == "GET")


@pytest.mark.parametrize(
    ("ranges", "readable"),
    [(b"bytes=0-", True), (b"bytes=-5,2-3", True), (b"bytes=", False), (b"bytes=3-2", False)],
)
def test_malformed_ranges_are_recognized(ranges: bytes, readable: bool) -> None:
    assert _is_readable(ranges) == readable


def fragment(opcode: int, data: bytes = b"", *, last: bool = False) -> bytes:
    return bytes([0x80 * last | opcode, 0x80 | len(data)]) + MASK + data


PING = fragment(9, b"x" * 125, last=True)


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        (fragment(1) + fragment(0) * MOST_FRAGMENTS, 1009),
        (fragment(1, b"\xff", last=True), 1007),
        (fragment(1, b"\xe2") + fragment(0, b"\x28\xa1", last=True), 1007),
    ],
)
def test_wrong_messages_close_a_socket_with_the_reason(
    served: Served, stream: str, caplog: pytest.LogCaptureFixture, frames: bytes, code: int
) -> None:
    answer = exchange(served, request(f"GET /v1/streams/{stream}/frames", *UPGRADE), frames)
    _, _, closing = answer.partition(b"\r\n\r\n")
    assert (closing[0], struct.unpack(">H", closing[2:4])) == (0x88, (code,))
    assert b"expected" in closing[4:]
    assert not [r for r in caplog.records if r.exc_info]


def test_pings_of_a_client_that_does_not_read_do_not_accumulate(
    served: Served, stream: str
) -> None:
    pings = 16_000_000 // len(PING)
    with socket.create_connection((served.host, served.port), 5) as connection:
        connection.sendall(request(f"GET /v1/streams/{stream}/frames", *UPGRADE))
        received = bytearray(connection.recv(65536))
        connection.sendall(PING * pings + fragment(1, b"{", last=True))
        while b'"error"' not in received:
            received += connection.recv(1 << 20)
    # Answered are those that fit into the buffers of both kernels and the server, and the newest.
    assert 0 < received.count(PING[6:]) < pings
