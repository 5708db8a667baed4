"""The real server with frames that do not compress, as a program.

Frames show a random texture that moves with the view and with time: their video uses the whole
target bitrate.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np

from models.contract.images import Nv12Image
from server import command as program
from server.app import pool_settings
from server.pool.fake import FakeEngine, FakeEngineFactory, fake_avatar
from server.pool.fake_images import Numbers
from server.pool.interface import Purpose
from server.pool.pool import RenderPool
from server.settings import Settings

SIDE = 320
_MARGIN = 64
_LARGE = SIDE + 2 * _MARGIN
_GRAIN = 4
"""Pixels per grain: coarser than sensor noise, as hair and skin are."""


class NoisyEngine(FakeEngine):
    """An engine that shows a part of a large random texture."""

    _texture: Nv12Image | None = None

    def _encode_frame(self, size: int, values: Numbers, cached: Numbers) -> Nv12Image:
        if self._texture is None:
            self._texture = _random_texture()
        now = time.monotonic()
        # Even, because chroma has half the rows, with U and V in alternating columns.
        across, down = (round(_MARGIN / 2 * (1 + np.sin(now * s))) * 2 for s in (1.3, 1.7))
        luma, chroma = self._texture[:_LARGE], self._texture[_LARGE:]
        columns = slice(across, across + size)
        return np.concatenate(
            [luma[down : down + size, columns], chroma[down // 2 : (down + size) // 2, columns]]
        )


def _random_texture() -> Nv12Image:
    """Return a texture of random luma and chroma, larger than a frame."""
    rng, cells = np.random.default_rng(1), _LARGE // _GRAIN
    luma = rng.integers(16, 236, (cells, cells), np.uint8)
    chroma = rng.integers(16, 241, (cells, cells, 2), np.uint8)
    half = _GRAIN // 2
    return np.concatenate(
        [
            luma.repeat(_GRAIN, 0).repeat(_GRAIN, 1),
            chroma.repeat(half, 0).repeat(half, 1).reshape(_LARGE // 2, _LARGE),
        ]
    )


@dataclass(frozen=True)
class NoisyEngineFactory(FakeEngineFactory):
    """Builds noisy engines."""

    def build(self, device: str, threads: int, purpose: Purpose) -> NoisyEngine:
        """See `EngineFactory`."""
        return NoisyEngine(self, device, purpose)


def build_pool(settings: Settings) -> RenderPool:
    """Return the pool of the server."""
    factory = NoisyEngineFactory(avatars=(fake_avatar(resolution=SIDE),))
    return RenderPool(pool_settings(settings), factory)


def main(arguments: list[str]) -> int:
    """Run the server until it ends."""
    return program.main(arguments, build_pool)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
