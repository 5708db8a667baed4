"""A real server with the shipped avatar, and pages of it in a real Chromium.

The browser has module scope: while it is open, Playwright's event loop runs in this thread, and
asyncio tests could not run.
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
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from scripts.benchmarking.chromium import CHROMIUM_FLAGS
from server.pool.process_tree import children
from tests.warm_python import Started, WarmPython

ROOT = Path(__file__).parents[2]
CHROMIUM = Path("/usr/bin/chromium")
FAKE_ENGINE = ("-m", "tests.server.network.fake_server", "--fps", "15")
"""Program of a server whose frames are flat greys, for pages whose images do not matter: it is
ready within a second or two, a real one within 10 to 35 s beside other tests. A page that shows
60 frames a second takes twice the processor time."""
DESKTOP = {"width": 1280, "height": 800}
_READY_S = 100.0
"""The first start compiles the kernels."""
_END_S = 15.0


class Response(NamedTuple):
    """Status and decoded JSON of a response."""

    status: int
    json: Any


class Server:
    """A server process that can be killed and restarted on the same port."""

    program: tuple[str, ...] = ("-m", "server")

    def __init__(self, python: WarmPython, log: Path, *arguments: str) -> None:
        self._python = python
        self.port = _free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._log = log
        self._arguments = arguments
        self._process: Started | None = None

    def start(self) -> None:
        """Start the process and wait until the server is ready to render."""
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
        """Kill the server process (SIGKILL)."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_END_S)

    def terminate(self) -> None:
        """Send SIGTERM to the server process without waiting."""
        assert self._process is not None
        self._process.terminate()

    def wait(self) -> int:
        """Wait until the process exits; return its exit code."""
        assert self._process is not None
        return self._process.wait(_END_S)

    def stop(self) -> None:
        """Stop the server with SIGINT, as Ctrl-C does."""
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def log(self) -> str:
        """The server's output so far."""
        return self._log.read_text()

    def worker_pids(self) -> set[int]:
        """PIDs of the render workers: the spawned child processes of the server."""
        assert self._process is not None
        return {pid for pid in children(self._process.pid) if b"spawn_main" in _command(pid)}

    def call(self, path: str, body: object = None) -> Response:
        """GET a path, or POST a JSON body to it."""
        request = urllib.request.Request(
            self.address + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return Response(response.status, json.load(response))
        except urllib.error.HTTPError as exc:
            with exc:
                return Response(exc.code, json.load(exc))

    def _ready(self) -> bool:
        try:
            return self.call("/readyz").status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


@contextmanager
def running(server: Server) -> Iterator[Server]:
    """Start a server, and stop it in the end, also where it did not become ready."""
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, warm_python: WarmPython) -> Iterator[Server]:
    """A server with default settings, except for the session limit: the machine is shared."""
    log = tmp_path_factory.mktemp("server") / "log.txt"
    with running(Server(warm_python, log, "--max-sessions", "8")) as server:
        yield server


@pytest.fixture(scope="session")
def fake_server(
    tmp_path_factory: pytest.TempPathFactory, warm_python: WarmPython
) -> Iterator[Server]:
    """A server with the fake engine, for tests that do not look at its images."""
    log = tmp_path_factory.mktemp("fake-server") / "log.txt"
    server = Server(warm_python, log, "--max-sessions", "8")
    server.program = FAKE_ENGINE
    with running(server):
        yield server


@pytest.fixture
def small_server(tmp_path: Path, warm_python: WarmPython) -> Iterator[Server]:
    """A separate server with the fake engine and a session limit of one."""
    server = Server(warm_python, tmp_path / "log.txt", "--max-sessions", "1")
    server.program = FAKE_ENGINE
    with running(server):
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium with a fresh profile."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


def leave(*pages: Page) -> None:
    """Let pages end their sessions; those of a closed browser end only when they time out."""
    for page in pages:
        page.close()


OpenPage = Callable[..., Page]


@pytest.fixture
def open_page(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[OpenPage]:
    """Open pages, each in its own browser context; none may have raised an error at teardown."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(address: str, **options: Any) -> Page:
        # `wait_for_function` uses `eval`, which the page's Content-Security-Policy forbids.
        # Chromium renders in software here: any animation of the page needs a whole core.
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
    """Mark a failed test, so that screenshots are saved before its pages are closed."""
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


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:  # the process has just exited
        return b""
