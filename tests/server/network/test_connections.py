"""Limits of TCP connections: which are accepted or replaced, log messages and metrics."""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx2
import pytest
import uvicorn

from server.network.addresses import client_address
from server.network.connections import (
    LOG_INTERVAL_S,
    Connections,
    most_connections,
    raise_descriptor_limit,
)
from server.network.http_protocol import READ_BYTES, HttpProtocol, limit_reads
from tests.server.fake_program import running, source

SOFT_LIMIT = 200
PROGRAM = source(
    f"""
import resource
from server.network import http_protocol
resource.setrlimit(resource.RLIMIT_NOFILE, ({SOFT_LIMIT}, {SOFT_LIMIT}))
http_protocol.HEAD_S = 2.0
http_protocol.BODY_PAUSE_S = 1.0
"""
)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class IdleConnection:
    """A connection without a request."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


def test_each_address_has_a_limit_of_its_own() -> None:
    connections = Connections(10, 2)
    assert [connections.admit("192.0.2.1") for _ in range(3)] == [True, True, False]
    assert connections.admit("192.0.2.2")
    assert (connections.open, connections.refused) == (3, 1)
    connections.ended("192.0.2.1")
    assert connections.admit("192.0.2.1")


def test_an_ipv6_network_counts_as_one_address() -> None:
    assert client_address("2001:db8::1") == client_address("2001:db8::ffff")
    assert client_address("2001:db8::1") != client_address("2001:db8:0:1::1")
    assert client_address("::ffff:192.0.2.1") != client_address("::ffff:192.0.2.2")


def test_a_proxy_is_limited_only_by_the_limit_of_all_connections() -> None:
    connections = Connections(3, 1, is_proxy=lambda address: address == "10.0.0.1")
    assert [connections.admit("10.0.0.1") for _ in range(4)] == [True, True, True, False]


def test_a_new_connection_replaces_the_oldest_idle_one_of_its_address() -> None:
    connections = Connections(10, 2)
    elsewhere, old, young = IdleConnection(), IdleConnection(), IdleConnection()
    for silent, address in ((elsewhere, "b"), (old, "a"), (young, "a")):
        assert connections.admit(address)
        connections.begin_idle(silent, address)
    assert connections.admit("a")
    assert (elsewhere.aborted, old.aborted, young.aborted) == (False, True, False)
    assert (connections.replaced, connections.refused) == (1, 0)


def test_a_connection_with_a_request_is_not_replaced() -> None:
    connections = Connections(1, 1)
    busy = IdleConnection()
    assert connections.admit("a")
    connections.begin_idle(busy, "a")
    connections.end_idle(busy)
    assert not connections.admit("b")
    assert not busy.aborted


def test_refusals_are_logged_at_intervals_with_their_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    connections = Connections(1, 1, clock=clock)
    connections.admit("a")
    with caplog.at_level(logging.WARNING):
        for _ in range(1000):
            connections.admit("a")
        clock.now_s += LOG_INTERVAL_S
        connections.admit("a")
    assert [record.getMessage().split()[0] for record in caplog.records] == ["1", "1000"]
    assert connections.refused == 1001


def test_the_limit_of_descriptors_is_raised_and_some_are_reserved() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = raise_descriptor_limit()
    assert limit == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    assert limit == (min(hard, 65_536) if hard != resource.RLIM_INFINITY else 65_536)
    assert most_connections(1024) == 768
    assert most_connections(128) == 64


def test_the_private_parts_of_uvicorn_that_are_used_exist() -> None:
    config = uvicorn.Config(lambda *_: None, http=HttpProtocol, log_config=None)
    config.load()
    state = uvicorn.Server(config).server_state
    protocol = HttpProtocol(config=config, server_state=state, app_state={}, _loop=object())
    assert protocol.cycle is None
    for name in ("flow", "headers", "client", "loop", "on_response_complete"):
        assert hasattr(protocol, name), f"uvicorn {uvicorn.__version__} has moved {name}"


async def test_asyncio_reads_at_most_the_configured_bytes_at_once() -> None:
    sizes: list[int] = []

    class Reader(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            limit_reads(transport)

        def data_received(self, data: bytes) -> None:
            sizes.append(len(data))

    here, there = socket.socketpair()
    here.setblocking(False)
    there.sendall(b" " * 50_000)
    transport, _ = await asyncio.get_running_loop().create_connection(Reader, sock=here)
    while sum(sizes) < 50_000:
        await asyncio.sleep(0)
    transport.close()
    there.close()
    assert max(sizes) == READ_BYTES


@contextmanager
def program() -> Iterator[tuple[str, int, subprocess.Popen[str]]]:
    with running(PROGRAM) as started:
        yield started.url, int(started.url.rsplit(":", 1)[1]), started.process


def read_until_closed(connection: socket.socket, seconds: float) -> bytes:
    """Return what the server sends until it closes the connection; fail on a timeout."""
    connection.settimeout(seconds)
    with suppress(ConnectionResetError):
        return connection.makefile("rb").read()
    return b""


def test_more_idle_connections_than_descriptors_do_not_block_new_ones() -> None:
    with program() as (url, port, process), ExitStack() as stack:
        crowd = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            for _ in range(2 * SOFT_LIMIT)
        ]
        for half in crowd[::2]:
            with suppress(OSError):  # refused while sending
                half.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ")
        for _ in range(5):
            assert httpx2.get(f"{url}/healthz", timeout=5).status_code == 200
        metrics = httpx2.get(f"{url}/metrics", timeout=5).text
        assert f"telewarp_connections {most_connections(SOFT_LIMIT)}.0" in metrics
        assert 'telewarp_connections_closed_total{kind="replaced"}' in metrics
        process.terminate()
        _, received = process.communicate(timeout=20)
    assert len(received.splitlines()) <= 1, received


@pytest.mark.alone
def test_incomplete_heads_and_bodies_time_out_and_a_live_body_does_not() -> None:
    body = "Host: localhost\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{"
    live = (
        "Host: localhost\r\nTransfer-Encoding: chunked\r\n"
        "Content-Type: application/x-ndjson\r\n\r\n"
    )
    with program() as (_, port, _process), ExitStack() as stack:
        silent, half_head, half_body, publisher = (
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 5)) for _ in range(4)
        )
        half_head.sendall(b"GET / HTTP/1.1\r\nHost: ")
        half_body.sendall(f"POST /v1/streams HTTP/1.1\r\n{body}".encode())
        publisher.sendall(f"POST /v1/streams/demo/frames HTTP/1.1\r\n{live}".encode())
        started = time.monotonic()
        assert b"expected more of the body within 1 s" in read_until_closed(half_body, 3)
        for _ in range(3):  # a head sent byte by byte times out too
            time.sleep(0.3)
            half_head.send(b"x")
        assert read_until_closed(silent, 3) == b""
        received = read_until_closed(half_head, 3)
        assert received.startswith(b"HTTP/1.1 408 ")
        assert b"expected the head of a request within 2 s, got a part" in received
        assert 1.5 < time.monotonic() - started < 5
        publisher.sendall(b"0\r\n\r\n")
        publisher.settimeout(5)
        assert publisher.recv(100).startswith(b"HTTP/1.1 202 ")
