"""The viewer in a real browser: it shows a moving face, which the user turns and drives."""

from __future__ import annotations

import base64
import io
import math
import os
import signal
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage, Server


Screenshot = NDArray[np.float32]  # (H, W, 3), 0..255

pytestmark = pytest.mark.browser

LIVE = "window.telewarp?.stats().state === 'live'"
_GRAB = """(selector) => {
  const shown = document.querySelector(selector);
  const canvas = document.createElement('canvas');
  canvas.width = shown.videoWidth ?? shown.width;
  canvas.height = shown.videoHeight ?? shown.height;
  canvas.getContext('2d').drawImage(shown, 0, 0);
  return canvas.toDataURL('image/png').split(',')[1];
}"""


class Box(NamedTuple):
    """A rectangle in an image, in fractions of its height and width."""

    top: float
    bottom: float
    left: float
    right: float

    def of(self, image: Screenshot) -> Screenshot:
        """Crop an image to the rectangle."""
        height, width = image.shape[:2]
        rows = slice(round(self.top * height), round(self.bottom * height))
        return image[rows, round(self.left * width) : round(self.right * width)]


MIDDLE = Box(0.3, 0.7, 0.3, 0.7)
FACE = Box(0.35, 0.6, 0.4, 0.6)
SQUARE = {"width": 360, "height": 360}
UPPER_CORNERS = (Box(0, 0.08, 0, 0.08), Box(0, 0.08, 0.92, 1))


def stats(page: Page) -> dict[str, Any]:
    """The page's statistics."""
    result: dict[str, Any] = page.evaluate("window.telewarp.stats()")
    return result


def screenshot(page: Page, selector: str = "video") -> Screenshot:
    """The current frame of the video, or the content of a canvas."""
    png = base64.b64decode(page.evaluate(_GRAB, selector))
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"), np.float32)


def change(before: Screenshot, after: Screenshot) -> float:
    """Mean absolute difference, 0..255."""
    return float(np.abs(before - after).mean())


def skin_share(part: Screenshot) -> float:
    """Share of pixels with a skin colour of any tone: red above green above blue."""
    red, green, blue = np.moveaxis(part, -1, 0)
    return float(((red > 60) & (red > green + 8) & (green > blue + 3)).mean())


def face_box(server: Server, top_m: float, bottom_m: float, half_width_m: float) -> Box:
    """The part of the default view between two heights, in metres above the eyes."""
    avatar = server.call("/v1/avatars/default").json
    x, y, z = avatar["eye_position"]
    seen_m = 2 * z * math.tan(avatar["fov_y_rad"] / 2)
    rows = (0.5 - (top_m - y) / seen_m, 0.5 - (bottom_m - y) / seen_m)
    middle = 0.5 - x / seen_m
    return Box(*rows, middle - half_width_m / seen_m, middle + half_width_m / seen_m)


def wait_until_shown(page: Page, what: str) -> None:
    """Wait until the newest view or mesh frame that was sent before the call is shown."""
    sent = {"view": "view_seq_sent", "mesh": "mesh_seq_sent"}[what]
    newest = stats(page)[sent]
    page.wait_for_function(f"window.telewarp.stats().{what}_seq_shown >= {newest}", timeout=15_000)


def open_controls(page: Page) -> None:
    """Open the panel, and drive the neutral face without blinking."""
    page.keyboard.press("c")
    page.get_by_role("switch", name="Blink by itself").uncheck()
    page.get_by_role("button", name="Neutral").click()
    page.wait_for_timeout(1500)
    wait_until_shown(page, "mesh")


def drive(page: Page, coefficient: str, value: float) -> None:
    """Move a slider, and wait until frames show it."""
    page.locator(f"[data-coefficient={coefficient}]").evaluate(
        """(slider, value) => {
          slider.closest('details').open = true;
          slider.value = value;
          slider.dispatchEvent(new Event('input', { bubbles: true }));
        }""",
        value,
    )
    wait_until_shown(page, "mesh")
    page.wait_for_timeout(700)  # the cache is refreshed for it


