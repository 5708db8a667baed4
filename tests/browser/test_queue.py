"""The viewer of a full server, of one that shuts down, and behind a switch of servers.

The fake engine renders the frames, so that servers start fast.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import FAKE_ENGINE, Server
from tests.warm_python import WarmPython

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.browser

LIVE = "window.telewarp?.stats().state === 'live'"

StartServer = Callable[..., Server]


@pytest.fixture
def start_server(tmp_path: Path, warm_python: WarmPython) -> Iterator[StartServer]:
    """Start servers with the fake engine."""
    servers: list[Server] = []

    def start(*arguments: str) -> Server:
        server = Server(warm_python, tmp_path / f"log{len(servers)}.txt", *arguments)
        server.program = FAKE_ENGINE
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()


def wait_until_live(page: Page) -> None:
    page.wait_for_function(LIVE, timeout=30_000)


def expect_title(page: Page, words: str) -> None:
    expect(page.locator("#notice h2")).to_have_text(words, timeout=15_000)


def test_viewers_of_a_full_server_see_their_queue_position_and_are_admitted_in_order(
    start_server: StartServer, open_page: OpenPage, tmp_path: Path
) -> None:
    server = start_server("--max-sessions", "1")
    first = open_page(server.address)
    wait_until_live(first)
    second = open_page(server.address)
    expect_title(second, "You are next in the queue")
    third = open_page(server.address)
    expect_title(third, "You are number 2 in the queue")
    expect(third.locator("[data-countdown]")).to_have_text("2 viewers are waiting")
    expect(third.get_by_role("button", name="Try now")).to_be_hidden()
    third.screenshot(path=tmp_path / "in-line.png")
    first.goto("about:blank")
    wait_until_live(second)
    expect_title(third, "You are next in the queue")
    second.goto("about:blank")
    wait_until_live(third)
    expect(third.locator("#notice")).to_be_hidden()


def test_viewers_move_up_when_another_leaves_the_queue(
    start_server: StartServer, open_page: OpenPage
) -> None:
    server = start_server("--max-sessions", "1")
    first = open_page(server.address)
    wait_until_live(first)
    second, third = open_page(server.address), open_page(server.address)
    expect_title(second, "You are next in the queue")
    expect_title(third, "You are number 2 in the queue")
    second.goto("about:blank")
    expect_title(third, "You are next in the queue")


def test_a_jpeg_viewer_queues_and_is_admitted(
    start_server: StartServer, open_page: OpenPage
) -> None:
    server = start_server("--max-sessions", "1")
    first = open_page(server.address)
    wait_until_live(first)
    page = open_page("about:blank")
    page.add_init_script("delete window.RTCPeerConnection")
    page.goto(server.address)
    expect_title(page, "You are next in the queue")
    first.goto("about:blank")
    wait_until_live(page)
    assert page.evaluate("window.telewarp.stats().way") == "pictures"


def test_a_full_queue_is_reported_and_retried(
    start_server: StartServer, open_page: OpenPage
) -> None:
    server = start_server("--max-sessions", "1", "--max-queue-length", "0")
    first = open_page(server.address)
    wait_until_live(first)
    second = open_page(server.address)
    expect_title(second, "The server is full")
    first.goto("about:blank")
    second.get_by_role("button", name="Try now").click()
    wait_until_live(second)


def test_viewers_are_notified_of_a_shutdown_and_reconnect(
    start_server: StartServer, open_page: OpenPage, tmp_path: Path
) -> None:
    server = start_server("--drain-timeout-s", "6")
    watching = open_page(server.address)
    wait_until_live(watching)
    server.terminate()
    expect(watching.locator("#ending")).to_contain_text("The server is shutting down soon")
    watching.screenshot(path=tmp_path / "going-down.png")
    late = open_page(server.address)
    expect_title(late, "The server is shutting down")
    late.screenshot(path=tmp_path / "came-late.png")
    assert watching.evaluate(LIVE), "frames continue until the server exits"
    assert server.wait() == 0
    expect_title(watching, "The server is not answering")
    server.start()
    wait_until_live(watching)
    expect(watching.locator("#ending")).to_be_hidden()


def test_a_viewer_moves_to_another_server_before_its_own_has_stopped(
    start_server: StartServer, open_page: OpenPage
) -> None:
    old, new = start_server("--drain-timeout-s", "30"), start_server()
    with Switch(old.port) as switch:
        page = open_page(f"http://127.0.0.1:{switch.port}")
        wait_until_live(page)
        assert old.call("/readyz").json["sessions"] == 1
        session = page.evaluate("window.telewarp.stats().session")
        old.terminate()
        expect(page.locator("#ending")).not_to_be_empty()
        switch.target = new.port
        page.wait_for_function(
            f"window.telewarp.stats().session !== '{session}' && {LIVE}", timeout=15_000
        )
        assert new.call("/readyz").json["sessions"] == 1
        # The page's DELETE of its old session went to the new server, which does not know it. The
        # old server ends the session without it, as it receives no more keepalives.
        assert old.wait() == 0


class Switch:
    """Forwards each new TCP connection to the current target server."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]

    def __enter__(self) -> Switch:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.target))
                except OSError:  # the old server has stopped
                    client.close()
                    continue
                for source, sink in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=(source, sink), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        """Forward one response per connection; the browser would reuse one to the old server."""
        with suppress(OSError), source, sink:
            while data := source.recv(65536):
                sink.sendall(data.replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\nConnection: close\r\n", 1))
            sink.shutdown(socket.SHUT_RDWR)
