"""The real server with the fake renderer, as a program for a network namespace."""

from __future__ import annotations

import sys

from server import command as program
from server.app import pool_settings
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.settings import Settings


def build_pool(settings: Settings) -> RenderPool:
    return RenderPool(pool_settings(settings), FakeEngineFactory())


def main(arguments: list[str]) -> int:
    return program.main(arguments, build_pool)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
