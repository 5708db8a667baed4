"""Offset between voice and lips at a viewer: Chromium publishes a fake camera and microphone."""

from __future__ import annotations

import json
import os
import tempfile
import urllib.request
import wave
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import pi, sin
from pathlib import Path
from struct import pack
from typing import Any

import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, sync_playwright

from models.avatar.folder import SHIPPED
from scripts.benchmarking.avatars import resized
from scripts.benchmarking.chromium import CHROMIUM_FLAGS, find_chromium
from scripts.benchmarking.fake_camera import (
    FPS,
    camera_flags,
    render,
    require_tracker,
    write_y4m,
)
from scripts.benchmarking.serving import serve

PROBES = Path(__file__).with_name("voice_probes.js")
_STREAM = "benchmark"
_RATE = 48_000
_SOUND_AT_ONCE = "--autoplay-policy=no-user-gesture-required"
_PERIOD_S = 1
_BEEP_S = 0.15
_JAW = (0.0, 0.35, 0.7) + (0.7,) * 5 + (0.35,)
"""Opening of the jaw in the frames from a beep's on; closed in the others of the period."""
_HALF_OPEN = 0.5
"""Threshold of an open jaw, as a share of the greatest tracked opening."""
_ALIGN_S = 12.0
"""Time until the page has aligned the voice, seconds."""
_SETTLE_S = 4.0
"""Time until the latency of a video without voice is steady, seconds."""
_LARGEST_MS = 500.0
"""Largest time between a beep and the opening of the jaw that belongs to it: half a period."""

_TRACKING_MS = 60
_MAKE_FACES = """async ({ stream, late_ms }) => {
  const { WhipSession } = await import("/js/connection/whip_session.js");
  const { openMicrophone } = await import("/js/voice/microphone.js");
  const { packedMesh } = await import("/js/connection/packed_mesh.js");
  const head = { rotation: [0, 0, 0, 1], translation: [0, 0, 0] };
  const microphone = await openMicrophone();
  const session = new WhipSession(microphone.getAudioTracks()[0], {});
  await session.open(new URL(`/v1/streams/${stream}/whip`, location.href));
  let seq = Date.now();
  setInterval(() => {
    const captured_at_ms = performance.timeOrigin + performance.now();
    const phase_ms = (captured_at_ms - (voiceProbes.captured[0] ?? 0)) % 1000;
    const expression = Array(52).fill(0);
    expression[jawIndex] = Math.max(0, Math.min(0.7, phase_ms / 100, (400 - phase_ms) / 100));
    const frame = packedMesh({ seq: ++seq, captured_at_ms, head, expression });
    setTimeout(() => session.send(frame), late_ms);
  }, 33);
}"""
OpenWindow = Callable[..., Page]
Times = NDArray[np.float64]
"""Milliseconds."""


@dataclass(frozen=True)
class Voice:
    """Offset between voice and lips at a viewer, and the effect of the voice on the video."""

    seconds: float = 15.0
    """Duration of each measurement, after 12 s to align the voice, or 4 s without one."""
    rounds: int = 2
    """Measurements with the voice; between them, as many without it."""
    fps: float = 30.0
    """Greatest frame rate of the server."""
    tracker: bool = True
    """Track a camera. Otherwise the publisher sends synthetic faces, delayed by 60 ms like a
    tracker's, for machines that cannot track and render at the same time."""
    avatars: Path = SHIPPED
    """Folder with one folder per avatar."""
    size: int | None = None
    """Rows and columns of the frames, a multiple of 32; default: those of the avatar."""


def voice(command: Voice) -> dict[str, Any]:
    """Run the benchmark."""
    if command.tracker:
        require_tracker()
    with (
        resized(command.avatars, command.size) as avatars,
        serve("--fps", str(command.fps), "--avatars", str(avatars), "--max-sessions", "4") as (
            address,
            _,
        ),
        tempfile.TemporaryDirectory() as scratch,
        _browser(address, Path(scratch)) as open_window,
    ):
        publisher = (_publisher if command.tracker else _face_maker)(open_window, address)
        runs = [
            _watch(open_window, address, publisher, command.seconds, with_voice)
            for _ in range(command.rounds)
            # Alternating, so that a change of the machine's load affects both.
            for with_voice in (True, False)
        ]
        sent = publisher.evaluate("window.telewarp?.stats().publishing")
    return _summary(runs) | _sent(sent)


