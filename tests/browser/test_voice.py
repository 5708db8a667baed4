"""Voice from one page to another: fake microphone, WHIP, server, WHEP, loudspeaker.

The renderer is a fake: nobody looks at the face.
"""

from __future__ import annotations

import re
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from math import pi, sin
from pathlib import Path
from struct import pack

import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, ViewportSize, expect, sync_playwright

from scripts.benchmarking.chromium import CHROMIUM_FLAGS
from scripts.benchmarking.fake_camera import camera_flags, write_y4m
from scripts.install_tracker import FOLDER, MODELS, PROGRAM, missing
from tests.browser.conftest import CHROMIUM, Server, leave
from tests.browser.test_call import FPS, PREVIEW

pytestmark = pytest.mark.skipif(
    bool(missing(FOLDER, {**PROGRAM, **MODELS})),
    reason="the face tracker is not installed: .venv/bin/python scripts/install_tracker.py",
)

RATE = 48_000
LIVE_MS = 60_000
VIEWPORT: ViewportSize = {"width": 1280, "height": 800}
# Removes the ICE candidates from the server's answer to a publisher's voice.
WITHOUT_UDP = """
const apply = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
  if (location.hash === "#blocked" && !sdp.includes("m=video"))
    sdp = sdp.replace(/a=candidate.*\\r\\n/g, "");
  return apply.call(this, { type, sdp });
};
"""


def write_tone(file: Path) -> None:
    """A tone of 440 Hz in the first 0.9 s of every 1.3 s.

    Timers of a background page fire once a second: with a period of a second they could all fall
    into the pauses.
    """
    tone, period = 9 * RATE // 10, 13 * RATE // 10
    samples = (int(9000 * sin(2 * pi * 440 * i / RATE)) if i < tone else 0 for i in range(period))
    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes(b"".join(pack("<h", sample) for sample in samples))


@contextmanager
def speaking_browser(server: Server, folder: Path) -> Iterator[BrowserContext]:
    """A browser with a camera that shows the avatar at rest, and a microphone with a tone."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    with Image.open(PREVIEW) as image:
        write_y4m(folder / "face.y4m", [image.convert("RGB").resize((640, 512))] * FPS, FPS)
    write_tone(folder / "tone.wav")
    microphone = f"--use-file-for-fake-audio-capture={folder / 'tone.wav'}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[*CHROMIUM_FLAGS, *camera_flags(folder / "face.y4m"), microphone],
        )
        context = browser.new_context(
            reduced_motion="reduce",
            viewport=VIEWPORT,
            permissions=["camera", "microphone"],
            bypass_csp=True,
        )
        yield context
        leave(*context.pages)
        browser.close()
    # Other tests count sessions of the same server.
    deadline = time.monotonic() + 20
    while server.call("/v1/sessions").json and time.monotonic() < deadline:
        time.sleep(0.1)


def go_live(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("[data-avatars] input:checked")).to_have_count(1, timeout=20_000)
    page.locator("[data-go]").click()
    expect(page.locator("body")).to_have_class(re.compile(r"\bpublishing\b"), timeout=LIVE_MS)


def wait_for(page: Page, condition: str, timeout: float = 20_000) -> None:
    """Wait by polling: a background page gets no animation frames."""
    page.wait_for_function(condition, polling=100, timeout=timeout)


def test_a_voice_is_heard_muted_and_ends_with_its_publisher(
    fake_server: Server, tmp_path: Path
) -> None:
    with speaking_browser(fake_server, tmp_path) as context:
        viewer, publisher = context.new_page(), context.new_page()
        fake_server.call("/v1/streams", {"avatar": "default", "id": "speaker"})
        viewer.goto(f"{fake_server.address}/?stream=speaker")
        wait_for(viewer, "window.telewarp?.stats().state === 'live'", timeout=30_000)
        button = viewer.locator("#voice-button")
        expect(button).to_be_hidden()

        go_live(publisher, f"{fake_server.address}/?publish=speaker")
        heard = "telewarp.stats().voice.level > 0.6"
        wait_for(viewer, "telewarp.stats().voice.state !== 'silent'")
        expect(button).to_be_visible()
        # Chromium permits sound without a user gesture in some runs and not in others.
        if viewer.evaluate("telewarp.stats().voice.state") == "blocked":
            button.click()
        wait_for(viewer, heard)
        assert publisher.evaluate("telewarp.stats().publishing.voice.muted") is False
        wait_for(publisher, "telewarp.stats().publishing.voice.level > 0.6")
        expect(publisher.locator("[data-voice-words]")).to_be_hidden()
        # The same connection carries the mesh frames.
        assert fake_server.call("/v1/streams/speaker").json["live"] is True

        publisher.keyboard.press("m")
        expect(publisher.locator("[data-mute]")).to_have_attribute("aria-pressed", "true")
        wait_for(viewer, "telewarp.stats().voice.level === 0")
        viewer.wait_for_timeout(700)  # longer than the tone's pause
        assert viewer.evaluate("telewarp.stats().voice.level") == 0
        publisher.keyboard.press("m")
        wait_for(viewer, heard)

        viewer.keyboard.press("m")
        expect(button).to_have_attribute("aria-pressed", "true")
        assert viewer.evaluate("localStorage.getItem('telewarp.voice')") == "muted"
        viewer.keyboard.press("m")
        expect(button).to_have_attribute("aria-pressed", "false")

        publisher.close()
        expect(button).to_be_hidden(timeout=10_000)


def test_a_blocked_voice_is_reported_and_frames_are_still_published(
    fake_server: Server, tmp_path: Path
) -> None:
    with speaking_browser(fake_server, tmp_path) as context:
        page = context.new_page()
        page.add_init_script(WITHOUT_UDP)
        go_live(page, f"{fake_server.address}/?publish=unheard#blocked")
        words = page.locator("[data-voice-words]")
        expect(words).to_contain_text("Your voice is not sent")
        expect(words).to_contain_text("WebRTC (UDP)")
        wait_for(page, "telewarp.stats().publishing.sent_fps > 0")
        assert page.evaluate("telewarp.stats().publishing.voice") is None
        assert fake_server.call("/v1/streams/unheard").json["accepted"] > 0
