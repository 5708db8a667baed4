"""No request blocks the event loop for long, since all other clients wait meanwhile.

The most expensive requests, with and without a token, are sent to a server with its default
limits. None may block the loop for longer than three frames at 60 per second, which is
visible to viewers.
"""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from server.settings import Settings
from tests.server import flooding_viewer
from tests.server.conftest import Served, serving
from tests.server.loop_probe import measured

LONGEST_S = 0.05
FLOOD_S = 1.0
TRIES = 3
"""The minimum of several tries counts, because garbage collections occur at any time."""
JSON, NDJSON = "application/json", "application/x-ndjson"
FRAMES, RENDER, STREAMS = "/v1/streams/demo/frames", "/v1/render", "/v1/streams"
WHEP = "/v1/streams/demo/whep"


class ExpensiveRequest(NamedTuple):
    """An expensive request."""

    path: str
    body: Callable[[], bytes]
    kind: str = JSON


def unknown_fields(count: int, value: bytes = b"1") -> bytes:
    return b",".join(b'"%x":%b' % (number, value) for number in range(count))


def repeated(part: bytes, count: int, before: bytes = b"[", after: bytes = b"]") -> bytes:
    return before + b",".join([part] * count) + after


SESSION = b"v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
SECTION = (
    b"m=video 9 UDP/TLS/RTP/SAVPF 102\r\nc=IN IP4 0.0.0.0\r\n"
    b"a=rtcp-mux\r\na=rtpmap:102 H264/90000\r\n"
)
CANDIDATE = b"a=candidate:1 1 udp 1 10.0.0.1 1024 typ host\r\n"
COEFFICIENTS = b",".join(b"0.%d" % (number % 10) for number in range(52))
EXPENSIVE_REQUESTS = {
    "deep lists": ExpensiveRequest(FRAMES, lambda: b"[" * 16_000_000),
    "an integer of 4 MB": ExpensiveRequest(
        RENDER, lambda: b'{"frame":{"seq":' + b"1" * 4_000_000 + b"}}"
    ),
    "escapes of 16 MB": ExpensiveRequest(
        FRAMES, lambda: b'{"seq":1,"a":"' + b"\\u0041" * 2_600_000 + b'"}'
    ),
    "vertices of 16 MB": ExpensiveRequest(
        FRAMES, lambda: b'{"seq":1,"vertices":"' + b"A" * 15_900_000 + b'"}'
    ),
    "400 000 unknown fields to render": ExpensiveRequest(
        RENDER, lambda: b"{" + unknown_fields(400_000) + b"}"
    ),
    "8 000 000 ones": ExpensiveRequest(FRAMES, lambda: repeated(b"1", 7_900_000)),
    "1024 complete frames": ExpensiveRequest(
        FRAMES, lambda: repeated(b'{"seq":1,"expression":[' + COEFFICIENTS + b"]}", 1024)
    ),
    "1024 frames of unknown coefficients": ExpensiveRequest(
        FRAMES, lambda: repeated(b'{"seq":1,"expression":{' + unknown_fields(100) + b"}}", 1024)
    ),
    "spaces of 16 MB": ExpensiveRequest(FRAMES, lambda: b" " * 15_999_990 + b"1"),
    "a string without an end": ExpensiveRequest(FRAMES, lambda: b'["' + b"\\x" * 7_900_000),
    "a string of 16 MB in an array": ExpensiveRequest(
        FRAMES, lambda: b'["' + b"x" * 15_999_990 + b'"]'
    ),
    "spaces of 16 MB in an array": ExpensiveRequest(
        FRAMES, lambda: b"[" + b" " * 15_999_990 + b"1]"
    ),
    "digits of 16 MB in an array": ExpensiveRequest(
        FRAMES, lambda: b"[" + b"1" * 15_999_990 + b"]"
    ),
    "spaces of 16 MB in a frame": ExpensiveRequest(RENDER, lambda: b"{" + b" " * 15_999_990 + b"}"),
    "1 000 000 short lines": ExpensiveRequest(FRAMES, lambda: b"1\n" * 1_000_000, NDJSON),
    "1 000 000 empty lines": ExpensiveRequest(FRAMES, lambda: b"\n" * 1_000_000, NDJSON),
    "a line of 2 MB": ExpensiveRequest(
        FRAMES, lambda: b'{"seq":1,"a":[' + b"1," * 999_000 + b"1]}", NDJSON
    ),
    "many sections": ExpensiveRequest(WHEP, lambda: SESSION + SECTION * 3_000, "application/sdp"),
    "many candidates": ExpensiveRequest(
        WHEP, lambda: SESSION + SECTION + CANDIDATE * 5_000, "application/sdp"
    ),
    "many attributes": ExpensiveRequest(
        WHEP, lambda: SESSION + SECTION + b"a=rtpmap:1 x/1\r\n" * 16_000, "application/sdp"
    ),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    with serving(Settings(port=0, workers=1, max_sessions=4)) as served:
        yield served


def post(server: Served, expensive: ExpensiveRequest, body: bytes) -> int:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=30)
    try:
        connection.request("POST", expensive.path, body, {"Content-Type": expensive.kind})
        answer = connection.getresponse()
        answer.read()
        return answer.status
    except (BrokenPipeError, ConnectionResetError):
        return 413  # too large to be read completely
    finally:
        connection.close()


