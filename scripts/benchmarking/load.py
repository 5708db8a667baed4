"""How many viewers this machine holds at 30 frames a second, and what runs out first.

`busy` says what was used, in cores: by whole processes (`server`, `workers`, `clients`), by the
server's event loop (the server's first thread), and, from the stages that the sessions report, by
its warp thread and its encoders. Where viewers share pictures, the warp thread does less than that
says or more, since medians hide the few who wait for a picture to be drawn for all.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from models.avatar.folder import SHIPPED
from scripts.benchmarking.avatars import resized
from scripts.benchmarking.serving import children, cpu_s, serve
from scripts.benchmarking.viewers import Motion, Seen, Task, ViewerProcess

_STREAM = "demo"
_SETTLE_S = 3.0
_VIEWERS_PER_PROCESS = 8
_FULL = 0.85
"""A thread that is busy for more than this part of the time has run out."""


@dataclass(frozen=True)
class Load:
    """How many viewers get their frames in time, and what runs out first."""

    viewers: int = 16
    """Go no further than this."""
    fps: float = 30.0
    """Frames a second each viewer is to get."""
    enough: float = 0.9
    """The median viewer must get this part of them."""
    views: Motion = "own"
    """own: each viewer moves in its own way; still: all look from the avatar's own viewpoint."""
    seconds: float = 5.0
    """Of each measurement."""
    limit_s: float = 240.0
    """Begin no further measurement after this."""
    avatars: Path = SHIPPED
    """Folder with one folder per avatar."""
    size: int | None = None
    """Rows and columns of the picture; the avatar's own where left out."""


def load(command: Load) -> dict[str, Any]:
    """See `Load`."""
    began = time.monotonic()
    steps: list[dict[str, Any]] = []
    with (
        resized(command.avatars, command.size) as avatars,
        serve(
            "--fps", str(command.fps), "--max-sessions", str(command.viewers),
            "--avatars", str(avatars),
        ) as (address, pid),
        ExitStack() as stack,
    ):  # fmt: skip
        processes: list[ViewerProcess] = []
        count = 0
        for wanted in step_counts(command.viewers):
            while count < wanted:
                more = min(wanted - count, _VIEWERS_PER_PROCESS)
                process = ViewerProcess(Task(address, _STREAM, count, more, command.views))
                stack.callback(process.close)
                if not process.connected():
                    raise SystemExit(f"benchmark: the server refused viewer {count + more}")
                processes.append(process)
                count += more
            time.sleep(_SETTLE_S)
            steps.append(_measure(processes, pid, command.seconds))
            print(_describe(steps[-1]))
            if not holds(steps[-1], steps[0], command):
                break
            if time.monotonic() - began > command.limit_s:
                print(f"stopped after {command.limit_s:g} s")
                break
    return _conclude(steps, command)


def step_counts(most: int) -> list[int]:
    """1, 2, 3, 4, 6, 8, 12, 16, 24, 32, ... up to `most`."""
    counts = [1, 2]
    while counts[-1] < most:
        step = 1 << max(0, counts[-1].bit_length() - 2)
        counts.append(counts[-1] + step)
    return sorted({min(count, most) for count in counts})


def _measure(processes: list[ViewerProcess], pid: int, seconds: float) -> dict[str, Any]:
    clients = [process.pid for process in processes]
    before = _cpu(pid, clients)
    for process in processes:
        process.measure(seconds)
    time.sleep(seconds)
    after = _cpu(pid, clients)
    seen = [viewer for process in processes for viewer in process.result(seconds)]
    elapsed_s = after["clock"] - before["clock"]
    cores = {k: round((after[k] - before[k]) / elapsed_s, 2) for k in after if k != "clock"}
    latencies_ms = [value for viewer in seen for value in viewer.latencies_ms]
    p50, p95 = np.percentile(latencies_ms, (50, 95)) if latencies_ms else (np.nan, np.nan)
    return {
        "viewers": len(seen),
        "fps": round(median(viewer.fps for viewer in seen), 1),
        "slowest_fps": round(min(viewer.fps for viewer in seen), 1),
        "latency_ms": {"p50": round(float(p50), 1), "p95": round(float(p95), 1)},
        "cache_age_ms": _median_stage([v.server["cache_age_ms"] for v in seen]),
        "refreshes_per_s": round(sum(map(_refreshes_per_s, seen)), 1),
        "server_ms_per_frame": _server_ms_per_frame(cores["server"], seen),
        "stages_ms": _stages(seen),
        "busy": {**cores, **_threads_busy(seen)},
    }