def test_the_page_shows_a_face_on_a_dark_background(page: Page) -> None:
    shown = screenshot(page)
    background = np.concatenate([box.of(shown).reshape(-1, 3) for box in UPPER_CORNERS])
    face = MIDDLE.of(shown)
    assert shown.shape[0] == shown.shape[1] >= 128
    assert background.mean() < 80
    assert skin_share(face) > 0.6
    assert skin_share(background[None]) < 0.1
    assert np.abs(face.mean(axis=(0, 1)) - background.mean(axis=0)).max() > 40
    assert face.std() > 10, "the face has features"


def test_the_frame_fills_the_height_and_is_centred(page: Page) -> None:
    video = page.locator("video").bounding_box()
    assert video is not None
    assert video["height"] == video["width"] == pytest.approx(800, abs=2)
    assert video["x"] + video["width"] / 2 == pytest.approx(640, abs=2)


def test_the_idle_animation_moves_the_face(page: Page) -> None:
    images = []
    for _ in range(8):
        images.append(MIDDLE.of(screenshot(page)))
        page.wait_for_timeout(400)
    changes = [change(images[0], later) for later in images[1:]]
    assert max(changes) > 0.5


def test_dragging_turns_the_face(page: Page) -> None:
    open_controls(page)  # the idle animation turns the head as far as a drag might
    before = screenshot(page)
    page.wait_for_timeout(500)
    undragged_change = change(MIDDLE.of(before), MIDDLE.of(screenshot(page)))
    sent = stats(page)["view_seq_sent"]
    page.mouse.move(640, 400)
    page.mouse.down()
    for step in range(1, 21):
        page.mouse.move(640 + 10 * step, 400 + 2 * step)
        page.wait_for_timeout(20)
    page.mouse.up()
    page.wait_for_timeout(1000)
    wait_until_shown(page, "view")
    after = stats(page)
    assert after["view_seq_sent"] >= sent + 10
    assert after["view"]["yaw_rad"] < -0.3, "the face follows the pointer, so the eye moves left"
    assert after["view"]["pitch_rad"] > 0.05
    turned = change(MIDDLE.of(before), MIDDLE.of(screenshot(page)))
    assert turned > 8
    assert turned > 5 * undragged_change


def test_a_refined_still_is_shown_until_the_view_changes(page: Page) -> None:
    open_controls(page)
    page.wait_for_function("window.telewarp.stats().refined.visible", timeout=60_000)
    page.wait_for_timeout(500)  # the crossfade to the newest cache ends
    video, refined = screenshot(page), screenshot(page, "#refined")
    assert refined.shape[0] >= page.evaluate("document.querySelector('.frame').clientHeight")
    enlarged = Image.fromarray(video.astype(np.uint8)).resize(refined.shape[1::-1])
    assert change(MIDDLE.of(np.asarray(enlarged, np.float32)), MIDDLE.of(refined)) < 6
    page.evaluate("window.telewarp.setView({ yaw_rad: 0.2 })")
    page.wait_for_function("!window.telewarp.stats().refined.visible", timeout=15_000, polling=5)
    wait_until_shown(page, "view")


def test_an_open_jaw_opens_the_mouth(server: Server, page: Page) -> None:
    mouth = face_box(server, -0.045, -0.115, 0.03)
    forehead = face_box(server, 0.07, 0.04, 0.03)
    open_controls(page)
    closed = screenshot(page)
    drive(page, "jawOpen", 1)
    opened = screenshot(page)
    expect(page.locator("#driving")).to_be_visible()
    moved = change(mouth.of(closed), mouth.of(opened))
    assert moved > 8
    assert moved > 3 * change(forehead.of(closed), forehead.of(opened))
    drive(page, "jawOpen", 0)
    assert change(mouth.of(closed), mouth.of(screenshot(page))) < moved / 3


def test_a_released_face_follows_its_stream_again(page: Page) -> None:
    open_controls(page)
    drive(page, "jawOpen", 1)
    opened = screenshot(page)
    page.locator("#driving button").click()
    expect(page.locator("#driving")).to_be_hidden()
    assert stats(page)["driving"] is False
    expect(page.locator("[data-coefficient=jawOpen]")).to_have_value("0")
    page.wait_for_timeout(
        3000
    )  # the server waits for two seconds before it treats the face as released
    own = stats(page)["mesh_seq_sent"]
    page.wait_for_timeout(1000)
    assert stats(page)["mesh_seq_sent"] == own
    assert change(MIDDLE.of(opened), MIDDLE.of(screenshot(page))) > 1


