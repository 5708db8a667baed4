"""Following the eye between frames: the image moves at once, and to about the right place."""

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
}  # beside the numbers, at 1280 x 800


def on_screen(page: Page) -> Screenshot:
    """What a person sees of the face, once what was drawn last is there."""
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    png = page.screenshot(clip=FACE)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.float32)


def on_screen_at_rest(page: Page) -> Screenshot:
    """The same once it changes no more: a frame may be on its way to the screen."""
    seen = on_screen(page)
    for _ in range(20):
        before, seen = seen, on_screen(page)
        if change(before, seen) == 0:
            return seen
        page.wait_for_timeout(100)
    raise AssertionError("the paused video goes on changing")


def change(before: Screenshot, after: Screenshot) -> float:
    """Mean absolute difference, 0..255."""
    return float(np.abs(before - after).mean())


def hold_still(page: Page) -> None:
    """Drive the face to rest and fold the panel away."""
    page.keyboard.press("c")
    page.get_by_role("switch", name="Blink by itself").uncheck()
    page.get_by_role("button", name="Neutral").click()
    page.keyboard.press("Escape")
    page.add_style_tag(content="#refined { visibility: hidden }")  # what is tried moves the video
    page.wait_for_timeout(2000)


def test_late_reprojection_follows_the_view_between_frames_when_switched_on(page: Page) -> None:
    hold_still(page)
    page.get_by_role("button", name="Where the time goes").click()
    follow = page.get_by_role("switch", name="Follow my movement between frames")
    expect(follow).not_to_be_checked()
    assert page.evaluate("window.telewarp.stats().late_reprojection") is False
    page.wait_for_timeout(600)  # the face moves aside
    page.evaluate("document.querySelector('video').pause()")  # no frame comes for what follows
    stale = on_screen_at_rest(page)
    page.evaluate("window.telewarp.setView({ yaw_rad: 0.06 })")
    page.wait_for_timeout(300)
    assert change(stale, on_screen(page)) < 0.5, "plain video waits for its next frame"

    follow.check()
    expect(page.locator("#late.shown")).to_be_visible()
    followed = on_screen(page)
    assert page.evaluate("window.telewarp.stats().late_reprojection") is True
    page.evaluate("window.telewarp.setView({ yaw_rad: 0 })")
    assert change(stale, on_screen(page)) < 3, "back where the frame was drawn for, it is the frame"

    follow.uncheck()
    page.evaluate("window.telewarp.setView({ yaw_rad: 0.06 })")
    page.evaluate("document.querySelector('video').play()")
    page.wait_for_timeout(1500)
    truth = on_screen(page)
    assert change(stale, truth) > 2
    assert change(followed, truth) < 0.75 * change(stale, truth)


def test_without_webgl_the_plain_video_stays(page: Page) -> None:
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
