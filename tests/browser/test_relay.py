"""The viewer in a real browser behind a network that only a TURN relay leads out of."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.conftest import CHROMIUM, CHROMIUM_ARGUMENTS
from tests.server.connectivity.relay import ADDRESS, divided_network

pytestmark = pytest.mark.browser

LIVE = "window.telewarp?.stats().state === 'live'"


def test_the_page_finds_the_relay_by_itself(tmp_path: Path) -> None:
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    with divided_network(tmp_path) as net, sync_playwright() as playwright:
        inside = tmp_path / "chromium.sh"
        inside.write_text(f'#!/bin/sh\nexec ip netns exec {net["viewer"].name} {CHROMIUM} "$@"\n')
        inside.chmod(0o755)
        with playwright.chromium.launch(
            executable_path=inside, args=list(CHROMIUM_ARGUMENTS)
        ) as browser:
            page = browser.new_page()
            page.goto(ADDRESS)
            page.wait_for_function(LIVE, timeout=30_000)
            page.evaluate("window.telewarp.setView({ yaw_rad: 0.3 })")
            page.wait_for_function("window.telewarp.stats().view_seq_shown > 1", timeout=10_000)
