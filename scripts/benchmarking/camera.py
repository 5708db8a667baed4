"""Camera-to-photon latency: Chromium publishes a fake camera and watches its own stream."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from models.avatar.folder import SHIPPED
from scripts.benchmarking.avatars import options_for, resized
from scripts.benchmarking.chromium import CHROMIUM_FLAGS, find_chromium
from scripts.benchmarking.fake_camera import (
    camera_flags,
    moving_face,
    require_tracker,
    write_y4m,
)
from scripts.benchmarking.serving import serve

_WARM_UP_S = 10
_STREAM = "benchmark"


@dataclass(frozen=True)
class Camera:
    """Latency from a camera's frame to the display of the avatar's, on this machine."""

    seconds: float = 20.0
    """Duration of the measurement, after a warm-up of 10 s."""
    video: Path | None = None
    """Y4M or MJPEG file that the camera plays; default: the avatar, rendered for it."""
    fps: float = 60.0
    """Greatest frame rate of the server."""
    avatars: Path = SHIPPED
    """Folder with one folder per avatar."""
    size: int | None = None
    """Rows and columns of the frames, a multiple of 32; default: those of the avatar."""
    screenshot: Path | None = None
    """File for a screenshot of the page."""


def camera(command: Camera) -> dict[str, Any]:
    """Run the benchmark."""
    require_tracker()
    with (
        resized(command.avatars, command.size) as avatars,
        serve("--fps", str(command.fps), *options_for(avatars, command.size)) as (address, _),
        tempfile.TemporaryDirectory() as scratch,
    ):
        video = command.video
        if video is None:
            video = Path(scratch) / "camera.y4m"
            write_y4m(video, moving_face(address))
        with _live_page(address, video.resolve()) as page:
            samples = _samples(page, command.seconds)
            if command.screenshot:
                page.screenshot(path=command.screenshot)
    return _summary(samples)


@contextmanager
def _live_page(address: str, video: Path) -> Iterator[Page]:
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=find_chromium(), headless=True, bypass_csp=True,
            args=CHROMIUM_FLAGS + camera_flags(video), permissions=["camera"],
            viewport={"width": 1280, "height": 800},
        )  # fmt: skip
        page = context.pages[0]
        page.goto(f"{address}/?publish={_STREAM}")
        page.wait_for_selector("[data-avatars] input:checked", state="attached")
        page.select_option("select[name=microphone]", "none")
        page.click("[data-go]")
        page.wait_for_function("window.telewarp?.stats().fps_shown > 5", timeout=120_000)
        yield page
        context.close()


def _samples(page: Page, seconds: float) -> list[dict[str, Any]]:
    page.wait_for_timeout(_WARM_UP_S * 1000)
    samples = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        page.wait_for_timeout(1_000)
        samples.append(page.evaluate("window.telewarp.stats()"))
    return samples


def _summary(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Return medians of the page's own statistics; stages are those of the last ten seconds."""
    published = [sample["publishing"] for sample in samples]

    def middle(name: str) -> float:
        return round(float(median(sample[name] for sample in published)), 1)

    return {
        "camera_to_photon_ms": {
            q: round(median(sample["pose_to_photon_ms"][q] for sample in samples), 1)
            for q in ("p50", "p95")
        },
        "stages_ms": {
            stage: {q: round(times[q], 1) for q in ("p50", "p95")}
            for stage, times in samples[-1]["frame_stages_ms"].items()
        },
        "tracked_fps": middle("tracked_fps"),
        "sent_fps": middle("sent_fps"),
        "sent_kbps": middle("sent_kbps"),
        "fps_shown": round(median(sample["fps_shown"] for sample in samples), 1),
        "tracker": published[-1]["tracker"],
        "cores": os.cpu_count(),
    }
