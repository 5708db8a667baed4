"""Cost of frames by size: thread time of a warp and of a refresh, and memory.

Thread time instead of wall time, and alternating between the sizes, so that other programs have
little effect. The first use of a size includes building its renderer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch

from models.avatar.folder import SHIPPED, load_avatar
from models.contract.rendition import FRAME_SIZES
from models.runtime.base import Cache
from models.runtime.renderer import CachedRenderer
from scripts.benchmarking.avatars import front, swaying
from scripts.benchmarking.timing import interleaved_ms
from server.pool.slot_layout import SLOT_COUNT

_FPS = 60


@dataclass(frozen=True)
class Sizes:
    """Thread time of warps and refreshes by the size of the frames."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder."""
    sizes: tuple[int, ...] = FRAME_SIZES
    """Rows and columns of the frames."""
    rounds: int = 30
    """Warps of each size; a third as many refreshes."""


def sizes(command: Sizes) -> dict[str, Any]:
    """Run the benchmark."""
    torch.set_num_threads(1)
    own = CachedRenderer(load_avatar(command.avatar))
    own.warm_up()
    begun_ms: dict[int, float] = {}
    parts: dict[int, tuple[CachedRenderer, Cache]] = {}
    for size in command.sizes:
        began = time.thread_time()
        parts[size] = _first_use(own, size)
        begun_ms[size] = round((time.thread_time() - began) * 1e3, 1)
    moments = (swaying(own.manifest, index / _FPS) for index in count())
    warps: dict[str, Callable[[], object]] = {
        str(size): partial(_warp, *part, moments.__next__) for size, part in parts.items()
    }
    refreshes: dict[str, Callable[[], object]] = {
        str(size): partial(_refresh, *part, moments.__next__) for size, part in parts.items()
    }
    warp_ms = interleaved_ms(warps, command.rounds, time.thread_time)
    refresh_ms = interleaved_ms(refreshes, max(1, command.rounds // 3), time.thread_time)
    rows = [
        {
            "size": size,
            "warp_ms": warp_ms[str(size)],
            "refresh_ms": refresh_ms[str(size)],
            "first_use_ms": begun_ms[size],
            "caches_mb": round(SLOT_COUNT * _nbytes(cache) / 1e6, 1),
        }
        for size, (_, cache) in parts.items()
    ]
    for row in rows:
        print(", ".join(f"{name} {value}" for name, value in row.items()))
    return {"rows": rows, "load": [round(load, 1) for load in os.getloadavg()]}


def _first_use(own: CachedRenderer, size: int) -> tuple[CachedRenderer, Cache]:
    renderer = own if size == own.size else own.resized(size)
    cache, state = renderer.allocate_cache(), front(own.manifest)
    renderer.refresh(state, cache)
    renderer.warp_nv12(state, cache)
    return renderer, cache


def _warp(renderer: CachedRenderer, cache: Cache, next_moment: Callable[[], Any]) -> None:
    renderer.warp_nv12(next_moment(), cache)


def _refresh(renderer: CachedRenderer, cache: Cache, next_moment: Callable[[], Any]) -> None:
    renderer.refresh(next_moment(), cache)


def _nbytes(cache: Cache) -> int:
    return sum(tensor.nbytes for tensor in cache.values())