def test_linked_sides_move_together_and_unlinked_ones_do_not(page: Page) -> None:
    page.keyboard.press("c")
    left, right = (
        page.locator(f"[data-coefficient=mouthSmile{side}]") for side in ("Left", "Right")
    )
    page.locator("summary", has_text="Mouth").click()
    expect(left).to_be_visible()
    expect(right).to_be_hidden()
    left.fill("0.5")
    expect(right).to_have_value("0.5")
    page.get_by_role("switch", name="Link left and right").uncheck()
    expect(right).to_be_visible()
    right.fill("0.2")
    expect(left).to_have_value("0.5")


def test_every_coefficient_of_the_avatar_has_a_slider(server: Server, page: Page) -> None:
    names = server.call("/v1/avatars/default").json["expression_names"]
    sliders = page.locator("[data-coefficient]").evaluate_all(
        "sliders => sliders.map(slider => slider.dataset.coefficient)"
    )
    assert sorted(sliders) == sorted(names)
    assert len(names) == 52


def test_frame_rate_latency_cache_age_and_bitrate_are_shown(page: Page) -> None:
    for step in range(150):
        yaw = 0.4 * math.sin(step / 10)
        page.evaluate("yaw => window.telewarp.setView({ yaw_rad: yaw })", yaw)
        page.wait_for_timeout(33)

    def number(field: str) -> float:
        element = page.locator(f"#hud [data-field={field}]")
        expect(element).to_be_visible()
        return float(element.inner_text().removeprefix("p95 "))

    result = stats(page)
    assert 10 <= number("fps") <= 70
    assert 4 <= number("latency") <= 300
    assert number("latency") <= number("latency_p95") <= 1000
    assert 1 <= number("cache") <= 3000
    assert 0 < number("bitrate") < 10
    assert result["pose_to_photon_ms"]["count"] > 50
    assert result["server_errors"] == 0


def test_the_stages_are_shown_on_demand(page: Page) -> None:
    stages = page.locator("#stages")
    expect(stages).to_be_hidden()
    page.get_by_role("button", name="Where the time goes").click()
    for words in ("Drawing the mesh", "Warping the cache", "Encoding"):
        expect(stages).to_contain_text(words)
    assert {"raster", "warp", "encode"} <= stats(page)["stages_ms"].keys()


def test_a_killed_worker_leaves_the_video_running(server: Server, page: Page) -> None:
    session = stats(page)["session"]
    killed = server.worker_pids()
    assert killed
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 4
    while time.monotonic() < until:
        page.evaluate(
            "yaw => window.telewarp.setView({ yaw_rad: yaw })", 0.3 * math.sin(time.time())
        )
        page.wait_for_timeout(50)
        assert stats(page)["state"] == "live"
    assert stats(page)["fps_shown"] >= 5
    wait_until_shown(page, "view")
    assert stats(page)["session"] == session
    assert skin_share(MIDDLE.of(screenshot(page))) > 0.5
    _wait_for_new_workers(server, killed)


def _wait_for_new_workers(server: Server, killed: set[int]) -> None:
    until = time.monotonic() + 60
    while not (server.worker_pids() - killed and server.call("/readyz").status == 200):
        assert time.monotonic() < until, "the pool started no new worker"
        time.sleep(0.2)


