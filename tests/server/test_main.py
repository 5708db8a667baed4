"""The program as it is started: what it says, and how it ends."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx2
import pytest

from server.__main__ import main

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from server.__main__ import main
from server.app import pool_settings
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool

if __name__ == "__main__":
    fake = lambda settings: RenderPool(pool_settings(settings), FakeEngineFactory())
    sys.exit(main(sys.argv[1:], fake))
"""


def open_live_body(url: str) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/v1/streams/demo/frames")
    connection.putheader("Content-Type", "application/x-ndjson")
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    return connection


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_where_the_face_is_and_ends_cleanly_when_told(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "--port", "0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            found = re.fullmatch(
                r"Telewarp is showing the face at (http://127\.0\.0\.1:\d+)\n", said
            )
            assert found, said
            assert httpx2.get(f"{found[1]}/readyz").status_code == 200
            publisher = open_live_body(found[1])
            process.send_signal(number)
            assert publisher.getresponse().status == 202
            publisher.close()
            _, complaints = process.communicate(timeout=20)
        finally:
            process.kill()
    assert complaints == ""
    assert process.returncode == 0


def test_a_taken_port_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 1
    assert capsys.readouterr().err == (
        f"Telewarp cannot start: 127.0.0.1:{port} is taken by another program; "
        "choose another --port\n"
    )


def test_an_address_that_is_not_ours_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--host", "203.0.113.1", "--port", "0"]) == 1
    assert "cannot listen on 203.0.113.1:0" in capsys.readouterr().err


def test_a_wrong_setting_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--fps", "fast"]) == 1
    assert capsys.readouterr().err.startswith("Telewarp cannot start: fps: expected a valid number")
