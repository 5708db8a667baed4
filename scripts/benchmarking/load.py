"""Number of viewers that this machine serves at 30 frames/s, and the resource that limits it.

`busy` is the CPU use in cores: of processes (`server`, `workers`, `clients`), of the server's event
loop (its first thread), and, computed from the stages that sessions report, of its warp thread and
encoders. Where viewers share a view, the value of the warp thread is only an estimate: it is
computed from medians, which hide the one viewer per group whose frame is rendered.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from models.avatar.folder import SHIPPED
from scripts.benchmarking.avatars import resized
from scripts.benchmarking.serving import cpu_s, serve
from scripts.benchmarking.viewers import Motion, Task, ViewerProcess, ViewerResult
from server.pool.process_tree import children

_STREAM = "demo"
_SETTLE_S = 3.0
"""Time for new viewers to connect and to fill the server's statistics."""
_VIEWERS_PER_PROCESS = 8
"""Number of viewers per process: clients do not decode, and one process receives for this many
without saturating its core."""
_SATURATED = 0.85
"""Share of the time from which on a busy thread, or all cores, limit the server."""


@dataclass(frozen=True)
class Load:
    """Number of viewers that get their frames in time, and the resource that limits it."""

    viewers: int = 16
    """Greatest number of viewers."""
    fps: float = 30.0
    """Frame rate that each viewer should get."""
    enough: float = 0.9
    """Share of `fps` that the median viewer must get."""
    views: Motion = "own"
    """own: each viewer moves independently; still: all use the default view of the avatar."""
    seconds: float = 5.0
    """Duration of each measurement."""
    limit_s: float = 240.0
    """Start no further measurement after this time."""
    avatars: Path = SHIPPED
    """Folder with one folder per avatar."""
    size: int | None = None
    """Rows and columns of the frames; default: those of the avatar."""


@dataclass(frozen=True)
class LoadStep:
    """Measurement with one number of viewers."""

    viewers: int
    fps: float
    """Frame rate of the median viewer."""
    slowest_fps: float
    """Frame rate of the slowest viewer."""
    latency_ms: dict[str, float]
    """`p50` and `p95` over all viewers, from sending a view to receiving its first frame."""
    cache_age_ms: dict[str, float]
    """`p50` and `p95` of the median viewer."""
    refreshes_per_s: float
    """Refreshes for all viewers; a shared cache counts once."""
    server_ms_per_frame: float | None
    """CPU time of the server process per frame sent; None if it sent none."""
    stages_ms: dict[str, float]
    """p95 of each stage, of the median viewer."""
    busy: dict[str, float]
    """CPU use in cores, see the module."""


@dataclass(frozen=True)
class LoadResult:
    """Result of the benchmark."""

    viewers: int
    """Greatest number of viewers that got their frames in time."""
    fps: float
    """Frame rate of the median viewer at this number."""
    latency_ms: dict[str, float]
    """`p50` and `p95` at this number."""
    limit: str | None
    """Resource that limits the number; None if the greatest number was measured and held."""
    viewers_per_core: float
    event_loop_per_viewer: float
    """Cores of event loop per viewer."""
    views: Motion
    cores: int
    steps: list[LoadStep]


def load(command: Load) -> dict[str, Any]:
    """Run the benchmark."""
    began = time.monotonic()
    steps: list[LoadStep] = []
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
    return asdict(_conclude(steps, command))


def step_counts(most: int) -> list[int]:
    """Return 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, ... up to `most`."""
    counts = [1, 2]
    while counts[-1] < most:
        # Steps of a third to a half of the number so far.
        step = 1 << max(0, counts[-1].bit_length() - 2)
        counts.append(counts[-1] + step)
    return sorted({min(count, most) for count in counts})


def _measure(processes: list[ViewerProcess], pid: int, seconds: float) -> LoadStep:
    clients = [process.pid for process in processes]
    before = _cpu(pid, clients)
    for process in processes:
        process.measure(seconds)
    time.sleep(seconds)
    after = _cpu(pid, clients)
    results = [viewer for process in processes for viewer in process.result(seconds)]
    elapsed_s = after["clock"] - before["clock"]
    cores = {k: round((after[k] - before[k]) / elapsed_s, 2) for k in after if k != "clock"}
    latencies_ms = [value for viewer in results for value in viewer.latencies_ms]
    p50, p95 = np.percentile(latencies_ms, (50, 95)) if latencies_ms else (np.nan, np.nan)
    return LoadStep(
        viewers=len(results),
        fps=round(median(viewer.fps for viewer in results), 1),
        slowest_fps=round(min(viewer.fps for viewer in results), 1),
        latency_ms={"p50": round(float(p50), 1), "p95": round(float(p95), 1)},
        cache_age_ms=_median_percentiles([v.server["cache_age_ms"] for v in results]),
        refreshes_per_s=round(sum(map(_refreshes_per_s, results)), 1),
        server_ms_per_frame=_server_ms_per_frame(cores["server"], results),
        stages_ms=_stages(results),
        busy={**cores, **_threads_busy(results)},
    )


