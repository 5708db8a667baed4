"""A call of two pages in one Chromium: one with a camera, one without.

Server and browser are real except for the renderer, which needs more processor time than two pages
and a face tracker leave.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from scripts.benchmarking.chromium import CHROMIUM_FLAGS
from scripts.benchmarking.fake_camera import camera_flags, write_y4m
from scripts.install_tracker import FOLDER, MODELS, PROGRAM, missing
from server.settings import Settings
from tests.browser.conftest import CHROMIUM
from tests.browser.test_camera import wait_until
from tests.server.conftest import serving

pytestmark = pytest.mark.skipif(
    bool(missing(FOLDER, {**PROGRAM, **MODELS})),
    reason="the face tracker is not installed: .venv/bin/python scripts/install_tracker.py",
)

PREVIEW = Path(__file__).parents[2] / "client_web" / "preview.jpg"
"""A screenshot of the shipped avatar, which is no real person."""
WITHOUT_DEVICES = """navigator.mediaDevices.getUserMedia = () =>
  Promise.reject(new DOMException("", "NotFoundError"));"""
FPS = 5
VIEWPORT: ViewportSize = {"width": 800, "height": 600}
_TIMEOUT_MS = 40_000


@pytest.fixture(scope="module")
def camera_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Chromium whose camera shows the avatar."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    video: Path = tmp_path_factory.mktemp("camera") / "avatar.y4m"
    # A low frame rate leaves processor time for the server and the other page.
    with Image.open(PREVIEW) as image:
        write_y4m(video, [image.convert("RGB").resize((640, 512))] * FPS, FPS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, *camera_flags(video)]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def call_server() -> Iterator[httpx2.Client]:
    settings = Settings(port=0, workers=1, max_sessions=4, demo=False)
    with (
        serving(settings) as served,
        httpx2.Client(base_url=served.url, timeout=10) as client,
    ):
        yield client


def stats(page: Page) -> dict[str, Any]:
    result: dict[str, Any] = page.evaluate("window.telewarp.stats()")
    return result


def displayed(page: Page, seat: int) -> list[list[float]]:
    faces: list[list[float]] = page.evaluate(f"window.telewarp.displayedFaces({seat})")
    return faces


def join(page: Page, name: str) -> None:
    expect(page.locator("[data-avatars] input:checked")).to_have_count(1, timeout=_TIMEOUT_MS)
    page.locator("input[name=name]").fill(name)
    page.locator("[data-go]").click()
    expect(page.locator("body")).to_have_attribute("data-phase", "seated", timeout=_TIMEOUT_MS)


def expect_live_tile(page: Page, name: str) -> None:
    tile = page.locator(".tile", has_text=name)
    expect(tile).to_have_attribute("data-state", "live", timeout=_TIMEOUT_MS)


def test_two_people_join_a_call_see_each_other_reconnect_and_leave(
    call_server: httpx2.Client, camera_browser: Browser
) -> None:
    errors: list[str] = []

    def open_page(script: str, **options: Any) -> Page:
        context = camera_browser.new_context(viewport=VIEWPORT, reduced_motion="reduce", **options)
        context.add_init_script(script)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        return page

    ada = open_page("", permissions=["camera", "microphone"])
    bo = open_page(WITHOUT_DEVICES)
    address = f"{call_server.base_url}/?call=us".replace("//?", "/?")

    ada.goto(address)
    join(ada, "Ada")
    expect(ada.locator("#alone [data-link]")).to_have_value(address)
    bo.goto(address)
    expect(bo.locator("[data-people]")).to_have_text("Ada is here.", timeout=_TIMEOUT_MS)
    expect(bo.locator("[data-words-title]")).to_have_text(
        "No camera was found", timeout=_TIMEOUT_MS
    )
    join(bo, "Bo")
    expect_live_tile(ada, "Bo")
    expect_live_tile(bo, "Ada")

    # A participant without camera and microphone joins, and is shown as muted.
    expect(ada.locator(".tile")).to_have_attribute("aria-label", "Bo, muted")
    expect(bo.locator(".tile")).to_have_attribute("aria-label", "Ada")

    # Bo sees frames that Ada's camera captured; their delay depends on the machine.
    wait_until(bo, lambda: len(displayed(bo, 0)) > 3)
    captured = dict(ada.evaluate("window.telewarp.capturedFaces()"))
    delays = [at - captured[seq] for seq, at in displayed(bo, 0) if seq in captured]
    assert delays
    assert 0 < min(delays) < 20_000
    # Ada's view follows her tracked eyes; Bo has no camera, so his view is that of his seat.
    wait_until(ada, lambda: stats(ada)["tiles"]["1"]["displayed_eye_m"] is not None)

    ada.keyboard.press("m")
    expect(bo.locator(".tile")).to_have_attribute("aria-label", "Ada, muted")

    # A reloaded page gets the same seat.
    bo.reload()
    expect(ada.locator(".tile .note")).to_have_text("Reconnecting…")
    join(bo, "Bo")
    expect_live_tile(ada, "Bo")
    assert stats(bo)["seat"] == 1

    bo.locator("[data-leave]").click()
    expect(bo.locator("#over [data-title]")).to_have_text("You have left the call")
    expect(ada.locator(".tile")).to_have_count(0)
    expect(ada.locator("#alone")).to_be_visible()
    ada.locator("[data-leave]").click()
    expect(ada.locator("#over")).to_be_visible()
    assert call_server.get("/v1/streams").json() == []
    wait_until(ada, lambda: call_server.get("/v1/sessions").json() == [])
    assert errors == []
