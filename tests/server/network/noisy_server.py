"""The real server with frames that no encoder can make small: `-m` and its options.

A texture that slides with the view and with time: its video takes whatever bitrate it may have.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.contract.images import RgbImage
from server import command as program
from server.app import pool_settings
from server.pool.fake import FakeEngine, FakeEngineFactory, fake_avatar
from server.pool.interface import Purpose
from server.pool.pool import RenderPool
from server.settings import Settings

SIDE = 320
_MARGIN = 64
_GRAIN = 4
"""Pixels: coarser than noise of a sensor, as hair and skin are."""


class NoisyEngine(FakeEngine):
    """Shows a part of a large random texture."""

    _texture: NDArray[np.uint8] | None = None

    def _encode_image(
        self, avatar_id: str, values: NDArray[np.float32], cached: NDArray[np.float32]
    ) -> RgbImage:
        if self._texture is None:
            cells = (SIDE + 2 * _MARGIN) // _GRAIN
            coarse = np.random.default_rng(1).integers(0, 256, (cells, cells, 3), np.uint8)
            self._texture = coarse.repeat(_GRAIN, 0).repeat(_GRAIN, 1)
        now = time.monotonic()
        across, down = (round(_MARGIN * (1 + np.sin(now * speed))) for speed in (1.3, 1.7))
        return np.ascontiguousarray(self._texture[down : down + SIDE, across : across + SIDE])


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
