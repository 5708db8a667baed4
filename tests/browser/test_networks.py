"""The viewer in a real browser, in networks made of Linux network namespaces.

Each test starts its own browser, inside its namespace.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from scripts.benchmarking.chromium import CHROMIUM_FLAGS
from tests.browser.conftest import CHROMIUM, FAKE_ENGINE
from tests.server.network.network import (
    Namespace,
    connect_namespaces,
    namespaces,
    python,
    require_namespaces,
    wait_for,
)
from tests.server.network.relay import ADDRESS, divided_network

pytestmark = pytest.mark.browser

SHOWN_BY = "window.telewarp?.stats().state === 'live' && window.telewarp.stats().way === '{}'"
IMAGES, VIDEO = SHOWN_BY.format("pictures"), SHOWN_BY.format("webrtc")
QUEUED = "window.telewarp?.stats().state === 'in-line'"
DROP_UDP = ("PREROUTING", "-t", "raw", "-p", "udp", "-j", "DROP")


@contextmanager
def page_in(namespace: Namespace, folder: Path) -> Iterator[Page]:
    """Open an empty page in a browser that runs in `namespace`."""
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=namespace.wrap(CHROMIUM, folder), args=CHROMIUM_FLAGS
        ) as browser,
    ):
        yield browser.new_page(bypass_csp=True)


def turn_view(page: Page, yaw_rad: float) -> None:
    """Turn the view, and wait until a frame shows it."""
    page.evaluate("yaw_rad => window.telewarp.setView({ yaw_rad })", yaw_rad)
    page.wait_for_function("window.telewarp.stats().view_seq_shown > 1", timeout=10_000)


@pytest.fixture(autouse=True)
def chromium() -> None:
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")


def test_the_page_connects_through_the_relay_of_its_server(tmp_path: Path) -> None:
    with divided_network(tmp_path) as net, page_in(net["viewer"], tmp_path) as page:
        page.goto(ADDRESS)
        page.wait_for_function(VIDEO, timeout=60_000)
        turn_view(page, yaw_rad=0.3)


def test_jpeg_frames_are_shown_while_udp_is_blocked_and_video_afterwards(tmp_path: Path) -> None:
    require_namespaces()
    if shutil.which("iptables") is None:
        pytest.skip("no `iptables` program: apt-get install iptables")
    log = tmp_path / "server.txt"
    fake_server = python(*FAKE_ENGINE)
    options = ("--host", "10.77.3.1", "--insecure", "--workers", "1")
    with namespaces("viewer", "server") as net:
        connect_namespaces(net["viewer"], "10.77.3.2", net["server"], "10.77.3.1")
        net["server"].run("iptables", "-A", *DROP_UDP)
        with (
            net["server"].running(log, *fake_server, *options),
            page_in(net["viewer"], tmp_path) as page,
        ):
            wait_for(log, "showing the face")
            page.goto("http://10.77.3.1:8000")
            page.wait_for_function(IMAGES, timeout=30_000)
            expect(page.locator("#way")).to_contain_text("Showing JPEG images")
            turn_view(page, yaw_rad=0.3)
            net["server"].run("iptables", "-D", *DROP_UDP)
            page.evaluate("window.dispatchEvent(new Event('online'))")
            page.wait_for_function(VIDEO, timeout=60_000)
            expect(page.locator("#way")).to_be_hidden()
            turn_view(page, yaw_rad=-0.3)


def test_a_queued_viewer_without_udp_keeps_its_queue_position(tmp_path: Path) -> None:
    require_namespaces()
    if shutil.which("iptables") is None:
        pytest.skip("no `iptables` program: apt-get install iptables")
    log = tmp_path / "server.txt"
    fake_server = python(*FAKE_ENGINE)
    options = ("--host", "10.77.4.1", "--insecure", "--workers", "1", "--max-sessions", "1")
    with namespaces("viewer", "server") as net:
        connect_namespaces(net["viewer"], "10.77.4.2", net["server"], "10.77.4.1")
        net["server"].run("iptables", "-A", *DROP_UDP)
        with (
            net["server"].running(log, *fake_server, *options),
            page_in(net["viewer"], tmp_path) as first,
        ):
            wait_for(log, "showing the face")
            browser = first.context.browser
            assert browser is not None
            second, third = (browser.new_page(bypass_csp=True) for _ in range(2))
            for page, seen in ((first, IMAGES), (second, QUEUED), (third, QUEUED)):
                page.goto("http://10.77.4.1:8000")
                page.wait_for_function(seen, timeout=30_000)
            first.close()
            second.wait_for_function(IMAGES, timeout=30_000)  # after WebRTC has failed
            assert third.evaluate(QUEUED)
            second.close()
            third.wait_for_function(IMAGES, timeout=30_000)
