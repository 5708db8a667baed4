"""The viewer behind nginx with the example configuration, which serves it below a path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Server
from tests.docker.proxies import proxied

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage

pytestmark = pytest.mark.browser


def test_the_viewer_connects_leaves_and_reconnects_below_a_path(
    fake_server: Server, open_page: OpenPage, tmp_path: Path
) -> None:
    with proxied("nginx", fake_server.port, tmp_path) as address:
        page = open_page(address)
        page.wait_for_function("window.telewarp?.stats().state === 'live'", timeout=30_000)
        assert page.evaluate("window.telewarp.stats().way") == "webrtc"
        (session,) = fake_server.call("/v1/sessions").json
        page.reload()  # the page ends its session by the address in `Location`
        page.wait_for_function("window.telewarp?.stats().state === 'live'", timeout=30_000)
        (another,) = fake_server.call("/v1/sessions").json
        assert session["id"] != another["id"]
        page.goto(f"{address}docs")
        expect(page.get_by_role("heading", name="Telewarp")).to_be_visible(timeout=20_000)
        assert fake_server.call("/v1/sessions").json == []