@contextmanager
def _browser(address: str, scratch: Path) -> Iterator[OpenWindow]:
    """Yield a function that opens a page in a new window, because covered windows do not track."""
    video, sound = scratch / "camera.y4m", scratch / "microphone.wav"
    write_y4m(video, _speaking_face(address))
    _write_beeps(sound)
    flags = [*CHROMIUM_FLAGS, *camera_flags(video), f"--use-file-for-fake-audio-capture={sound}"]
    names = _get(f"{address}/v1/avatars/default")["expression_names"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=find_chromium(), args=[*flags, _SOUND_AT_ONCE]
        )

        def open_window(more: str = "") -> Page:
            context = browser.new_context(
                bypass_csp=True, permissions=["camera", "microphone"],
                viewport={"width": 1280, "height": 800},
            )  # fmt: skip
            context.add_init_script(f"window.jawIndex = {names.index('jawOpen')}; {more}")
            context.add_init_script(path=PROBES)
            return context.new_page()

        yield open_window
        browser.close()


def _speaking_face(address: str) -> list[Any]:
    images = {jaw: render(address, {"expression": {"jawOpen": jaw}}) for jaw in set(_JAW)}
    opening = [images[jaw] for jaw in _JAW]
    return opening + [images[0.0]] * (_PERIOD_S * FPS - len(opening))


