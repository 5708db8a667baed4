"""Milliseconds from screen positions to seen triangles."""

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
    """Milliseconds from screen positions to seen triangles, numba against plain torch."""

    avatar: Path = SHIPPED / "default"
    """Whose head is drawn."""
    size: int = 512
    """Rows and columns."""
    rounds: int = 30


def rasterizers(command: Rasterizer) -> dict[str, Any]:
    """See `Rasterizer`."""
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
