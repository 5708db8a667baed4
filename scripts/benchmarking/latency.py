"""Pose-to-photon latency in a real browser."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, sync_playwright

from models.avatar import SHIPPED
from scripts.benchmarking.avatars import resized
from scripts.benchmarking.serving import memory_mb, serve

CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

MOVE_VIEW = """() => {
  const started = performance.now();
  const step = () => {
    const t = (performance.now() - started) / 1000;
    window.telewarp.setView({ yaw_rad: 0.5 * Math.sin(2 * t), pitch_rad: 0.15 * Math.sin(3 * t) });
    requestAnimationFrame(step);
  };
  step();
}"""
"""Somebody who never holds their head still."""


@dataclass(frozen=True)
class Latency:
    """Pose-to-photon latency, shown frame rate and cache age in a real browser."""

    seconds: float = 20.0
    """How long to measure, after a warm-up of 8 s."""
    fps: float = 60.0
    """Most frames a second the server may send."""
    avatars: Path = SHIPPED
    """Folder with one folder per avatar."""
    size: int | None = None
    """Rows and columns of the picture, a multiple of 32; the avatar's own where left out."""
    screenshot: Path | None = None
    """Where to leave a picture of the page."""


def latency(command: Latency) -> dict[str, Any]:
    """See `Latency`."""
    with (
        resized(command.avatars, command.size) as avatars,
        serve("--fps", str(command.fps), "--avatars", str(avatars)) as (address, pid),
        _page(address) as page,
    ):
        page.wait_for_function("window.telewarp?.stats().fps_shown > 5", timeout=60_000)
        page.evaluate(MOVE_VIEW)
        page.wait_for_timeout(8_000)
        samples = []
        deadline = time.monotonic() + command.seconds
        while time.monotonic() < deadline:
            page.wait_for_timeout(1_000)
            samples.append(page.evaluate("window.telewarp.stats()"))
        memory = memory_mb(pid)
        side = page.evaluate("document.querySelector('video').videoWidth")
        if command.screenshot:
            page.screenshot(path=command.screenshot)
    last = samples[-1]
    return {
        "pose_to_photon_ms": {
            q: median(s["pose_to_photon_ms"][q] for s in samples) for q in ("p50", "p95")
        },
        "fps_shown": median(s["fps_shown"] for s in samples),
        "cache_age_ms": {q: median(s["cache_age_ms"][q] for s in samples) for q in ("p50", "p95")},
        "stages_ms": last["stages_ms"],
        "bitrate_kbps": last["bitrate_kbps"],
        "memory_mb": memory,
        "size": side,
        "cores": os.cpu_count(),
    }


@contextmanager
def _page(address: str) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("benchmark: needs chromium; on Debian and Ubuntu: apt install chromium")
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=CHROMIUM_FLAGS, headless=True, bypass_csp=True,
            viewport={"width": 1000, "height": 800},
        )  # fmt: skip
        page = context.pages[0]
        page.goto(address)
        yield page
        context.close()