def _write_beeps(file: Path) -> None:
    def sample(index: int) -> int:
        if index >= _BEEP_S * _RATE:
            return 0
        # Harmonics of a vowel, because the browser's noise suppression removes a pure tone as
        # noise.
        phase = 2 * pi * 160 * index / _RATE
        return int(9000 * sum(sin(phase * n) / n for n in range(1, 6)))

    with wave.open(str(file), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(_RATE)
        out.writeframes(b"".join(pack("<h", sample(i)) for i in range(_PERIOD_S * _RATE)))


def _get(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as response:
        return json.load(response)


def _publisher(open_window: OpenWindow, address: str) -> Page:
    page = open_window()
    page.goto(f"{address}/?publish={_STREAM}")
    page.wait_for_selector("[data-avatars] input:checked", state="attached")
    page.click("[data-go]")
    page.wait_for_function("window.telewarp?.stats().fps_shown > 2", timeout=120_000)
    return page


def _watch(
    open_window: OpenWindow, address: str, publisher: Page, seconds: float, with_voice: bool
) -> dict[str, Any]:
    """Open a viewer, and return what both pages recorded while it was measured."""
    page = open_window("" if with_voice else "window.withoutVoice = true;")
    page.goto(f"{address}/?stream={_STREAM}")
    page.wait_for_function("window.telewarp?.stats().fps_shown > 2", timeout=60_000)
    page.wait_for_timeout((_ALIGN_S if with_voice else _SETTLE_S) * 1000)
    began_ms = page.evaluate("performance.timeOrigin + performance.now()")
    page.wait_for_timeout(seconds * 1000)
    recorded = {**publisher.evaluate("voiceProbes")}
    recorded |= {name: page.evaluate("voiceProbes")[name] for name in ("shown", "heard")}
    told = page.evaluate("telewarp.stats().voice") if with_voice else None
    page.context.close()
    return {"with_voice": with_voice, "began_ms": began_ms, "told": told, **recorded}


def _face_maker(open_window: OpenWindow, address: str) -> Page:
    """Publish a voice and synthetic faces whose jaw opens with each beep, without a camera."""
    _post(f"{address}/v1/streams", {"avatar": "default", "id": _STREAM})
    page = open_window()
    page.goto(f"{address}/healthz")
    page.evaluate(_MAKE_FACES, {"stream": _STREAM, "late_ms": _TRACKING_MS})
    return page


def _post(address: str, body: dict[str, Any]) -> None:
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()


def _sent(publishing: dict[str, Any] | None) -> dict[str, float]:
    names = ("sent_kbps", "voice_kbps", "tracked_fps")
    return {name: round(publishing[name], 1) for name in names} if publishing else {}


def _summary(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    spoken = [run for run in runs if run["with_voice"]]
    offsets = np.concatenate([_offsets(run) for run in spoken])  # empty where nothing was heard
    return {
        "voice_after_lips_ms": {
            "p50": _rank(offsets, 50),
            "p95_absolute": _rank(np.abs(offsets), 95),
            "beeps": len(offsets),
        },
        "page_shows_ms": [
            {q: run["told"]["offset_ms"][q] for q in ("p50", "p95")} for run in spoken
        ],
        "voice_path_ms": _percentiles([d for run in spoken for d in _voice_path(run)]),
        "face_path_ms": {
            name: _percentiles([d for run in runs if run["with_voice"] is on for d in _face(run)])
            for name, on in (("with_voice", True), ("without_voice", False))
        },
        "face_path_of_rounds_ms": [
            {
                "with_voice": run["with_voice"],
                **_percentiles(_face(run)),
                "until_sent": _percentiles(_tracked(run)),
            }
            for run in runs
        ],
        "cores": os.cpu_count(),
    }


def _offsets(run: dict[str, Any]) -> Times:
    """Return the delay of each beep against the jaw's opening, ms."""
    # Reversed, so that the first time counts at which a frame is shown.
    first_shown = dict(reversed(run["shown"]))
    seen = [(first_shown[seq], jaw) for seq, _, jaw, _ in run["meshes"] if seq in first_shown]
    told = [(at, jaw) for _, at, jaw, _ in run["meshes"]]
    after = _pair(run["heard"], _openings(seen), run["began_ms"])
    before = _pair(run["captured"], _openings(told), run["began_ms"] - 2000)
    if not len(before):
        return np.empty(0)
    # The offset between camera and microphone at the source is not caused by the path.
    return after - np.median(before)


def _openings(jaws: Sequence[tuple[float, float]]) -> list[float]:
    """Return the times at which the jaw reaches half of its greatest opening, interpolated."""
    level = _HALF_OPEN * max((jaw for _, jaw in jaws), default=0.0)
    return [
        at + (level - jaw) / (next_jaw - jaw) * (next_at - at)
        for (at, jaw), (next_at, next_jaw) in pairwise(jaws)
        if jaw < level <= next_jaw
    ]


def _pair(beeps: Sequence[float], openings: Sequence[float], since_ms: float) -> Times:
    """Return each beep minus the nearest opening of the jaw, ms; a busy machine may show none."""
    if not openings:
        return np.empty(0)
    jaws = np.array(openings)
    nearest = [beep - jaws[np.abs(jaws - beep).argmin()] for beep in beeps if beep > since_ms]
    return np.array([apart for apart in nearest if abs(apart) < _LARGEST_MS])


def _voice_path(run: dict[str, Any]) -> list[float]:
    """Return the latency of each beep from the microphone to the loudspeaker, ms."""
    captured = np.array(run["captured"])
    late = [
        heard - captured[captured < heard]
        for heard in run["heard"]
        if heard > run["began_ms"] and (captured < heard).any()
    ]
    return [float(delays.min()) for delays in late]


def _face(run: dict[str, Any]) -> list[float]:
    """Return the latency of each face from the camera to the screen, ms."""
    captured = {seq: at for seq, at, _, _ in run["meshes"]}
    first_shown = {seq: at for seq, at in reversed(run["shown"]) if at > run["began_ms"]}
    return [at - captured[seq] for seq, at in first_shown.items() if seq in captured]


def _tracked(run: dict[str, Any]) -> list[float]:
    """Return the time of each face from the camera until it is sent, ms."""
    return [sent - at for _, at, _, sent in run["meshes"] if at > run["began_ms"]]


def _percentiles(values: Sequence[float]) -> dict[str, float | None]:
    return {"p50": _rank(np.array(values), 50), "p95": _rank(np.array(values), 95)}


def _rank(values: Times, percent: float) -> float | None:
    return round(float(np.percentile(values, percent)), 1) if len(values) else None
