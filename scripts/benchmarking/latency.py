"""Pose-to-photon latency in headless Chromium."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Literal

from playwright.sync_api import Page, sync_playwright

from models.avatar.folder import SHIPPED
from scripts.benchmarking.avatars import options_for, resized
from scripts.benchmarking.chromium import CHROMIUM_FLAGS, find_chromium
from scripts.benchmarking.serving import memory_mb, serve

Movement = Literal["tracker", "hand", "frames"]
POSES_PER_S: dict[Movement, int] = {"tracker": 60, "hand": 250, "frames": 0}
"""Poses per second of a timer independent of the display, like that of a head tracker or a mouse;
0: one pose per animation frame, as a script in the page would send them. Browsers limit timers to
250 calls per second."""

MOVE_VIEW = """posesPerS => {
  const started = performance.now();
  const movement = (window.movement = {});
  let count = 0;
  const step = () => {
    if (window.movement !== movement) return;
    const now = performance.now();
    const t = (now - started) / 1000;
    window.telewarp.setView({ yaw_rad: 0.5 * Math.sin(2 * t), pitch_rad: 0.15 * Math.sin(3 * t) });
    if (!posesPerS) return requestAnimationFrame(step);
    count = Math.max(count, Math.floor(t * posesPerS)) + 1;
    setTimeout(step, started + (count * 1000) / posesPerS - now);
  };
  step();
}"""
"""Moves the view without pause."""

_WARM_UP_S = 8
"""Time after which the page's statistics no longer contain the previous movement."""


@dataclass(frozen=True)
class Latency:
    """Pose-to-photon latency, displayed frame rate and cache age in a browser."""

    seconds: float = 20.0
    """Duration of the measurement of each movement, after a warm-up of 8 s."""
    movements: tuple[Movement, ...] = ("tracker", "hand", "frames")
    """tracker: 60 poses per second by a timer; hand: 250; frames: one per animation frame."""
    fps: float = 60.0
    """Greatest frame rate of the server."""
    avatars: Path = SHIPPED
    """Folder with one folder per avatar."""
    size: int | None = None
    """Rows and columns of the frames, a multiple of 32; default: those of the avatar."""
    screenshot: Path | None = None
    """File for a screenshot of the page."""
    csv: Path | None = None
    """File for the page's table of frames."""


def latency(command: Latency) -> dict[str, Any]:
    """Run the benchmark."""
    with (
        resized(command.avatars, command.size) as avatars,
        serve("--fps", str(command.fps), *options_for(avatars, command.size)) as (address, pid),
        _page(address) as page,
    ):
        page.wait_for_function("window.telewarp?.stats().fps_shown > 5", timeout=60_000)
        measurements = {
            movement: _measure(page, POSES_PER_S[movement], command.seconds)
            for movement in command.movements
        }
        memory = memory_mb(pid)
        side = page.evaluate("document.querySelector('video').videoWidth")
        _save_page(page, command)
    return {
        **next(iter(measurements.values())),  # those of the first movement
        "movements": measurements,
        "memory_mb": memory,
        "size": side,
        "cores": os.cpu_count(),
    }


def _measure(page: Page, poses_per_s: int, seconds: float) -> dict[str, Any]:
    """Move the view, and return medians of the page's own statistics."""
    page.evaluate(MOVE_VIEW, poses_per_s)
    page.wait_for_timeout(_WARM_UP_S * 1000)
    samples = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        page.wait_for_timeout(1_000)
        samples.append(page.evaluate("window.telewarp.stats()"))
    last = samples[-1]
    return {
        "pose_to_photon_ms": _medians(samples, "pose_to_photon_ms"),
        "sent_to_photon_ms": _medians(samples, "sent_to_photon_ms"),
        "fps_shown": round(median(s["fps_shown"] for s in samples), 1),
        "cache_age_ms": _medians(samples, "cache_age_ms"),
        "stages_ms": last["stages_ms"],
        "frame_stages_ms": {
            stage: {q: round(times[q], 2) for q in ("p50", "p95")}
            for stage, times in last["frame_stages_ms"].items()
        },
        "view_lead_ms": last["view_lead_ms"],
        "bitrate_kbps": round(last["bitrate_kbps"]),
    }


def _medians(samples: list[dict[str, Any]], name: str) -> dict[str, float]:
    return {q: round(median(s[name][q] for s in samples), 2) for q in ("p50", "p95")}


def _save_page(page: Page, command: Latency) -> None:
    if command.screenshot:
        page.screenshot(path=command.screenshot)
    if command.csv:
        with page.expect_download() as download:
            page.evaluate("document.querySelector('#export-button').click()")
        download.value.save_as(command.csv)


@contextmanager
def _page(address: str) -> Iterator[Page]:
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=find_chromium(),
            args=CHROMIUM_FLAGS,
            headless=True,
            bypass_csp=True,
            viewport={"width": 1000, "height": 800},
        )
        page = context.pages[0]
        page.goto(address)
        yield page
        context.close()