@pytest.mark.parametrize("expensive", EXPENSIVE_REQUESTS.values(), ids=EXPENSIVE_REQUESTS)
def test_no_body_blocks_the_loop(server: Served, expensive: ExpensiveRequest) -> None:
    body = expensive.body()
    longest_s: list[float] = []
    while min(longest_s, default=1) > LONGEST_S and len(longest_s) < TRIES:
        with measured(server.loop) as blocks:
            status = post(server, expensive, body)
        assert status in (202, 400, 413, 422), status
        longest_s.append(blocks.longest_s)
    assert min(longest_s) <= LONGEST_S, longest_s


VIEW = '{"type":"view",' + ",".join(f'"{number:x}":1' for number in range(24_000)) + "}"
FACE = '{"type":"mesh","expression":{' + VIEW.removeprefix('{"type":"view",') + "}"


@pytest.mark.parametrize("message", [VIEW, FACE, '"' + "\\u0041" * 40_000 + '"'])
@pytest.mark.parametrize("path", ["pictures", "frames"])
def test_no_message_blocks_the_loop(server: Served, path: str, message: str) -> None:
    address = f"ws://{server.host}:{server.port}/v1/streams/demo/{path}"
    longest_s: list[float] = []
    while min(longest_s, default=1) > LONGEST_S and len(longest_s) < TRIES:
        with connect(address, max_size=None) as socket, measured(server.loop) as blocks:
            with suppress(ConnectionClosed):
                for _ in range(20):
                    socket.send(message)
            socket.recv(10)
        longest_s.append(blocks.longest_s)
    assert min(longest_s) <= LONGEST_S, longest_s


def test_a_flood_over_a_data_channel_does_not_block_the_loop(server: Served) -> None:
    program = [sys.executable, "-m", flooding_viewer.__name__, server.url]
    with subprocess.Popen(program, stdout=subprocess.PIPE) as flood_process:
        try:
            assert flood_process.stdout is not None
            assert flood_process.stdout.readline() == b"flooding\n"
            longest_s: list[float] = []
            while min(longest_s, default=1) > LONGEST_S and len(longest_s) < TRIES:
                with measured(server.loop) as blocks:
                    time.sleep(FLOOD_S)
                longest_s.append(blocks.longest_s)
            assert flood_process.poll() is None, "the flooding process ended early"
        finally:
            flood_process.kill()
    assert min(longest_s) <= LONGEST_S, longest_s
