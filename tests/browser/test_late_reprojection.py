"""Late reprojection: the image follows the view between frames, with a small error."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import FloatRect, Page, expect

Screenshot = NDArray[np.float32]  # (H, W, 3), 0..255

pytestmark = pytest.mark.browser

FACE: FloatRect = {
    "x": 560,
    "y": 150,
    "width": 380,
    "height": 500,
}  # next to the statistics, at 1280 x 800


def screenshot(page: Page) -> Screenshot:
    """Take a screenshot of the face after the last drawing is presented."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    png = page.screenshot(clip=FACE)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.float32)


def stable_screenshot(page: Page) -> Screenshot:
    """Like `screenshot`, once it no longer changes: a frame may be on its way to the screen."""
    current = screenshot(page)
    for _ in range(20):
        before, current = current, screenshot(page)
        if change(before, current) == 0:
            return current
        page.wait_for_timeout(100)
    raise AssertionError("the paused video goes on changing")


def change(before: Screenshot, after: Screenshot) -> float:
    """Mean absolute difference, 0..255."""
    return float(np.abs(before - after).mean())


def drive_neutral(page: Page) -> None:
    """Drive the neutral face, and close the panel."""
    page.keyboard.press("c")
    page.get_by_role("switch", name="Blink by itself").uncheck()
    page.get_by_role("button", name="Neutral").click()
    page.keyboard.press("Escape")
    page.add_style_tag(
        content="#refined { visibility: hidden }"
    )  # late reprojection moves the video
    page.wait_for_timeout(2000)


def test_late_reprojection_follows_the_view_between_frames_when_switched_on(page: Page) -> None:
    drive_neutral(page)
    page.get_by_role("button", name="Where the time goes").click()
    follow = page.get_by_role("switch", name="Follow my movement between frames")
    expect(follow).not_to_be_checked()
    assert page.evaluate("window.telewarp.stats().late_reprojection") is False
    page.wait_for_timeout(600)  # the panel shifts the face
    page.evaluate("document.querySelector('video').pause()")  # no new frame from here on
    stale = stable_screenshot(page)
    page.evaluate("window.telewarp.setView({ yaw_rad: 0.06 })")
    page.wait_for_timeout(300)
    assert change(stale, screenshot(page)) < 0.5, (
        "without late reprojection the video waits for the next frame"
    )

    follow.check()
    expect(page.locator("#late.shown")).to_be_visible()
    followed = screenshot(page)
    assert page.evaluate("window.telewarp.stats().late_reprojection") is True
    page.evaluate("window.telewarp.setView({ yaw_rad: 0 })")
    assert change(stale, screenshot(page)) < 3, (
        "at the view of the frame the reprojection equals it"
    )

    follow.uncheck()
    page.evaluate("window.telewarp.setView({ yaw_rad: 0.06 })")
    page.evaluate("document.querySelector('video').play()")
    page.wait_for_timeout(1500)
    truth = screenshot(page)
    assert change(stale, truth) > 2
    assert change(followed, truth) < 0.75 * change(stale, truth)


def test_the_video_is_not_reprojected_without_webgl(page: Page) -> None:
    page.evaluate(
        """() => {
          const { getContext } = HTMLCanvasElement.prototype;
          HTMLCanvasElement.prototype.getContext = function (kind, ...rest) {
            return kind === 'webgl' ? null : getContext.call(this, kind, ...rest);
          };
        }"""
    )
    page.get_by_role("button", name="Where the time goes").click()
    page.get_by_role("switch", name="Follow my movement between frames").click()
    follow = page.get_by_role("switch", name="Following your movement needs WebGL")
    expect(follow).to_be_disabled()
    expect(follow).not_to_be_checked()
    expect(page.locator("#late")).to_be_hidden()
    assert page.evaluate("window.telewarp.stats().state") == "live"
