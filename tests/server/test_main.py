"""The server program: its output, signals and exit."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from server.command import main
from tests.server.fake_program import running, source, starting

PROGRAM = source()
PROGRAM_THAT_LOSES_ITS_GPU = source(
    """
import signal
LOST = set()
signal.signal(signal.SIGUSR1, lambda *_: LOST.add("cuda:0"))
""",
    'FakeEngineFactory(device_names=("cuda:0",), rebuilds=False, lost=LOST)',
)


def open_live_body(url: str) -> http.client.HTTPConnection:
    """Open a live body and send a frame; return once the server has accepted it."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/v1/streams/demo/frames")
    connection.putheader("Content-Type", "application/x-ndjson")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    line = b'{"seq": 1, "expression": {"jawOpen": 0.5}}\n'
    connection.send(b"%x\r\n%s\r\n" % (len(line), line))
    deadline = time.monotonic() + 10
    while not httpx2.get(f"{url}/v1/streams/demo").json()["accepted"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return connection


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_prints_its_address_and_exits_cleanly_on_sigterm(number: signal.Signals) -> None:
    with running(PROGRAM) as program:
        found = re.fullmatch(
            r"Telewarp is showing the face at (http://127\.0\.0\.1:\d+)\n", program.said
        )
        assert found, program.said
        answer = httpx2.get(f"{found[1]}/readyz")
        assert answer.status_code == 200
        assert "server" not in answer.headers, "the header would reveal the software"
        publisher = open_live_body(found[1])
        program.process.send_signal(number)
        assert publisher.getresponse().status == 202
        publisher.close()
        _, errors = program.process.communicate(timeout=20)
    assert errors == ""
    assert program.process.returncode == 0


class Program:
    """The program with the fake engine, and one viewer of the JPEG fallback."""

    def __init__(self, process: subprocess.Popen[str], url: str, viewer: ClientConnection) -> None:
        self.process = process
        self.url = url
        self.viewer = viewer

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield the events for the viewer, and acknowledge every image."""
        while True:
            said = self.viewer.recv(10)
            if isinstance(said, str):
                event = json.loads(said)
                yield event
                if event["type"] == "frame":
                    shown = {"type": "shown", "picture": event["picture"]}
                    self.viewer.send(json.dumps(shown))

    def wait_for_draining(self) -> dict[str, Any]:
        return next(event for event in self.events() if event["type"] == "draining")

    def ends_within(self, seconds: float) -> str:
        """Wait for its exit; return its standard error."""
        _, errors = self.process.communicate(timeout=seconds)
        assert self.process.returncode == 0
        return errors


@contextmanager
def watched_program(drain_timeout_s: float) -> Iterator[Program]:
    with running(PROGRAM, "--drain-timeout-s", str(drain_timeout_s), group=0) as started:
        address = started.url.replace("http", "ws") + "/v1/streams/demo/pictures"
        with connect(address) as viewer:
            program = Program(started.process, started.url, viewer)
            assert next(program.events())["type"] == "session"
            yield program


def test_on_sigterm_the_server_admits_no_viewers_and_waits_for_those_connected() -> None:
    with watched_program(drain_timeout_s=60) as program:
        program.process.send_signal(signal.SIGTERM)
        told = program.wait_for_draining()
        assert 50 < told["ends_in_s"] <= 60
        ready = httpx2.get(f"{program.url}/readyz")
        assert ready.status_code == 503
        assert ready.json()["detail"] == "the server is shutting down; 1 viewers are left"
        refused = httpx2.post(
            f"{program.url}/v1/streams/demo/whep",
            content=b"v=0",
            headers={"Content-Type": "application/sdp"},
        )
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        assert refused.json()["reason"] == "draining"
        queue = httpx2.post(f"{program.url}/v1/streams/demo/queue")
        assert (queue.status_code, queue.json()["reason"]) == (503, "draining")
        assert httpx2.get(f"{program.url}/healthz").status_code == 200
        assert program.wait_for_draining()["ends_in_s"] < told["ends_in_s"]
        assert program.process.poll() is None
        program.viewer.close()
        assert program.ends_within(10) == ""


def test_a_signal_to_the_process_group_does_not_end_the_workers_of_viewers() -> None:
    with watched_program(drain_timeout_s=60) as program:
        os.killpg(program.process.pid, signal.SIGTERM)
        program.wait_for_draining()
        metrics = httpx2.get(f"{program.url}/metrics").text
        assert 'telewarp_worker_up{device="cpu",worker="cpu-0"} 1.0' in metrics
        assert 'telewarp_worker_restarts_total{device="cpu",worker="cpu-0"} 0.0' in metrics
        program.viewer.close()
        assert program.ends_within(10) == ""


def test_viewers_that_stay_past_the_drain_timeout_are_disconnected() -> None:
    with watched_program(drain_timeout_s=1) as program:
        program.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            list(program.events())
        assert "shutting down with 1 viewers still connected" in program.ends_within(10)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_second_sigterm_ends_the_server_at_once(number: signal.Signals) -> None:
    with watched_program(drain_timeout_s=60) as program:
        program.process.send_signal(signal.SIGTERM)
        program.wait_for_draining()
        program.process.send_signal(number)
        program.ends_within(10)


def test_ctrl_c_ends_the_server_at_once() -> None:
    with watched_program(drain_timeout_s=60) as program:
        program.process.send_signal(signal.SIGINT)
        program.ends_within(10)


def test_json_logs_have_one_object_per_line_with_the_ids_it_concerns() -> None:
    with starting(PROGRAM, "--log-format", "json", "--log-level", "info") as process:
        assert process.stderr is not None
        said: list[dict[str, str]] = []
        while not said or "showing the face at" not in said[-1]["message"]:
            said.append(json.loads(process.stderr.readline()))
        url = said[-1]["message"].split()[-1]
        address = url.replace("http", "ws") + "/v1/streams/demo/pictures"
        with connect(address) as viewer:
            session = json.loads(viewer.recv(10))["id"]
        process.send_signal(signal.SIGTERM)
        printed, rest = process.communicate(timeout=20)
    assert printed == ""
    said += [json.loads(line) for line in rest.splitlines()]
    assert all(line.keys() >= {"time", "level", "logger", "message"} for line in said)
    about = {line["message"]: line for line in said if line.get("session") == session}
    assert f"session {session} watches stream demo" in about
    assert f"session {session} has ended" in about
    assert {line["stream"] for line in about.values()} == {"demo"}
    (ready,) = (line for line in said if "is ready" in line["message"])
    assert (ready["worker"], ready["level"]) == ("cpu-0", "info")


def test_a_server_that_loses_its_only_gpu_exits_so_that_another_can_use_it() -> None:
    with running(PROGRAM_THAT_LOSES_ITS_GPU, "--warp-in", "thread") as program:
        program.process.send_signal(signal.SIGUSR1)
        assert httpx2.get(f"{program.url}/metrics").status_code == 200  # queries its memory
        _, errors = program.process.communicate(timeout=20)
    assert program.process.returncode == 1
    assert "no device can be used by this process any more, ending: cuda:0: " in errors
    assert "illegal memory access" in errors


def test_a_port_in_use_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert capsys.readouterr().err == (
        f"Telewarp cannot start: 127.0.0.1:{port} is taken by another program; "
        "choose another --port\n"
    )


def test_an_address_of_another_machine_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "203.0.113.1", "--port", "0"]) == 1
    assert "cannot listen on 203.0.113.1:0" in capsys.readouterr().err


def test_a_wrong_setting_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--fps", "fast"]) == 1
    assert capsys.readouterr().err.startswith("Telewarp cannot start: fps: expected a valid number")


def test_a_former_name_of_an_option_is_accepted_and_logged() -> None:
    with running(PROGRAM, "--grace-s", "0", group=0) as started:
        started.process.send_signal(signal.SIGTERM)
        _, errors = started.process.communicate(timeout=10)
    assert started.process.returncode == 0
    (line,) = errors.splitlines()
    assert line.endswith("--grace-s is now called --drain-timeout-s; use the new name")