def _refreshes_per_s(viewer: Seen) -> float:
    """A viewer's part of those it is shown."""
    refreshes = viewer.server["refreshes"]
    return float(refreshes["per_s"]) / refreshes["shared_by"]


def _server_ms_per_frame(cores: float, seen: list[Seen]) -> float | None:
    """What the server spends on each frame sent: hardly changed by what else a machine does."""
    fps = sum(viewer.fps for viewer in seen)
    return round(1e3 * cores / fps, 2) if fps else None


def _stages(seen: list[Seen]) -> dict[str, float]:
    """The median viewer's p95 of every stage."""
    names = seen[0].server["stages_ms"]
    return {
        name: round(median(viewer.server["stages_ms"][name]["p95"] for viewer in seen), 1)
        for name in names
    }


def _cpu(pid: int, clients: list[int]) -> dict[str, float]:
    """Seconds of CPU used so far: the server with its event loop, its workers, the viewers."""
    return {
        "clock": time.monotonic(),
        "server": cpu_s(pid),
        "event_loop": cpu_s(pid, thread=pid),
        "workers": sum(map(cpu_s, children(pid))),
        "clients": sum(map(cpu_s, clients)),
    }


def _threads_busy(seen: list[Seen]) -> dict[str, float]:
    """Part of the time in which there is a warp, and how many frames are encoded on average."""
    warp = encode = 0.0
    for viewer in seen:
        stages, fps = viewer.server["stages_ms"], viewer.server["fps"]
        warp += fps * (stages["raster"]["p50"] + stages["warp"]["p50"]) / 1e3
        encode += fps * stages["encode"]["p50"] / 1e3
    return {"warp_thread": round(warp, 2), "encoder": round(encode, 2)}


def _median_stage(ages: list[dict[str, float]]) -> dict[str, float]:
    return {q: round(median(age[q] for age in ages), 1) for q in ("p50", "p95")}


def holds(step: dict[str, Any], first: dict[str, Any], command: Load) -> bool:
    """Whether the viewers still get what a single one gets."""
    in_time = step["latency_ms"]["p95"] <= 2 * first["latency_ms"]["p95"]
    return bool(step["fps"] >= command.enough * command.fps and in_time)


def _conclude(steps: list[dict[str, Any]], command: Load) -> dict[str, Any]:
    first, last = steps[0], steps[-1]
    best = next((step for step in reversed(steps) if holds(step, first, command)), None)
    cores = len(os.sched_getaffinity(0))
    held = best["viewers"] if best else 0
    shown = best or first
    return {
        "viewers": held,
        "fps": shown["fps"],
        "latency_ms": shown["latency_ms"],
        "limit": None if last is best else limit(first, last, cores),
        "viewers_per_core": round(held / cores, 2),
        "event_loop_per_viewer": round(shown["busy"]["event_loop"] / shown["viewers"], 3),
        "views": command.views,
        "cores": cores,
        "steps": steps,
    }


def limit(first: dict[str, Any], last: dict[str, Any], cores: int) -> str:
    """What has run out at the `last` step: a thread of which there is one, or the cores.

    Where neither has, frames only wait longer than at the `first` step: the stage that grew most.
    """
    busy = last["busy"]
    for single in ("warp_thread", "event_loop"):
        if busy[single] >= _FULL:
            return single.replace("_", " ")
    used = {name: busy[name] for name in ("server", "workers", "clients")}
    if sum(used.values()) >= _FULL * cores:
        most = max(("event_loop", "warp_thread", "encoder", "clients"), key=busy.__getitem__)
        return f"all {cores} cores, most of them by: {most.replace('_', ' ')}"
    before, now = first["stages_ms"], last["stages_ms"]
    grown = max(now, key=lambda stage: now[stage] - before.get(stage, 0.0))
    return f"latency, of which most grew: {grown}"


def _describe(step: dict[str, Any]) -> str:
    return (
        f"{step['viewers']} viewers: {step['fps']} fps each (slowest {step['slowest_fps']}), "
        f"latency {step['latency_ms']} ms, cache age {step['cache_age_ms']} ms, "
        f"busy {step['busy']}"
    )
