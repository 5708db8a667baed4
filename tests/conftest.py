"""Marks the tests that may run beside others, which `scripts/test.sh` shares among the cores."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SERIAL = (
    "tests/browser/test_congestion.py",
    "tests/browser/test_queue.py",
    "tests/browser/test_stages.py",
    "tests/browser/test_viewer.py",
    "tests/scripts/test_soak.py",
    "tests/server/cluster/test_ray_cluster.py",
    "tests/server/network/test_bad_wire.py",
    "tests/server/pool/test_process_carrier.py",
    "tests/server/sessions/test_registry.py",
    "tests/server/sessions/test_view_sharing.py",
    "tests/server/test_loop_blocks.py",
    "tests/server/test_overload.py",
)
"""Paths of tests that measure times or rates, or load the machine so much that others fail."""

LONGEST = (
    "tests/models/runtime/",
    "tests/models/studio/",
    "tests/browser/",
    "tests/scripts/test_importing",
    "tests/scripts/test_m",
    "tests/server/cluster/",
)
"""Paths of the tests that take longest. They start first, so that both cores end together; before
all others those that compile the kernels, for which a program that a test starts has no time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their path, so that a new file needs nothing, and order them."""
    for item in items:
        if not _path(item).startswith(SERIAL):
            item.add_marker(pytest.mark.parallel)
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    path = _path(item)
    return next((rank for rank, part in enumerate(LONGEST) if path.startswith(part)), len(LONGEST))


def _path(item: pytest.Item) -> str:
    return item.path.relative_to(ROOT).as_posix()
