"""The view of a tilted phone, with sensors that Chromium emulates."""

from __future__ import annotations

import time
from math import atan2, degrees, hypot

from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage, Server

PHONE = {
    "viewport": {"width": 390, "height": 844},
    "is_mobile": True,
    "has_touch": True,
}
HELD = (0.0, 60.0, 0.0)
TIMEOUT_MS = 20_000
TOLERANCE = 3.0
"""Degrees."""


class Phone:
    """A page on a device whose orientation a test sets."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._session = page.context.new_cdp_session(page)

    def hold(self, alpha: float, beta: float, gamma: float) -> None:
        angles = {"alpha": alpha, "beta": beta, "gamma": gamma}
        self._session.send("DeviceOrientation.setDeviceOrientationOverride", angles)


def displayed_angles(page: Page) -> tuple[float, float] | None:
    """The eye's direction in the displayed frame, degrees right and up; None if unknown."""
    eye = page.evaluate("window.telewarp.stats().displayed_eye_m")
    if eye is None:
        return None  # its event has not come yet
    x, y, z = eye
    _, middle, _ = page.evaluate("window.home")
    return degrees(atan2(x, z)), degrees(atan2(y - middle, hypot(x, z)))


def wait_for_angles(page: Page, right: float, up: float) -> None:
    """Wait until the view has this direction; it slowly turns back without input."""
    deadline = time.monotonic() + 15
    while True:
        got = displayed_angles(page)
        if got and abs(got[0] - right) < TOLERANCE and abs(got[1] - up) < TOLERANCE:
            return
        assert time.monotonic() < deadline, f"expected {right} and {up} degrees, got {got}"
        page.wait_for_timeout(100)


def test_tilting_a_phone_turns_the_view_and_centring_resets_it(
    fake_server: Server, open_page: OpenPage
) -> None:
    page = open_page(fake_server.address, **PHONE)
    page.wait_for_function("window.telewarp?.stats().state === 'live'", timeout=30_000)
    page.evaluate("(home) => { window.home = home }", home(fake_server))
    phone = Phone(page)
    phone.hold(*HELD)
    button = page.locator("#tilt-button")
    button.click()
    state = page.locator("#head-view [data-state]")
    expect(state).to_have_text("Tilt your phone to look around", timeout=TIMEOUT_MS)
    expect(button).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#head-view .privacy")).to_be_hidden()
    phone.hold(0.0, 75.0, 0.0)  # upright: the eyes are above the middle of the screen
    wait_for_angles(page, 0, 15)
    page.locator("#head-view [data-center]").click()
    wait_for_angles(page, 0, 0)
    phone.hold(340.0, 75.0, 0.0)  # left edge turned away: the eyes are on the right of the screen
    wait_for_angles(page, 19, 0)
    button.click()
    expect(page.locator("#head-view")).to_be_hidden()
    expect(button).to_have_attribute("aria-pressed", "false")


def test_missing_sensors_are_reported_and_a_desktop_has_no_tilt_button(
    fake_server: Server, open_page: OpenPage
) -> None:
    page = open_page(fake_server.address, **PHONE)
    page.locator("#tilt-button").click()
    state = page.locator("#head-view [data-state]")
    expect(state).to_have_text("This device does not report its orientation", timeout=TIMEOUT_MS)
    expect(page.locator("#tilt-button")).to_have_attribute("aria-pressed", "false")
    expect(open_page(fake_server.address).locator("#tilt-button")).to_be_hidden()


def home(server: Server) -> list[float]:
    position: list[float] = server.call("/v1/avatars/default").json["eye_position"]
    return position