def _refreshes_per_s(viewer: ViewerResult) -> float:
    """Return the refreshes per second of a viewer; shared ones are divided among their viewers."""
    refreshes = viewer.server["refreshes"]
    return float(refreshes["per_s"]) / int(refreshes["shared_by"])


def _server_ms_per_frame(cores: float, results: list[ViewerResult]) -> float | None:
    """Return the CPU time per frame sent, which hardly depends on other load of the machine."""
    fps = sum(viewer.fps for viewer in results)
    return round(1e3 * cores / fps, 2) if fps else None


def _stages(results: list[ViewerResult]) -> dict[str, float]:
    """Return the p95 of every stage of the median viewer."""
    names = results[0].server["stages_ms"]
    return {
        name: round(median(viewer.server["stages_ms"][name]["p95"] for viewer in results), 1)
        for name in names
    }


def _cpu(pid: int, clients: list[int]) -> dict[str, float]:
    """Return the CPU seconds used so far by server, event loop, workers and clients."""
    return {
        "clock": time.monotonic(),
        "server": cpu_s(pid),
        "event_loop": cpu_s(pid, thread=pid),
        "workers": sum(map(cpu_s, children(pid))),
        "clients": sum(map(cpu_s, clients)),
    }


def _threads_busy(results: list[ViewerResult]) -> dict[str, float]:
    """Return the average number of warps and of encodes that run at the same time."""
    warp = encode = 0.0
    for viewer in results:
        stages, fps = viewer.server["stages_ms"], viewer.server["fps"]
        warp += fps * (stages["raster"]["p50"] + stages["warp"]["p50"]) / 1e3
        encode += fps * stages["encode"]["p50"] / 1e3
    return {"warp_thread": round(warp, 2), "encoder": round(encode, 2)}


def _median_percentiles(ages: list[dict[str, float]]) -> dict[str, float]:
    return {q: round(median(age[q] for age in ages), 1) for q in ("p50", "p95")}


def holds(step: LoadStep, first: LoadStep, command: Load) -> bool:
    """Return whether viewers get their frames, with at most twice the latency of one viewer."""
    in_time = step.latency_ms["p95"] <= 2 * first.latency_ms["p95"]
    return step.fps >= command.enough * command.fps and in_time


def _conclude(steps: list[LoadStep], command: Load) -> LoadResult:
    first, last = steps[0], steps[-1]
    best = next((step for step in reversed(steps) if holds(step, first, command)), None)
    cores = len(os.sched_getaffinity(0))
    viewers = best.viewers if best else 0
    reported = best or first
    return LoadResult(
        viewers=viewers,
        fps=reported.fps,
        latency_ms=reported.latency_ms,
        limit=None if last is best else limit(first, last, cores),
        viewers_per_core=round(viewers / cores, 2),
        event_loop_per_viewer=round(reported.busy["event_loop"] / reported.viewers, 3),
        views=command.views,
        cores=cores,
        steps=steps,
    )


def limit(first: LoadStep, last: LoadStep, cores: int) -> str:
    """Return the resource that limits the number of viewers.

    Args:
        first: Measurement with one viewer.
        last: Measurement with too many viewers.
        cores: Number of cores.

    Returns:
        A single thread that is saturated, or all cores; else the stage whose latency grew most.
    """
    busy = last.busy
    # Single threads first: a saturated one limits the server while cores are idle.
    for single in ("warp_thread", "event_loop"):
        if busy[single] >= _SATURATED:
            return single.replace("_", " ")
    used = {name: busy[name] for name in ("server", "workers", "clients")}
    if sum(used.values()) >= _SATURATED * cores:
        most = max(("event_loop", "warp_thread", "encoder", "clients"), key=busy.__getitem__)
        return f"all {cores} cores, most of them by: {most.replace('_', ' ')}"
    before, now = first.stages_ms, last.stages_ms
    grown = max(now, key=lambda stage: now[stage] - before.get(stage, 0.0))
    return f"latency, of which most grew: {grown}"


def _describe(step: LoadStep) -> str:
    return (
        f"{step.viewers} viewers: {step.fps} fps each (slowest {step.slowest_fps}), "
        f"latency {step.latency_ms} ms, cache age {step.cache_age_ms} ms, busy {step.busy}"
    )
