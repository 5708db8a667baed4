"""Milliseconds of warp and full render: ours against the plain float32 form, same weights.

Three forms are timed side by side: what the server runs (`warp_ms`), the same networks as plain
float32 torch (`warp_plain_ms`), and, at the width asked for, the paper's own networks in their
plain form (`paper_warp_plain_ms`), which the published method would run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar.folder import SHIPPED, Avatar, load_avatar
from models.contract.frame_state import FrameState
from models.networks.avatar_networks import Variant, build_networks
from models.networks.frame_batch import FrameBatch
from models.runtime.base import Stage
from models.runtime.renderer import CachedRenderer
from scripts.benchmarking.avatars import front, load_resized, swaying
from scripts.benchmarking.timing import interleaved_ms

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Models:
    """Milliseconds of warp and full render, ours against the plain float32 form."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder; always measured as it ships."""
    width: float | None = 1.0
    """Also measure networks of this size n, with random weights."""
    size: int = 256
    """Rows and columns of those."""
    device: str = "cpu"
    """Such as cuda."""
    threads: int = 1
    """On a CPU."""
    rounds: int = 15
    """Medians of so many."""


class _Plain:
    """An avatar's networks as float32 torch, nothing prepared or fused."""

    def __init__(self, avatar: Avatar, device: torch.device) -> None:
        self.stage = Stage(avatar, device)
        self._networks = avatar.networks.to(device)

    @torch.inference_mode()
    def cache(self, state: FrameState) -> tuple[FrameBatch, Any]:
        frame = self.stage.frame(state)
        return frame, self._networks.full(frame).cache

    @torch.inference_mode()
    def full(self, state: FrameState) -> Pixels:
        return self.stage.compose(self._networks.full(self.stage.frame(state)).image)

    @torch.inference_mode()
    def warp(self, state: FrameState, old: FrameBatch, kept: Any) -> Pixels:
        return self.stage.compose(self._networks.warp(kept, old, self.stage.frame(state)))


def models(command: Models) -> dict[str, Any]:
    """See `Models`."""
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
    """The avatar's head with fresh networks of the width asked for."""
    assert command.width is not None
    avatar = load_resized(command.avatar, command.size)
    torch.manual_seed(0)
    config = replace(avatar.manifest.network, variant=variant, network_size=command.width)
    networks = build_networks(config).eval().requires_grad_(False)
    manifest = replace(avatar.manifest, network=config)
    avatar = replace(avatar, manifest=manifest, networks=networks)
    return _compare(avatar, device, command, weights="random")


def _compare(avatar: Avatar, device: torch.device, command: Models, weights: str) -> dict[str, Any]:
    m = avatar.manifest
    before, now = front(m), swaying(m, 0.5)
    began = time.perf_counter()
    ours = CachedRenderer(avatar, command.device, command.threads)
    ours.warm_up()
    start_s = time.perf_counter() - began
    cache = ours.allocate_cache()
    ours.refresh(before, cache)
    plain = _Plain(avatar, device)
    kept = plain.cache(before)
    calls: dict[str, Callable[[], Pixels]] = {
        "warp_ms": lambda: ours.warp(now, cache).rgb,
        "warp_plain_ms": lambda: plain.warp(now, *kept),
        "full_ms": lambda: ours.full(now),
        "full_plain_ms": lambda: plain.full(now),
    }
    pictures = {name: call() for name, call in calls.items()}
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
        "warp_difference": _difference(pictures["warp_ms"], pictures["warp_plain_ms"]),
        "full_difference": _difference(pictures["full_ms"], pictures["full_plain_ms"]),
        "start_s": round(start_s, 2),
    }


def _refresh(renderer: CachedRenderer, state: FrameState, cache: dict[str, torch.Tensor]) -> None:
    renderer.refresh(state, cache)
    if renderer.device.type == "cuda":
        torch.cuda.synchronize(renderer.device)


def _difference(ours: Pixels, plain: Pixels) -> dict[str, float]:
    """Of two pictures, in steps of 255."""
    apart = np.abs(ours.astype(int) - plain)
    return {"mean": round(float(apart.mean()), 3), "largest": int(apart.max())}


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
