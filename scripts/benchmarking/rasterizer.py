"""Milliseconds to rasterize projected triangles."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from models.avatar.folder import SHIPPED, load_avatar
from models.geometry import rasterizer, rasterizer_numba
from scripts.benchmarking.avatars import front
from scripts.benchmarking.timing import interleaved_ms


@dataclass(frozen=True)
class Rasterizer:
    """Milliseconds to rasterize projected triangles, with numba and with plain torch."""

    avatar: Path = SHIPPED / "default"
    """Avatar folder, whose head is rasterized."""
    size: int = 512
    """Rows and columns of the image."""
    rounds: int = 30
    """Repetitions; medians are reported."""


def rasterizers(command: Rasterizer) -> dict[str, Any]:
    """Run the benchmark."""
    torch.set_num_threads(1)
    avatar = load_avatar(command.avatar)
    head, size = avatar.head, command.size
    state = front(avatar.manifest)
    xy, inverse = rasterizer_numba.project(head.pose(state), state, size, size)
    fast = rasterizer_numba.rasterize(xy, inverse, head.faces, size, size)
    plain = rasterizer.rasterize(xy, inverse, head.faces, size, size)
    times = interleaved_ms(
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
