"""The viewer in a browser without WebRTC: the JPEG fallback."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage, Server

pytestmark = pytest.mark.browser

IMAGES = "window.telewarp?.stats().state === 'live' && window.telewarp.stats().way === 'pictures'"


def test_jpeg_frames_are_shown_where_webrtc_is_missing(
    fake_server: Server, open_page: OpenPage
) -> None:
    page = open_page("about:blank")
    page.add_init_script("delete window.RTCPeerConnection")
    page.goto(fake_server.address)
    page.wait_for_function(IMAGES, timeout=30_000)
    expect(page.locator("#way")).to_contain_text("Showing JPEG images")
    expect(page.locator("#notice")).to_be_hidden()
    page.evaluate("window.telewarp.setView({ yaw_rad: 0.3 })")
    page.wait_for_function("window.telewarp.stats().view_seq_shown > 1", timeout=10_000)
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("window.telewarp.stats().pose_to_photon_ms.count > 3", timeout=10_000)
