"""The viewer in a headset emulated by IWER: one view and one session per eye."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageStat
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, OpenPage, Server
from tests.browser.test_camera import wait_until

IWER = ROOT / "tests" / "client_web" / "node_modules" / "iwer" / "build" / "iwer.min.js"
INSTALL_HEADSET = """
window.device = new IWER.XRDevice(IWER.metaQuest3, { stereoEnabled: true });
device.installRuntime({ forceInstall: true });
"""
HALF_IPD_M = 0.0315


def headset(page: Page) -> dict[str, Any] | None:
    stats: dict[str, Any] | None = page.evaluate("window.telewarp.stats().headset")
    return stats


def eyes(page: Page) -> list[float | None]:
    """Per eye, the x position for which its displayed frame was rendered, metres."""
    stats = headset(page)
    positions = stats["displayed_eyes_m"] if stats else [None, None]
    return [round(position[0], 4) if position else None for position in positions]


def brightness(page: Page, folder: Path) -> list[float]:
    """Mean brightness in the middle of each eye's image, 0..255."""
    image = Image.open(io.BytesIO(page.screenshot(path=folder / "eyes.png"))).convert("L")
    width, height = image.size
    boxes = [
        (x - 30, height // 2 - 30, x + 30, height // 2 + 30) for x in (width // 4, width * 3 // 4)
    ]
    return [ImageStat.Stat(image.crop(box)).mean[0] for box in boxes]


def test_each_eye_gets_frames_for_its_own_position(
    server: Server, open_page: OpenPage, tmp_path: Path
) -> None:
    if not IWER.exists():
        pytest.skip("IWER is not installed: scripts/check_client.sh installs it")
    page = open_page("about:blank")
    page.add_init_script(path=IWER)
    page.add_init_script(INSTALL_HEADSET)
    page.goto(server.address)
    page.wait_for_function("window.telewarp?.stats().state === 'live'", timeout=30_000)
    page.locator("#headset-button").click()
    wait_until(page, lambda: eyes(page) == [-HALF_IPD_M, HALF_IPD_M])
    # The session of an earlier test's page may last a few seconds longer.
    wait_until(page, lambda: len(server.call("/v1/sessions").json) == 2)
    assert all(mean > 20 for mean in brightness(page, tmp_path))

    page.evaluate("device.position.x += 0.15")
    wait_until(page, lambda: eyes(page) == [0.15 - HALF_IPD_M, 0.15 + HALF_IPD_M])

    page.evaluate("document.querySelector('#headset-button').click()")
    wait_until(page, lambda: len(server.call("/v1/sessions").json) == 1)
    assert headset(page) is None
    expect(page.locator("#headset-button")).to_have_attribute("aria-pressed", "false")
    wait_until(page, lambda: page.evaluate("telewarp.stats().displayed_eye_m[0]") == 0)


def test_the_headset_button_is_hidden_without_a_headset(page: Page) -> None:
    expect(page.locator("#headset-button")).to_be_hidden()
