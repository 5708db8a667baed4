"""Measure the server as a viewer meets it.

    .venv/bin/python scripts/benchmark.py latency --seconds 20
    .venv/bin/python scripts/benchmark.py models
    .venv/bin/python scripts/benchmark.py rasterizer

`latency` starts a server, opens its page in headless Chromium, moves the view at every animation
frame, and asks the page for what it saw: `pose_to_photon_ms` runs from sending a view until the
display of the first video frame drawn for it, joined by RTP timestamp. Everything shares this
machine's cores. `models` times the renderer alone, on one thread, `rasterizer` the triangles. Each
ends with one line of JSON.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Annotated, Any
from urllib.request import urlopen

import numpy as np
import torch
import tyro
from playwright.sync_api import Page, sync_playwright

from models.avatar import SHIPPED, load_avatar
from models.geometry import rasterizer, rasterizer_numba
from models.renderer import CachedRenderer
from models.runtime.live import LiveRuntime
from models.state import neutral_state

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
    screenshot: Path | None = None
    """Where to leave a picture of the page."""


@dataclass(frozen=True)
class Models:
    """Milliseconds of warp and full render on one thread, ours against plain torch."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder."""
    rounds: int = 15
    """Medians of so many."""


@dataclass(frozen=True)
class Rasterizer:
    """Milliseconds from screen positions to seen triangles, numba against plain torch."""

    avatar: Path = SHIPPED / "default"
    """Whose head is drawn."""
    size: int = 512
    """Rows and columns."""
    rounds: int = 30


def main(command: Latency | Models | Rasterizer) -> None:
    """Run one benchmark."""
    match command:
        case Latency():
            result = latency(command)
        case Models():
            result = models(command)
        case Rasterizer():
            result = rasterizers(command)
    print(json.dumps(result))


def latency(command: Latency) -> dict[str, Any]:
    """See `Latency`."""
    with _server(command) as (address, pid), _page(address) as page:
        page.wait_for_function("window.telewarp?.stats().fps_shown > 5", timeout=60_000)
        page.evaluate(MOVE_VIEW)
        page.wait_for_timeout(8_000)
        samples = []
        deadline = time.monotonic() + command.seconds
        while time.monotonic() < deadline:
            page.wait_for_timeout(1_000)
            samples.append(page.evaluate("window.telewarp.stats()"))
        memory = _memory_mb(pid)
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
        "cores": os.cpu_count(),
    }


@contextmanager
def _server(command: Latency) -> Iterator[tuple[str, int]]:
    """A server of its own on a free port; yields its address and process id."""
    arguments = ["--port", "0", "--fps", str(command.fps), "--avatars", str(command.avatars)]
    process = subprocess.Popen(
        [sys.executable, "-m", "server", *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()  # comes once the face can be shown
        address = next((word for word in line.split() if word.startswith("http")), None)
        if address is None:
            raise SystemExit("benchmark: the server did not start")
        with urlopen(f"{address}/readyz", timeout=30):
            pass
        yield address, process.pid
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def _page(address: str) -> Iterator[Page]:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("benchmark: needs chromium; on Debian and Ubuntu: apt install chromium")
    with tempfile.TemporaryDirectory() as profile, sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=chromium, args=CHROMIUM_FLAGS, headless=True,
            viewport={"width": 1000, "height": 800},
        )  # fmt: skip
        page = context.pages[0]
        page.goto(address)
        yield page
        context.close()


def _memory_mb(pid: int) -> dict[str, int]:
    """Proportional memory (shared pages counted once) of the server process and of its workers."""
    threads = Path(f"/proc/{pid}/task").glob("*/children")
    children = [child for thread in threads for child in thread.read_text().split()]
    return {
        "server": _proportional_mb(pid),
        "workers": sum(_proportional_mb(int(child)) for child in children),
    }


def _proportional_mb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return round(int(line.split()[1]) / 1024)
    raise RuntimeError(f"process {pid} has no Pss line")


def models(command: Models) -> dict[str, Any]:
    """See `Models`."""
    torch.set_num_threads(1)
    avatar = load_avatar(command.avatar)
    ours, plain = CachedRenderer(avatar), LiveRuntime(avatar, torch.device("cpu"))
    ours.warm_up()
    m = avatar.manifest
    front = neutral_state(len(m.expression_names), m.eye_position, m.fov_y_rad)
    side = replace(front, eye_position=front.eye_position + np.array([0.1, 0, 0], np.float32))
    cache = ours.allocate_cache()
    ours.refresh(front, cache)
    old = plain.stage.frame(front)

    @torch.inference_mode()
    def plain_warp() -> None:
        kept = avatar.networks.full(old).cache
        started = time.perf_counter()
        plain.stage.compose(avatar.networks.warp(kept, old, plain.stage.frame(side)))
        plain_times.append((time.perf_counter() - started) * 1000)

    @torch.inference_mode()
    def plain_full() -> None:
        plain.stage.compose(avatar.networks.full(plain.stage.frame(side)).picture)

    plain_times: list[float] = []
    times = _interleaved_ms(
        {
            "warp_ms": lambda: ours.warp(side, cache),
            "full_ms": lambda: ours.full(side),
            "refresh_ms": lambda: ours.refresh(side, cache),
            "full_plain_ms": plain_full,
            "warp_plain_with_full_ms": plain_warp,
        },
        command.rounds,
    )
    del times["warp_plain_with_full_ms"]
    times["warp_plain_ms"] = round(median(plain_times), 2)
    return {
        "resolution": m.resolution,
        "network_size": m.network.network_size,
        "device": "cpu, one thread",
        **times,
        "warp_ratio": round(times["warp_plain_ms"] / times["warp_ms"], 2),
        "full_ratio": round(times["full_plain_ms"] / times["full_ms"], 2),
    }


def rasterizers(command: Rasterizer) -> dict[str, Any]:
    """See `Rasterizer`."""
    torch.set_num_threads(1)
    avatar = load_avatar(command.avatar)
    m, head, size = avatar.manifest, avatar.head, command.size
    state = neutral_state(len(m.expression_names), m.eye_position, m.fov_y_rad)
    xy, inverse = rasterizer_numba.project(head.pose(state), state, size, size)
    fast = rasterizer_numba.rasterize(xy, inverse, head.faces, size, size)
    plain = rasterizer.rasterize(xy, inverse, head.faces, size, size)
    times = _interleaved_ms(
        {
            "numba_ms": lambda: rasterizer_numba.rasterize(xy, inverse, head.faces, size, size),
            "plain_ms": lambda: rasterizer.rasterize(xy, inverse, head.faces, size, size),
        },
        command.rounds,
    )
    return {
        "size": size,
        "triangles": len(head.faces),
        "covered": round(float(fast.mask.mean()), 3),
        "pixels_that_differ": int((fast.triangle != plain.triangle).sum()),
        **times,
    }


def _interleaved_ms(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Medians, the calls taking turns, so that a busy moment of the machine hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            times[name].append((time.perf_counter() - started) * 1000)
    return {name: round(median(values), 2) for name, values in times.items()}


Command = Annotated[
    Annotated[Latency, tyro.conf.subcommand("latency")]
    | Annotated[Models, tyro.conf.subcommand("models")]
    | Annotated[Rasterizer, tyro.conf.subcommand("rasterizer")],
    tyro.conf.OmitSubcommandPrefixes,
]

if __name__ == "__main__":
    main(tyro.cli(Command, description=__doc__))