def test_the_keyboard_turns_zooms_and_toggles_panels(page: Page) -> None:
    page.keyboard.down("ArrowRight")
    page.wait_for_timeout(300)
    page.keyboard.up("ArrowRight")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("+")
    page.wait_for_timeout(800)
    view = stats(page)["view"]
    assert view["yaw_rad"] > 0.1
    assert view["pitch_rad"] > 0.01
    assert view["zoom"] < 0.99
    page.keyboard.press("r")
    page.wait_for_function(
        "(({ yaw_rad, pitch_rad, zoom }) => yaw_rad === 0 && pitch_rad === 0 && zoom === 1)"
        "(window.telewarp.stats().view)"
    )
    page.keyboard.press("h")
    expect(page.locator("#hud")).to_be_hidden()
    page.keyboard.press("c")
    expect(page.locator("#controls")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#controls")).to_be_hidden()


def test_arrow_keys_on_a_slider_move_the_slider_and_not_the_view(page: Page) -> None:
    page.keyboard.press("c")
    slider = page.locator("[data-coefficient=browInnerUp]")
    slider.focus()
    expect(slider).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(slider).to_have_value("0.01")
    assert stats(page)["view"]["yaw_rad"] == 0


def test_the_wheel_zooms_within_limits(page: Page) -> None:
    page.mouse.move(640, 400)
    for _ in range(20):
        page.mouse.wheel(0, -240)
    page.wait_for_timeout(800)
    assert stats(page)["view"]["zoom"] == pytest.approx(0.75, abs=0.01)


def test_dragging_and_pinching_turn_and_zoom_on_a_phone(
    server: Server, open_page: OpenPage
) -> None:
    page = open_page(
        server.address, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
    )
    page.wait_for_function(LIVE, timeout=30_000)
    _touch(page, [[(195, 400)], *([(195 - 8 * step, 400)] for step in range(1, 10))])
    page.wait_for_timeout(600)
    assert stats(page)["view"]["yaw_rad"] > 0.15
    apart = [[(195 - 30 - 5 * step, 400), (195 + 30 + 5 * step, 400)] for step in range(10)]
    _touch(page, apart)
    assert stats(page)["view"]["zoom"] < 0.9
    page.get_by_role("button", name="Drive the face").tap()
    expect(page.locator("#controls")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def _touch(page: Page, path: list[list[tuple[int, int]]]) -> None:
    """Put fingers down, move them along a path and lift them."""
    devtools = page.context.new_cdp_session(page)
    for number, fingers in enumerate(path):
        points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(fingers)]
        kind = "touchMove" if number else "touchStart"
        devtools.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.wait_for_timeout(25)
    devtools.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_a_viewer_that_leaves_frees_its_session_slot_at_once(server: Server, page: Page) -> None:
    session = f"/v1/sessions/{stats(page)['session']}"
    assert server.call(session).status == 200
    page.goto("about:blank")
    until = time.monotonic() + 3
    while server.call(session).status == 200:
        assert time.monotonic() < until, "the session did not end"
        time.sleep(0.1)


def test_a_transparent_background_leaves_the_page_around_the_head_transparent(
    server: Server, open_page: OpenPage
) -> None:
    page = open_page(f"{server.address}/?background=transparent", viewport=SQUARE)
    image = _transparent_screenshot(page)
    alpha = image[..., 3]
    for corner in UPPER_CORNERS:
        assert corner.of(alpha).max() == 0, "no overlay and no part of the interface"
    assert FACE.of(alpha).min() == 255
    assert skin_share(MIDDLE.of(image[..., :3])) > 0.6
    assert alpha[-1, 180], "the shoulders reach the edge"


def test_a_background_colour_can_be_keyed(server: Server, open_page: OpenPage) -> None:
    page = open_page(f"{server.address}/?background=00b140", viewport=SQUARE)
    image = _transparent_screenshot(page)[..., :3]
    for corner in UPPER_CORNERS:
        assert np.abs(corner.of(image) - (0, 177, 64)).max() <= 4
    assert skin_share(MIDDLE.of(image)) > 0.6
    green = (image[..., 1] > 1.5 * image[..., 0]) & (image[..., 1] > 1.5 * image[..., 2])
    assert 0.3 < green.mean() < 0.8
    columns = "document.querySelector('video').videoWidth"
    assert page.evaluate(columns) == 320
    page.set_viewport_size({"width": 240, "height": 240})
    page.wait_for_function(f"{columns} === 256", timeout=30_000)
    smaller = _transparent_screenshot(page)[..., :3]
    assert len(smaller) == 240
    assert skin_share(smaller[80:160, 80:160]) > 0.6


def _transparent_screenshot(page: Page) -> Screenshot:
    """A screenshot of the page without the browser's background: (H, W, 4) RGBA."""
    page.wait_for_function(LIVE, timeout=30_000)
    page.wait_for_timeout(700)  # it fades in
    png = page.screenshot(omit_background=True)
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"), np.float32)
