"""The head-tracked view: it follows the position of the viewer's eyes.

The viewer's camera shows the avatar, on the left and then on the right of its image.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page

from scripts.benchmarking.fake_camera import render, write_y4m
from scripts.install_tracker import FOLDER, MODELS, PROGRAM, missing
from tests.browser.conftest import Server
from tests.browser.test_camera import camera_page, wait_until

pytestmark = pytest.mark.skipif(
    bool(missing(FOLDER, {**PROGRAM, **MODELS})),
    reason="the face tracker is not installed: .venv/bin/python scripts/install_tracker.py",
)

FPS = 15
"""Half the frame rate of the camera halves the processor time of the tracker."""
PHASE_S = 4
ASIDE_M = 0.03
"""Less than the movement of the face: the view is predicted, filtered and eased."""


@pytest.fixture(scope="module")
def swaying_video(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    face = render(server.address, {})
    width, height = face.size
    images = []
    for left in (0, width):
        image = Image.new("RGB", (2 * width, height), (40, 40, 44))
        image.paste(face, (left, 0))
        images += [image] * PHASE_S * FPS
    file = tmp_path_factory.mktemp("camera") / "swaying.y4m"
    write_y4m(file, images, FPS)
    return file


def displayed_x(page: Page) -> float:
    """The eye position of the displayed frame, metres to the right of the face."""
    position = page.evaluate("window.telewarp.stats().displayed_eye_m")
    return 0.0 if position is None else float(position[0])


def transform(page: Page) -> str:
    read = "document.querySelector('.frame').style.getPropertyValue('--off-axis')"
    return str(page.evaluate(read))


def test_the_view_follows_the_viewers_eyes_and_resets(server: Server, swaying_video: Path) -> None:
    with camera_page(server, swaying_video, "/") as page:
        wait_until(page, lambda: page.evaluate("window.telewarp?.stats().state") == "live")
        assert transform(page) in ("", "none")
        page.locator("#head-button").click()
        # A viewer on the right of the camera's image has moved to their own left.
        wait_until(page, lambda: displayed_x(page) < -ASIDE_M, 60)
        assert transform(page).startswith("matrix3d(")
        wait_until(page, lambda: displayed_x(page) > ASIDE_M, 60)
        page.locator("#head-view [data-close]").click()
        wait_until(page, lambda: transform(page) == "none")
        wait_until(page, lambda: abs(displayed_x(page)) < 0.001)
        assert page.locator("#head-button").get_attribute("aria-pressed") == "false"


def test_a_missing_camera_is_reported(server: Server, swaying_video: Path) -> None:
    with camera_page(server, swaying_video, "/") as page:
        page.add_init_script(
            "navigator.mediaDevices.getUserMedia = () =>"
            ' Promise.reject(new DOMException("", "NotFoundError"))'
        )
        page.reload()
        wait_until(page, lambda: page.evaluate("window.telewarp?.stats().state") == "live")
        page.keyboard.press("e")
        state = page.locator("#head-view [data-state]")
        wait_until(page, lambda: state.inner_text() == "No camera was found")
