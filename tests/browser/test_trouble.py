"""The viewer's error messages, and how it reconnects."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage, Server


pytestmark = pytest.mark.browser

LIVE = "window.telewarp?.stats().state === 'live'"


def expect_notice(page: Page, words: str) -> None:
    """Wait until the page's notice contains `words`."""
    expect(page.locator("#notice")).to_be_visible(timeout=15_000)
    expect(page.locator("#notice")).to_contain_text(words, timeout=15_000)


def test_a_page_reports_a_killed_server_and_reconnects(
    small_server: Server, open_page: OpenPage
) -> None:
    page = open_page(small_server.address)
    page.wait_for_function(LIVE, timeout=30_000)
    first = page.evaluate("window.telewarp.stats().session")
    small_server.kill()
    expect_notice(page, "The server is not answering")
    expect(page.get_by_role("button", name="Try now")).to_be_visible()
    small_server.start()
    page.wait_for_function(LIVE, timeout=30_000)
    expect(page.locator("#notice")).to_be_hidden()
    assert page.evaluate("window.telewarp.stats().session") != first
    page.evaluate("window.telewarp.setView({ yaw_rad: 0.3 })")
    page.wait_for_function(
        "window.telewarp.stats().view_seq_shown >= window.telewarp.stats().view_seq_sent - 1"
    )


def test_a_missing_stream_is_reported_and_shown_once_it_exists(
    fake_server: Server, open_page: OpenPage
) -> None:
    page = open_page(f"{fake_server.address}/?stream=not-yet")
    expect_notice(page, "There is no stream called “not-yet”")
    assert fake_server.call("/v1/streams", {"avatar": "default", "id": "not-yet"}).status == 201
    page.wait_for_function(LIVE, timeout=30_000)
    expect(page.locator("#stream-name")).to_have_text("not-yet")


def test_a_browser_without_webrtc_and_websockets_gets_an_error_message(
    fake_server: Server, open_page: OpenPage
) -> None:
    page = open_page("about:blank")
    page.add_init_script("delete window.RTCPeerConnection; delete window.WebSocket")
    page.goto(fake_server.address)
    expect_notice(page, "This browser is not supported")
    expect(page.get_by_role("button", name="Try now")).to_be_hidden()
