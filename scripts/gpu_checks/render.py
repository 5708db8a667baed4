"""Frames of the device compared with those of the CPU, and their times."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar.folder import SHIPPED, Avatar, load_avatar
from models.avatar.manifest import Manifest
from models.contract.frame_state import FrameState
from models.runtime.base import Cache, Runtime
from models.runtime.build_runtime import gpu_runtime
from models.runtime.crossfade import Crossfade
from models.runtime.deferred_crossfade import DeferredCrossfade
from models.runtime.renderer import CachedRenderer
from models.runtime.telewarp_cpu import TelewarpCpuRuntime
from scripts.benchmarking.avatars import front, load_resized, swaying
from scripts.benchmarking.models import image_difference
from scripts.benchmarking.timing import percentiles
from scripts.gpu_checks.check import Target, Values, expect
from scripts.gpu_checks.goals import BATCH, BESIDE, FULL, WARP, goal_avatar, judge
from scripts.gpu_checks.interpreter import use_interpreter

_SIZE = 512
"""Rows and columns of the frames of the goals."""
_INTERPRETED_SIZE = 64
_MEAN_LEVELS, _LARGEST_LEVELS = 0.5, 16
"""Allowed difference from the CPU in 8-bit levels: convolutions in bfloat16 have three digits."""
_BATCHES = (1, 2, 4, 8)


def correctness(target: Target) -> Values:
    """Compare full render, warp, crossfade and batch with those of the CPU.

    In a dry run Triton's interpreter renders small frames; its full renders are those of the CPU.
    """
    avatar = _compared_avatar(target)
    ours = gpu_runtime(avatar, torch.device(target.device), "triton")
    made = _frames(ours, avatar.manifest)
    expected = _frames(TelewarpCpuRuntime(avatar, 1), avatar.manifest)
    if not target.is_gpu:
        del made["full"]
    values = {name: image_difference(made[name], expected[name]) for name in made}
    for name, difference in values.items():
        close = difference["mean"] <= _MEAN_LEVELS and difference["largest"] <= _LARGEST_LEVELS
        allowed = f"{_MEAN_LEVELS} on average and {_LARGEST_LEVELS} at most"
        expect(close, f"{name}: expected a difference of {allowed}, got {difference}", values)
    return values


def speed(target: Target) -> Values:
    """Time warps, refreshes and full renders, and count what a warp launches and copies."""
    values: Values = {"shipped": _speed(_shipped(target), target)}
    found = values["shipped"]
    if target.is_gpu:
        values["goal"] = found = _speed(goal_avatar(target), target)
    judge(target, {WARP: found["warp_ms"]["p50"], FULL: found["full_ms"]["p50"]}, values)
    return values


def _speed(avatar: Avatar, target: Target) -> Values:
    renderer = CachedRenderer(avatar, target.device, kernels="triton")
    renderer.warm_up()
    cache, states = renderer.allocate_cache(), _states(renderer)
    renderer.refresh(states[0], cache)
    calls: dict[str, Callable[[FrameState], object]] = {
        "warp": lambda state: renderer.warp_nv12(state, cache),
        "refresh": lambda state: renderer.refresh(state, cache),
        "full": renderer.full,
    }
    m = renderer.manifest
    values: Values = {"size": m.resolution, "network_size": m.network.network_size}
    for name, call in calls.items():
        values[f"{name}_ms"] = percentiles(_times_ms(call, states, target))
    values["per_warp"] = _profile(lambda: renderer.warp_nv12(states[1], cache), target)
    return values


def batches(target: Target) -> Values:
    """Frames per second by the number of frames in one run of the kernels."""
    target.require_gpu(f"warps of {_BATCHES} viewers at once, frames per second of each; {BATCH}")
    avatar = goal_avatar(target)
    runtime = gpu_runtime(avatar, torch.device(target.device), "triton")
    caches = [_allocate(runtime) for _ in range(max(_BATCHES))]
    states = [swaying(avatar.manifest, 0.1 * index) for index in range(max(_BATCHES))]
    for cache in caches:
        runtime.refresh(states[0], cache)
    values: Values = {}
    for batch in _BATCHES:
        frames = list(zip(states[:batch], caches[:batch], strict=True))
        call = partial(_warp_batch, runtime, frames)
        times = _times_ms(call, states, target)
        p50 = percentiles(times)["p50"]
        assert p50 is not None
        values[str(batch)] = {"ms": p50, "frames_per_s": round(1e3 * batch / p50)}
    judge(target, {BATCH: values["8"]["frames_per_s"]}, values)
    return values


def _warp_batch(runtime: Runtime, frames: list[tuple[FrameState, Cache]], _: FrameState) -> None:
    runtime.warp_nv12_batch(frames)


def beside(target: Target) -> Values:
    """Time warps alone, beside a refreshing process, and beside a refreshing stream.

    The goal is judged by the process, which is what servers use.
    """
    renderer = CachedRenderer(goal_avatar(target), target.device, kernels="triton")
    renderer.warm_up()
    cache, states = renderer.allocate_cache(), _states(renderer)
    renderer.refresh(states[0], cache)
    measure = partial(_times_ms, lambda state: renderer.warp_nv12(state, cache), states, target)
    values: Values = {"alone_ms": percentiles(measure())}
    with refreshing_process(target.device):
        values["beside_process_ms"] = percentiles(measure())
    if target.is_gpu:
        with _refreshing_thread(target), torch.cuda.stream(_urgent_stream(target)):
            values["beside_stream_ms"] = percentiles(measure())
    ratio = values["beside_process_ms"]["p50"] / values["alone_ms"]["p50"]
    judge(target, {BESIDE: round(ratio, 2)}, values)
    return values


@contextmanager
def refreshing_process(device: str) -> Iterator[None]:
    """Refresh caches in another process, one after the other."""
    command = [sys.executable, "-m", "scripts.gpu_checks.refresher", device]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        process.stdout.readline()  # it has begun
        yield
    finally:
        process.kill()
        process.wait()


def _urgent_stream(target: Target) -> torch.cuda.Stream:
    """Return a stream whose kernels start before those of other waiting streams."""
    return torch.cuda.Stream(target.device, priority=-1)  # type: ignore[no-untyped-call]  # torch has no types for it


@contextmanager
def _refreshing_thread(target: Target) -> Iterator[None]:
    """Refresh caches in another thread and stream of this process, one after the other."""
    renderer = CachedRenderer(goal_avatar(target), target.device)
    cache, states = renderer.allocate_cache(), _states(renderer)
    done = threading.Event()

    def refresh() -> None:
        stream = torch.cuda.Stream(target.device)  # type: ignore[no-untyped-call]  # torch has no types for it
        with torch.cuda.stream(stream):
            while not done.is_set():
                renderer.refresh(states[0], cache)
                stream.synchronize()

    thread = threading.Thread(target=refresh)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _frames(runtime: Runtime, manifest: Manifest) -> dict[str, NDArray[np.uint8]]:
    """Render one state in every way, and a batch of several."""
    first, second, now = (swaying(manifest, t) for t in (0.0, 0.2, 0.5))
    older, newer = _allocate(runtime), _allocate(runtime)
    runtime.refresh(first, older)
    runtime.refresh(second, newer)
    fade: Crossfade = (
        DeferredCrossfade(_allocate(runtime), _allocate(runtime), runtime)
        if runtime.mixes
        else Crossfade(_allocate(runtime), runtime)
    )
    fade.follow(older, 1, 0.0)
    batch = runtime.warp_nv12_batch([(now, newer), (now, older), (second, older)])
    return {
        "full": runtime.full(now),
        "warp": runtime.warp(now, newer).rgb,
        "crossfade": runtime.warp(now, fade.follow(newer, 2, 0.2)).rgb,
        "batch": np.stack([image.nv12 for image in batch]),
    }


def _times_ms(
    call: Callable[[FrameState], object], states: list[FrameState], target: Target
) -> list[float]:
    times = []
    for index in range(target.rounds):
        started = time.perf_counter()
        call(states[index % len(states)])
        if target.is_gpu:
            torch.cuda.synchronize(target.device)
        times.append((time.perf_counter() - started) * 1e3)
    return times[len(times) // 5 :]  # the first ones are a warm-up


def _profile(call: Callable[[], object], target: Target) -> Values:
    """Count the kernels and the bytes copied by a call."""
    if not target.is_gpu:
        return {"launches": "needs a GPU"}
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as found:
        call()
        torch.cuda.synchronize(target.device)
    names = Counter(e.name for e in found.events() if str(e.device_type).endswith("CUDA"))
    copies = sum(count for name, count in names.items() if name.startswith("Mem"))
    return {"launches": sum(names.values()) - copies, "copies": copies}


def _states(renderer: CachedRenderer) -> list[FrameState]:
    return [front(renderer.manifest), *(swaying(renderer.manifest, t / 10) for t in range(1, 9))]


def _shipped(target: Target) -> Avatar:
    """Return the shipped avatar, on a GPU at the size of the goals."""
    if not target.is_gpu:
        return load_avatar(SHIPPED / "default")
    return load_resized(SHIPPED / "default", _SIZE)


def _compared_avatar(target: Target) -> Avatar:
    """Return the shipped avatar; in a dry run a small one, for the interpreter."""
    if target.is_gpu:
        return load_avatar(SHIPPED / "default")
    use_interpreter()
    return load_resized(SHIPPED / "default", _INTERPRETED_SIZE)


def _allocate(runtime: Runtime) -> Cache:
    device = runtime.stage.device
    return {s.name: torch.zeros(s.shape, dtype=s.dtype, device=device) for s in runtime.layout}
