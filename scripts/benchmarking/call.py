"""A call of two on one machine: server, two pages of one Chromium, both with camera and voice."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from playwright.sync_api import Page, ViewportSize, sync_playwright

from models.avatar.folder import SHIPPED
from scripts.benchmarking.avatars import options_for, resized
from scripts.benchmarking.chromium import CHROMIUM_FLAGS, find_chromium
from scripts.benchmarking.fake_camera import (
    FPS,
    camera_flags,
    moving_face,
    require_tracker,
    write_y4m,
)
from scripts.benchmarking.serving import cpu_s, serve
from server.pool.process_tree import children

_WARM_UP_S = 15
_CALL = "benchmark"
_READY_MS = 120_000
_VIEWPORT: ViewportSize = {"width": 960, "height": 600}
"""Small, because without a GPU the browser renders on the CPU that is measured."""
_LIVE = """window.telewarp.stats().then(({ tiles }) =>
  Object.values(tiles).some((tile) => tile?.state === "live"))"""


@dataclass(frozen=True)
class Call:
    """Frames, latency both ways, voice offset and bytes of a call of two, on this machine."""

    seconds: float = 20.0
    """Duration of the measurement, after a warm-up of 15 s."""
    video: Path | None = None
    """Y4M or MJPEG file that both cameras play; default: the avatar, rendered for it."""
    camera_fps: int = FPS
    """Frame rate of the rendered avatar. Two trackers of 30 frames per second alone take most of
    two cores."""
    fps: float = 60.0
    """Greatest frame rate of the server."""
    avatars: Path = SHIPPED
    """Folder with one folder per avatar."""
    size: int | None = None
    """Rows and columns of the frames, a multiple of 32; default: those of the avatar."""
    screenshot: Path | None = None
    """File for a screenshot of the first page."""


def call(command: Call) -> dict[str, Any]:
    """Run the benchmark."""
    require_tracker()
    options = ("--fps", str(command.fps), "--max-sessions", "4")
    with (
        resized(command.avatars, command.size) as avatars,
        serve(*options, *options_for(avatars, command.size)) as (address, pid),
        tempfile.TemporaryDirectory() as scratch,
    ):
        video = command.video
        if video is None:
            video = Path(scratch) / "camera.y4m"
            faces = moving_face(address, command.camera_fps)
            write_y4m(video, faces, command.camera_fps)
        with _pages(address, video.resolve()) as pages:
            pages[0].wait_for_timeout(_WARM_UP_S * 1000)
            used_s = cpu_s(pid) + sum(map(cpu_s, children(pid)))
            samples = _samples(pages, command.seconds)
            used_s = cpu_s(pid) + sum(map(cpu_s, children(pid))) - used_s
            ways = [_paths(pages[way], pages[1 - way], way) for way in (0, 1)]
            if command.screenshot:
                pages[0].screenshot(path=command.screenshot)
    return {
        "ways": [_seen(samples[1 - way], way, ways[way]) | _sent(samples[way]) for way in (0, 1)],
        "server_cores": round(used_s / command.seconds, 2),
        "cores": os.cpu_count(),
    }


@contextmanager
def _pages(address: str, video: Path) -> Iterator[list[Page]]:
    """Open two pages that have joined the call and see each other."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(),
            headless=True,
            args=CHROMIUM_FLAGS + camera_flags(video),
        )
        pages = []
        for name in ("Ada", "Bo"):
            context = browser.new_context(
                viewport=_VIEWPORT,
                permissions=["camera", "microphone"],
                bypass_csp=True,
            )
            page = context.new_page()
            page.goto(f"{address}/?call={_CALL}")
            page.wait_for_selector("[data-avatars] input:checked", state="attached")
            page.fill("input[name=name]", name)
            page.click("[data-go]")
            pages.append(page)
        for page in pages:
            page.wait_for_function(_LIVE, timeout=_READY_MS)
        yield pages
        browser.close()


def _samples(pages: Sequence[Page], seconds: float) -> list[list[dict[str, Any]]]:
    """Return the statistics of each page once per second."""
    samples: list[list[dict[str, Any]]] = [[] for _ in pages]
    for _ in range(round(seconds)):
        pages[0].wait_for_timeout(1_000)
        for page, taken in zip(pages, samples, strict=True):
            taken.append(page.evaluate("window.telewarp.stats()"))
    return samples


def _paths(sender: Page, receiver: Page, seat: int) -> dict[str, list[float]]:
    """Return the latency of faces from the sender's camera to the receiver's screen, ms.

    Both pages are on one machine, so that their clocks are one.
    """
    captured = dict(sender.evaluate("window.telewarp.capturedFaces()"))
    sent = dict(sender.evaluate("window.telewarp.sentFaces()"))
    displayed = receiver.evaluate(f"window.telewarp.displayedFaces({seat})")
    known = [(seq, at) for seq, at in displayed if seq in captured]
    return {
        "camera_to_photon_ms": [at - captured[seq] for seq, at in known],
        # Time of the browser's camera and of the tracker; the rest is network, server and display.
        "camera_to_sent_ms": [sent[seq] - captured[seq] for seq, _ in known],
        "sent_to_photon_ms": [at - sent[seq] for seq, at in known],
    }


def _seen(
    samples: list[dict[str, Any]], seat: int, paths: dict[str, list[float]]
) -> dict[str, Any]:
    """Summarize the frames of the person on a seat that a page has shown."""
    tiles = [sample["tiles"][str(seat)] for sample in samples]
    offsets = [tile["voice"]["offset_ms"] for tile in tiles]
    heard = [offset for offset in offsets if offset["p50"] is not None]
    return {
        **{name: _percentiles(sorted(times)) for name, times in paths.items()},
        "faces_shown": len(paths["camera_to_photon_ms"]),
        "fps_shown": round(median(tile["fps_shown"] for tile in tiles), 1),
        "view_to_photon_ms": tiles[-1]["sent_to_photon_ms"],
        "voice_offset_ms": heard[-1] if heard else None,
        "received_video_kbps": round(median(tile["bitrate_kbps"] for tile in tiles), 1),
    }


def _percentiles(ascending: Sequence[float]) -> dict[str, float]:
    last = len(ascending) - 1
    return {
        f"p{q}": round(ascending[min(len(ascending) * q // 100, last)], 1)
        for q in (50, 95)
        if ascending
    }


def _sent(samples: list[dict[str, Any]]) -> dict[str, Any]:
    """Summarize the frames that a page has sent: one sample per second."""
    published = [sample["publishing"] for sample in samples]
    seconds = max(len(published) - 1, 1)
    voice_bytes = (published[-1]["voice_bytes"] or 0) - (published[0]["voice_bytes"] or 0)
    return {
        "tracked_fps": round(median(sample["tracked_fps"] for sample in published), 1),
        "sent_mesh_kbps": round(median(sample["sent_kbps"] for sample in published), 1),
        "sent_voice_kbps": round(voice_bytes * 8 / 1000 / seconds, 1),
    }
