"""Frames of the device compared with those of the CPU, and their times."""

from __future__ import annotations

import importlib
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch

from models.avatar.folder import SHIPPED, Avatar, load_avatar
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from models.runtime.base import Cache
from models.runtime.renderer import CachedRenderer
from scripts.benchmarking.avatars import front, load_resized, swaying
from scripts.benchmarking.models import image_difference
from scripts.benchmarking.timing import percentiles
from scripts.gpu_checks.check import SkipError, Target, Values, expect

_SIZE = 512
"""Rows and columns of the frames of the goals."""
_MEAN_LEVELS, _LARGEST_LEVELS = 0.5, 16
"""Allowed difference from the CPU in 8-bit levels: convolutions in bfloat16 have three digits."""
_BATCHES = (1, 2, 4, 8)


def correctness(target: Target) -> Values:
    """Compare full render, refresh with warp, and crossfade with those of the CPU."""
    avatar = load_avatar(SHIPPED / "default")
    ours, reference = _frames(avatar, target.device), _frames(avatar, "cpu")
    values = {name: image_difference(ours[name], reference[name]) for name in ours}
    for name, difference in values.items():
        close = difference["mean"] <= _MEAN_LEVELS and difference["largest"] <= _LARGEST_LEVELS
        allowed = f"{_MEAN_LEVELS} on average and {_LARGEST_LEVELS} at most"
        expect(close, f"{name}: expected a difference of {allowed}, got {difference}", values)
    return values


def speed(target: Target) -> Values:
    """Time warps, refreshes and full renders, and count what a warp launches and copies."""
    renderer = CachedRenderer(_avatar(target), target.device)
    renderer.warm_up()
    cache, states = renderer.allocate_cache(), _states(renderer)
    renderer.refresh(states[0], cache)
    calls: dict[str, Callable[[FrameState], object]] = {
        "warp": lambda state: renderer.warp_nv12(state, cache),
        "refresh": lambda state: renderer.refresh(state, cache),
        "full": renderer.full,
    }
    values: Values = {"size": renderer.manifest.resolution}
    for name, call in calls.items():
        values[f"{name}_ms"] = percentiles(_times_ms(call, states, target))
    values["per_warp"] = _profile(lambda: renderer.warp_nv12(states[1], cache), target)
    return values


def batches(target: Target) -> Values:
    """Frames per second by the number of frames in one run of the kernels."""
    target.require_gpu(f"warps of {_BATCHES} viewers at once, frames per second of each")
    runtime = _cuda_runtime(target)
    caches = [_allocate(runtime, target.device) for _ in range(max(_BATCHES))]
    states = [swaying(runtime_manifest(), 0.1 * index) for index in range(max(_BATCHES))]
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
    return values


def _warp_batch(runtime: Any, frames: list[tuple[FrameState, Cache]], _: FrameState) -> None:
    runtime.warp_nv12_batch(frames)


def beside(target: Target) -> Values:
    """Time warps alone, beside a refreshing process, and beside a refreshing stream."""
    renderer = CachedRenderer(_avatar(target), target.device)
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
    renderer = CachedRenderer(_avatar(target), target.device)
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


def _frames(avatar: Avatar, device: str) -> dict[str, RgbImage]:
    """Render one state in every way."""
    renderer = CachedRenderer(avatar, device)
    first, second, now = (swaying(avatar.manifest, t) for t in (0.0, 0.2, 0.5))
    older, newer = renderer.allocate_cache(), renderer.allocate_cache()
    renderer.refresh(first, older)
    renderer.refresh(second, newer)
    fade = renderer.crossfade()
    fade.follow(older, 1, 0.0)
    return {
        "full": renderer.full(now),
        "warp": renderer.warp(now, newer).rgb,
        "crossfade": renderer.warp(now, fade.follow(newer, 2, 0.2)).rgb,
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


def _avatar(target: Target) -> Avatar:
    if not target.is_gpu:
        return load_avatar(SHIPPED / "default")
    return load_resized(SHIPPED / "default", _SIZE)


def runtime_manifest() -> Any:
    """The manifest of the avatar that batches are measured with."""
    return load_avatar(SHIPPED / "default").manifest


def _cuda_runtime(target: Target) -> Any:
    try:
        module = importlib.import_module("models.runtime.telewarp_cuda")
    except ImportError as exc:
        raise SkipError(f"no kernels for GPUs: {exc}") from exc
    avatar = load_resized(SHIPPED / "default", _SIZE)
    return module.TelewarpCudaRuntime(avatar, torch.device(target.device))


def _allocate(runtime: Any, device: str) -> Cache:
    return {s.name: torch.zeros(s.shape, dtype=s.dtype, device=device) for s in runtime.layout}
