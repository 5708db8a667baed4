"""Marks the tests that may run beside others, which `scripts/test.sh` shares among the cores."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PARALLEL = (
    "tests/models/",
    "tests/docker/",
    "tests/scripts/test_importing_",
    "tests/scripts/test_make_avatar",
    "tests/scripts/test_making_an_avatar",
    "tests/scripts/test_pack_avatar",
    "tests/scripts/test_train",
    "tests/server/auth/",
    "tests/server/encoding/",
    "tests/server/protocol/",
    "tests/test_",
)
"""Paths of tests that depend neither on real time nor on an idle machine."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their path, so that a new test of these folders needs nothing."""
    for item in items:
        if item.path.relative_to(ROOT).as_posix().startswith(PARALLEL):
            item.add_marker(pytest.mark.parallel)
