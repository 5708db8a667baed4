"""The real server with the avatar that ships, and a real Chromium to look at it with.

The browser lives no longer than a module: while it does, its event loop is the running one of this
thread, and no asyncio test could run.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.warm_python import Started, WarmPython

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
CHROMIUM_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP = {"width": 1280, "height": 800}
_READY_S = 100.0
"""A first start compiles its kernels."""
_END_S = 15.0


class Answer(NamedTuple):
    """What the server answered."""

    status: int
    json: Any


class Server:
    """A server in a process of its own, which can be killed and started again on its port."""

    program: tuple[str, ...] = ("-m", "server")

    def __init__(self, python: WarmPython, log: Path, *arguments: str) -> None:
        self._python = python
        self.port = _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._arguments = arguments
        self._process: Started | None = None

    def start(self) -> None:
        """Start it and wait until it can render."""
        with self._log.open("ab") as log:
            self._process = self._python.start(
                *(*self.program, "--port", self.port, *self._arguments),
                environment={**os.environ, "OMP_NUM_THREADS": "1"},
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + _READY_S
        while not self._ready():
            assert self._process.poll() is None, f"the server ended:\n{self._log.read_text()}"
            assert time.monotonic() < deadline, f"not ready:\n{self._log.read_text()}"
            time.sleep(0.2)

    def kill(self) -> None:
        """End it without letting it say goodbye."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_END_S)

    def terminate(self) -> None:
        """Tell it to end, and do not wait."""
        assert self._process is not None
        self._process.terminate()

    def wait(self) -> int:
        """Wait for its end; its exit code."""
        assert self._process is not None
        return self._process.wait(_END_S)

    def stop(self) -> None:
        """End it as Ctrl-C does."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def log(self) -> str:
        """What it has said so far."""
        return self._log.read_text()

    def worker_pids(self) -> set[int]:
        """The render processes, found as the server's spawned children."""
        assert self._process is not None
        return {pid for pid in _children(self._process.pid) if b"spawn_main" in _command(pid)}

    def call(self, path: str, body: object = None) -> Answer:
        """GET a path, or POST a JSON body to it."""
        request = urllib.request.Request(
            self.address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return Answer(response.status, json.load(response))
        except urllib.error.HTTPError as exc:
            with exc:
                return Answer(exc.code, json.load(exc))

    def _ready(self) -> bool:
        try:
            return self.call("/readyz").status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, warm_python: WarmPython) -> Iterator[Server]:
    """A server with the settings anyone gets, but for the places: this machine is shared."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    server = Server(warm_python, log, "--max-sessions", "8")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def small_server(tmp_path: Path, warm_python: WarmPython) -> Iterator[Server]:
    """A server of its own with a single seat."""
    server = Server(warm_python, tmp_path / "log.txt", "--max-sessions", "1")
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium with a fresh profile."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(CHROMIUM_ARGUMENTS)
        )
        yield browser
        browser.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[OpenPage]:
    """Open pages, each in a context of its own; none may have raised an error in the end."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(address: str, **options: Any) -> Page:
        # Playwright waits by `eval` in the page, which the page's policy forbids.
        # Chromium, which draws in software here, needs a whole core for any animation of the page.
        defaults = {"viewport": DESKTOP, "bypass_csp": True, "reduced_motion": "reduce"}
        context = browser.new_context(**{**defaults, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        return page

    yield open_page
    for number, context in enumerate(contexts):
        if request.node.stash.get(_FAILED, False):
            context.pages[0].screenshot(path=tmp_path / f"page{number}.png")
        context.close()
    assert errors == []


@pytest.fixture
def page(server: Server, open_page: OpenPage) -> Page:
    """The viewer, showing stream `demo`."""
    page = open_page(server.address)
    page.wait_for_function("window.telewarp?.stats().state === 'live'", timeout=30_000)
    return page


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Remember a failed test until its pages are closed, so that they leave an image behind."""
    report = yield
    if report.when == "call" and report.failed and isinstance(item, pytest.Function):
        item.stash[_FAILED] = True
        report.sections.append(("pages", f"screenshots lie in {item.funcargs.get('tmp_path')}"))
    return report


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").glob("*/children")  # each thread lists its own
    return [int(child) for thread in threads for child in thread.read_text().split()]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:  # it has just ended
        return b""
