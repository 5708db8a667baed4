"""A host with fake devices, whose warps take a given time.

    python -m scripts.benchmarking.fake_host --device cuda:0 --port 8100

`TELEWARP_FAKE_WARP_S` and `TELEWARP_FAKE_REFRESH_S` are the durations of a warp and of a refresh.
"""

from __future__ import annotations

import os
import sys

from server import command as program
from server.app import pool_settings
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.settings import Settings

WARP_S, REFRESH_S = "TELEWARP_FAKE_WARP_S", "TELEWARP_FAKE_REFRESH_S"


def build_pool(settings: Settings) -> RenderPool:
    """Return a pool of fake renderers on the devices of the settings."""
    factory = FakeEngineFactory(
        device_names=tuple(settings.device.split(",")),
        warp_s=float(os.environ.get(WARP_S, "0")),
        refresh_s=float(os.environ.get(REFRESH_S, "0")),
    )
    return RenderPool(pool_settings(settings), factory)


def main(arguments: list[str]) -> int:
    """Run the host until SIGINT or SIGTERM; return the exit code."""
    return program.main(arguments, build_pool)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
