"""Every example runs with the command in its first lines, against a real server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from scripts.benchmarking.chromium import CHROMIUM_FLAGS
from tests.browser.conftest import CHROMIUM, Server
from tests.warm_python import WarmPython

EXAMPLES = Path(__file__).parents[2] / "scripts" / "examples"
DEFAULT_ADDRESS = re.compile(r"http://127\.0\.0\.1:8000")
LIMIT_S = 60


class Site:
    """A web site with another origin than the server."""

    def __init__(self, folder: Path) -> None:
        class Quiet(SimpleHTTPRequestHandler):
            def log_message(self, format: str, *args: object) -> None: ...

        self._folder = folder
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()
        self.origin = f"http://127.0.0.1:{self._http.server_port}"

    def put(self, name: str, text: str) -> str:
        (self._folder / name).write_text(text)
        return f"{self.origin}/{name}"

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, site: Site, warm_python: WarmPython
) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("server") / "log.txt"
    server = Server(warm_python, log, "--max-sessions", "4", "--allowed-origins", site.origin)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def run(*command: str | Path) -> str:
    """Run an example; return its standard output."""
    environment = {name: value for name, value in os.environ.items() if name != "TELEWARP_TOKEN"}
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=LIMIT_S, env=environment, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_python_example_publishes_a_streaming_request(server: Server) -> None:
    output = run(
        *(sys.executable, EXAMPLES / "publish_python.py", "--url", server.address),
        *("--stream", "python", "--seconds", "1"),
    )
    assert f"{server.address}/?stream=python" in output
    assert "'accepted': 30, 'dropped': 0, 'last_seq': 29" in output
    assert server.call("/v1/streams/python").status == 404, (
        "the example deletes its stream at the end"
    )


def test_the_node_example_publishes_a_streaming_request(server: Server) -> None:
    output = run("node", EXAMPLES / "publish_node.mjs", server.address, "node", "1")
    assert f"{server.address}/?stream=node" in output
    assert "accepted: 30, dropped: 0, last_seq: 29" in output
    assert server.call("/v1/streams/node").status == 404


def test_the_curl_example_publishes_frames_and_a_streaming_request(server: Server) -> None:
    output = run(EXAMPLES / "publish_curl.sh", server.address, "curl", "1")
    assert '{"accepted":2,"dropped":0,"last_seq":1}' in output
    assert '{"accepted":10,"dropped":0,"last_seq":11}' in output
    assert server.call("/v1/streams/curl").status == 404


def test_the_curl_example_sends_each_line_immediately(server: Server) -> None:
    with subprocess.Popen(
        [EXAMPLES / "publish_curl.sh", server.address, "lines", "2"],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for _ in range(3):  # until the server has answered the first two frames
            process.stdout.readline()
        counts = set()
        while process.poll() is None:
            response = server.call("/v1/streams/lines")
            if response.status == 200:
                counts.add(response.json["accepted"])
    assert process.returncode == 0
    assert len(counts) > 4, counts


def test_the_whep_example_counts_frames_and_saves_one(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "last.png"
    arguments = ["--url", server.address, "--frames", "20", "--save", str(file)]
    # On a machine without a network, aioice offers no candidate without this fallback.
    code = (
        "import runpy, sys\n"
        "from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback\n"
        "enable_loopback_fallback()\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')\n"
    )
    start = f"import sys; sys.argv = sys.argv[1:]\n{code}"
    output = run(sys.executable, "-c", start, EXAMPLES / "watch_whep.py", *arguments)
    assert re.fullmatch(r"20 frames of 320x320 in \d+\.\d s\n", output)
    with Image.open(file) as image:
        assert image.size == (320, 320)
        levels = np.asarray(image.convert("L"))
        assert levels.max() - levels.min() > 100, "the frame has contrast, as a face has"
    assert server.call("/v1/sessions").json == [], "the example ends its session"


@pytest.fixture
def page() -> Iterator[Page]:
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        # Without `bypass_csp`: the Content-Security-Policies of the pages are tested.
        yield browser.new_page()
        browser.close()


def embedding(server: Server) -> str:
    text, count = DEFAULT_ADDRESS.subn(server.address, (EXAMPLES / "embed.html").read_text())
    assert count == 1
    return text


@pytest.mark.browser
def test_a_page_of_an_allowed_origin_embeds_the_viewer(
    server: Server, site: Site, page: Page
) -> None:
    page.goto(site.put("embed.html", embedding(server)))
    viewer = page.frame_locator("iframe").locator("body[data-state=live]")
    viewer.wait_for(state="attached", timeout=30_000)
    video = page.frame_locator("iframe").locator("video")
    assert video.evaluate("(video) => video.videoWidth") == 320


@pytest.mark.browser
def test_a_page_of_another_origin_cannot_embed_the_viewer(
    server: Server, site: Site, page: Page
) -> None:
    messages: list[str] = []
    page.on("console", lambda message: messages.append(message.text))
    address = site.put("stranger.html", embedding(server))
    page.goto(address.replace("127.0.0.1", "localhost"))
    page.wait_for_timeout(500)
    assert any("frame-ancestors" in text for text in messages), messages
    assert all("telewarp" not in (frame.title() or "").lower() for frame in page.frames[1:])
