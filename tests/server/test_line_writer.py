"""Logging never blocks the server, whatever happens to the output."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect

from server.line_writer import LineWriter
from server.logs import JsonLines, LineHandler
from tests.warm_python import WarmPython


@dataclass
class Pipe:
    """A pipe of 4 kB; `writer` may be given to a process as its standard output or error."""

    reader: int
    writer: io.TextIOWrapper

    def read(self) -> str:
        """Wait for data in the pipe and return it."""
        return os.read(self.reader, 1 << 20).decode()


@contextmanager
def small_pipe() -> Iterator[Pipe]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with open(writer, "w") as opened:
        yield Pipe(reader, opened)


def logger_to(writer: LineWriter) -> logging.Logger:
    handler = LineHandler(writer)
    handler.setFormatter(JsonLines())
    logger = logging.Logger("part", logging.INFO)
    logger.addHandler(handler)
    return logger


def test_lines_keep_their_order_and_are_written_after_a_flush() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    for number in range(500):
        writer.write(f"line {number}")
    writer.flush()
    assert stream.getvalue().splitlines() == [f"line {number}" for number in range(500)]
    assert writer.lost == 0


@pytest.mark.alone
def test_a_full_pipe_blocks_no_caller_and_the_number_of_missing_lines_is_logged_later() -> None:
    with small_pipe() as pipe:
        writer = LineWriter(pipe.writer)
        logger = logger_to(writer)
        logger.info("x" * 5000)  # more than the capacity of the pipe
        while not writer._lines.empty():
            time.sleep(0.001)
        began = time.monotonic()
        for number in range(5000):
            logger.info("number %d", number)
        assert time.monotonic() - began < 2
        assert writer.lost == 4000
        text = ""
        while text.count("\n") < 1001:
            text += pipe.read()
        assert '"number 999"' in text.splitlines()[-1]
        writer.flush()
        logger.info("again")
        writer.flush()
        notice, again = (json.loads(line)["message"] for line in pipe.read().splitlines())
        assert (notice, again) == ("4000 lines of the log could not be written", "again")


def test_lines_for_a_closed_stream_are_counted_and_not_retried_forever() -> None:
    for stream in (None, io.StringIO()):
        writer = LineWriter(stream)
        if stream is not None:
            stream.close()
        logger = logger_to(writer)
        for _ in range(10):
            logger.warning("hello")
        writer.flush()
        assert writer.lost == 10


def test_a_record_with_wrong_arguments_is_still_logged() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    logger_to(writer).warning("%d viewers", "many")
    writer.flush()
    assert stream.getvalue() == "WARNING part: '%d viewers' with ('many',)\n"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def lost_lines(url: str) -> float:
    families = text_string_to_metric_families(httpx2.get(f"{url}/metrics").text)
    (found,) = (f for f in families if f.name == "telewarp_lost_log_lines")
    return found.samples[0].value


@pytest.mark.parametrize("log", ["full pipe", "closed pipe", "full disk"])
def test_the_server_serves_and_exits_while_its_log_output_is_blocked(
    log: str, warm_python: WarmPython
) -> None:
    port = free_port()
    options = ["--port", str(port), "--workers", "1", "--max-sessions", "2", "--log-level", "debug"]
    with small_pipe() as pipe, open("/dev/full", "w") as full:
        out = full if log == "full disk" else pipe.writer
        if log == "closed pipe":
            os.close(pipe.reader)
        program = ("-m", "tests.server.network.fake_server", *options)
        server = warm_python.start(*program, stdout=out, stderr=out)
        try:
            url = f"http://127.0.0.1:{port}"
            wait_until_ready(url)
            with connect(f"ws://127.0.0.1:{port}/v1/streams/demo/pictures") as viewer:
                shown = 0
                while shown < 20:
                    said = viewer.recv(5)
                    if isinstance(said, bytes):
                        shown += 1
                        viewer.send(json.dumps({"type": "shown", "picture": shown}))
            assert httpx2.get(f"{url}/readyz").json()["problems"] == []
            if log != "full pipe":  # lines queue there first
                assert lost_lines(url) > 10
            server.send_signal(signal.SIGTERM)
            assert server.wait(15) == 0
        finally:
            server.kill()


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            if httpx2.get(f"{url}/readyz", timeout=2).status_code == 200:
                return
        except httpx2.TransportError:
            pass
        assert time.monotonic() < deadline
        time.sleep(0.05)
