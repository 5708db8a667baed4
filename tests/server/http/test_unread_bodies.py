"""A client that sends its whole body before it reads gets the refusal, on every route."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from server.http import unread_bodies
from server.http.unread_bodies import UnreadBodies
from server.settings import Settings
from tests.server.conftest import Served, serving

SECRET = "secret-of-viewer-0123456789"
LARGE = 3_000_000
"""Bytes; more than the socket buffers of both ends hold."""
FRAMES = "/v1/streams/nowhere/frames"


@pytest.fixture(scope="module")
def token_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with one token of scope view."""
    file = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    file.write_text(f'[[token]]\nname = "v"\nsecret = "{SECRET}"\nscopes = ["view"]\n')
    with serving(_settings(file)) as running:
        yield running


def _settings(tokens: Path) -> Settings:
    return Settings(port=0, workers=1, max_sessions=1, max_body_mb=0.1, demo=False, tokens=tokens)


def head(request: str, *headers: str) -> bytes:
    return "\r\n".join((f"{request} HTTP/1.1", "Host: localhost", *headers, "", "")).encode()


def exchange(served: Served, *parts: bytes) -> bytes:
    """Send everything, then read to the end of the connection."""
    with socket.create_connection((served.host, served.port), 10) as connection:
        for part in parts:
            connection.sendall(part)
        answer = bytearray()
        while data := connection.recv(65536):
            answer += data
        return bytes(answer)


JSON = "Content-Type: application/json"
KEY = f"Authorization: Bearer {SECRET}"


@pytest.mark.parametrize(
    ("status", "request_line", "headers"),
    [
        (401, f"POST {FRAMES}", (JSON,)),
        (401, "POST /v1/streams", (JSON, "Authorization: Bearer guessed")),
        (401, "GET /metrics", ()),
        (403, f"POST {FRAMES}", (JSON, KEY)),
        (404, f"POST {FRAMES.replace('frames', 'whep')}", ("Content-Type: application/sdp", KEY)),
        (404, "POST /v1/nothing", (JSON,)),
        (405, "PUT /v1/streams", (JSON,)),
        (405, "POST /healthz", (JSON,)),
        (413, "POST /v1/render", (JSON, KEY)),
        (415, "POST /v1/render", ("Content-Type: image/png", KEY)),
        (415, "POST /v1/render", (JSON, KEY, "Content-Encoding: gzip")),
        (404, "PATCH /v1/sessions/none", (JSON, KEY)),
    ],
)
def test_a_client_that_sends_before_it_reads_gets_the_refusal(
    token_server: Served, status: int, request_line: str, headers: tuple[str, ...]
) -> None:
    length = f"Content-Length: {LARGE}"
    request = head(request_line, length, "Connection: close", *headers)
    answer = exchange(token_server, request, b" " * LARGE)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in answer
    assert answer.endswith(b"}")


def test_a_client_that_sends_a_body_of_unknown_length_gets_the_refusal(
    token_server: Served,
) -> None:
    request = head("POST /v1/render", JSON, KEY, "Transfer-Encoding: chunked", "Connection: close")
    chunk = b"%x\r\n%s\r\n" % (LARGE, b" " * LARGE)
    assert exchange(token_server, request, chunk, b"0\r\n\r\n").startswith(b"HTTP/1.1 413 ")


@pytest.mark.alone
def test_a_client_that_expects_100_continue_is_refused_at_once(token_server: Served) -> None:
    request = head(
        f"POST {FRAMES}", JSON, f"Content-Length: {LARGE}", "Expect: 100-continue",
        "Connection: close",
    )  # fmt: skip
    started = time.monotonic()
    answer = exchange(token_server, request)
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"100 Continue" not in answer
    assert time.monotonic() - started < 2


@pytest.mark.alone
def test_a_refused_request_without_a_body_is_answered_at_once(token_server: Served) -> None:
    started = time.monotonic()
    answer = exchange(token_server, head("GET /v1/streams", "Connection: close"))
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert time.monotonic() - started < 2


async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 400, "headers": []})
    await send({"type": "http.response.body", "body": b"no"})


async def served_with(parts: list[bytes], *headers: tuple[bytes, bytes]) -> tuple[int, int]:
    """Refuse a body; return the numbers of chunks read and of messages sent."""
    read, sent = 0, []

    async def receive() -> Message:
        nonlocal read
        if read == len(parts):
            await asyncio.Event().wait()
        read += 1
        return {"type": "http.request", "body": parts[read - 1], "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    await UnreadBodies(refuse)({"type": "http", "headers": list(headers)}, receive, send)
    return read, len(sent)


async def test_an_endless_body_is_read_up_to_a_number_of_bytes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unread_bodies, "MOST_BYTES", 1000)
    chunked = (b"transfer-encoding", b"chunked")
    assert await served_with([b" " * 300] * 50, chunked) == (4, 2)
    assert await served_with([b" " * 300] * 50, (b"content-length", b"1001")) == (0, 2)


async def test_a_stalled_body_is_read_up_to_a_time_limit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unread_bodies, "LONGEST_LIVE_S", 0.05)
    monkeypatch.setattr(unread_bodies, "LONGEST_S", 0.1)
    assert await served_with([b" "], (b"transfer-encoding", b"chunked")) == (1, 2)
    assert await served_with([b" "], (b"content-length", b"900")) == (1, 2)
