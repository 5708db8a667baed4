"""Milliseconds of warp and full render, optimized and as plain float32 torch with equal weights.

Measures the renderer of the server (`warp_ms`) and the same networks as plain float32 torch
(`warp_plain_ms`); with `--width` also random networks of that size, ours and those of the paper.
`warp_ratio_to_paper` compares our renderer with the paper's networks in plain torch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from models.avatar.folder import SHIPPED, Avatar, load_avatar
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from models.networks.avatar_networks import Variant
from models.networks.frame_batch import FrameBatch
from models.runtime.base import Stage
from models.runtime.build_runtime import Kernels
from models.runtime.renderer import CachedRenderer
from scripts.benchmarking.avatars import front, load_widened, swaying
from scripts.benchmarking.timing import interleaved_ms


@dataclass(frozen=True)
class Models:
    """Milliseconds of warp and full render, optimized and as plain float32 torch."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder; always measured at its own resolution."""
    width: float | None = 1.0
    """Also measure networks of this size n, with random weights."""
    size: int = 256
    """Rows and columns of their frames."""
    device: str = "cpu"
    """PyTorch device, such as cuda."""
    kernels: Kernels = "auto"
    """Kernels that warp on a GPU."""
    threads: int = 1
    """CPU threads."""
    rounds: int = 15
    """Repetitions; medians are reported."""


class _Plain:
    """The networks of an avatar in plain float32 torch: no prepared caches, no fused kernels."""

    def __init__(self, avatar: Avatar, device: torch.device) -> None:
        self.stage = Stage(avatar, device)
        self._networks = avatar.networks.to(device)

    @torch.inference_mode()
    def cache(self, state: FrameState) -> tuple[FrameBatch, Any]:
        frame = self.stage.frame(state)
        return frame, self._networks.full(frame).cache

    @torch.inference_mode()
    def full(self, state: FrameState) -> RgbImage:
        return self.stage.compose(self._networks.full(self.stage.frame(state)).image)

    @torch.inference_mode()
    def warp(self, state: FrameState, old: FrameBatch, cache: Any) -> RgbImage:
        return self.stage.compose(self._networks.warp(cache, old, self.stage.frame(state)))


def models(command: Models) -> dict[str, Any]:
    """Run the benchmark."""
    torch.set_num_threads(command.threads)
    device = torch.device(command.device)
    rows = [_compare(load_avatar(command.avatar), device, command, weights="its own")]
    if command.width is not None:
        rows += [_compare_width("live", device, command), _compare_width("paper", device, command)]
        rows[1]["warp_ratio_to_paper"] = _ratio(rows[2]["warp_plain_ms"], rows[1]["warp_ms"])
        rows[1]["full_ratio_to_paper"] = _ratio(rows[2]["full_plain_ms"], rows[1]["full_ms"])
    for row in rows:
        print(_describe(row))
    return {**rows[0], "rows": rows}


def _compare_width(variant: Variant, device: torch.device, command: Models) -> dict[str, Any]:
    """Measure random networks of the width of the command, with the head of the avatar."""
    assert command.width is not None
    avatar = load_widened(command.avatar, command.size, command.width, variant)
    return _compare(avatar, device, command, weights="random")


def _compare(avatar: Avatar, device: torch.device, command: Models, weights: str) -> dict[str, Any]:
    m = avatar.manifest
    before, now = front(m), swaying(m, 0.5)
    began = time.perf_counter()
    ours = CachedRenderer(avatar, command.device, command.threads, command.kernels)
    ours.warm_up()
    start_s = time.perf_counter() - began
    cache = ours.allocate_cache()
    ours.refresh(before, cache)
    plain = _Plain(avatar, device)
    plain_cache = plain.cache(before)
    calls: dict[str, Callable[[], RgbImage]] = {
        "warp_ms": lambda: ours.warp(now, cache).rgb,
        "warp_plain_ms": lambda: plain.warp(now, *plain_cache),
        "full_ms": lambda: ours.full(now),
        "full_plain_ms": lambda: plain.full(now),
    }
    images = {name: call() for name, call in calls.items()}
    # In turn, so that other load of the machine affects all of them.
    times = interleaved_ms(
        {**calls, "refresh_ms": lambda: _refresh(ours, now, cache)}, command.rounds
    )
    return {
        "networks": m.network.variant,
        "network_size": m.network.network_size,
        "resolution": m.resolution,
        "weights": weights,
        "device": _name(device, command.threads),
        **times,
        "warp_ratio": _ratio(times["warp_plain_ms"], times["warp_ms"]),
        "full_ratio": _ratio(times["full_plain_ms"], times["full_ms"]),
        "warp_difference": image_difference(images["warp_ms"], images["warp_plain_ms"]),
        "full_difference": image_difference(images["full_ms"], images["full_plain_ms"]),
        "start_s": round(start_s, 2),
    }


def _refresh(renderer: CachedRenderer, state: FrameState, cache: dict[str, torch.Tensor]) -> None:
    renderer.refresh(state, cache)
    # A refresh only queues its work on a GPU; warps and full renders wait for their image.
    if renderer.device.type == "cuda":
        torch.cuda.synchronize(renderer.device)


def image_difference(ours: RgbImage, plain: RgbImage) -> dict[str, float]:
    """Return the mean and the largest difference of two images, in 8-bit levels."""
    difference = np.abs(ours.astype(int) - plain)
    return {"mean": round(float(difference.mean()), 3), "largest": int(difference.max())}


def _name(device: torch.device, threads: int) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {threads} thread" + ("s" if threads > 1 else "")


def _ratio(plain: float, ours: float) -> float:
    return round(plain / ours, 2)


def _describe(row: dict[str, Any]) -> str:
    return (
        f"{row['networks']} n={row['network_size']} at {row['resolution']}: "
        f"warp {row['warp_ms']} ms, plain {row['warp_plain_ms']} ms (x{row['warp_ratio']}); "
        f"full {row['full_ms']} ms, plain {row['full_plain_ms']} ms (x{row['full_ratio']}); "
        f"differences {row['warp_difference']}, {row['full_difference']}"
    )
