"""Divides the tests into those that run beside others, in pairs, and alone: `scripts/test.sh`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController

from tests.warm_python import WarmPython

ROOT = Path(__file__).resolve().parents[1]

SERIAL = (
    "tests/browser/test_congestion.py",
    "tests/browser/test_stages.py",
    "tests/browser/test_viewer.py",
    "tests/scripts/test_soak.py",
    "tests/server/cluster/test_ray_cluster.py",
    "tests/server/network/test_impaired_link.py",
    "tests/server/pool/test_process_backend.py",
    "tests/server/sessions/test_registry.py",
    "tests/server/sessions/test_view_sharing.py",
    "tests/server/test_loop_blocks.py",
    "tests/server/test_overload.py",
)
"""Paths of tests that measure times or rates, or load the machine so much that others fail. Single
tests of other files, which measure a time, have the mark `alone`."""

PAIRED = (
    "tests/server/admission/",
    "tests/server/http/",
    "tests/server/network/test_connections.py",
    "tests/server/pool/",
    "tests/server/sessions/",
    "tests/server/test_faults.py",
    "tests/server/transport/",
)
"""Where those of them that measure a time wait for four fifths of it: two run at once."""

BROWSER = "tests/browser"
COMPUTING = "tests/models"
"""Tests that compute and wait for nothing: their speed has no effect on their results."""

LONGEST = (
    f"{BROWSER}/",
    "tests/scripts/test_importing",
    "tests/scripts/test_m",
    "tests/server/cluster/",
    "tests/models/runtime/",
    "tests/models/studio/",
)
"""Paths of the tests that take longest. They start first, so that all processes end together."""

BACKGROUND_WORKER = "gw2"
"""The process of xdist that runs only tests of `COMPUTING`."""
BACKGROUND_NICENESS = 10


class SharedCores(LoadFileScheduling):  # type: ignore[misc] # xdist has no types
    """Gives each process whole files of tests, and all files that drive a browser to one process.

    Two browsers, which render in software, and their two servers want more than two cores; pages
    then take longer for everything than users and tests wait.

    Two processes wait for servers and pages a third of their time. A third one, of low priority,
    computes meanwhile and does not delay them.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return BROWSER if file.startswith(f"{BROWSER}/") else file

    def _assign_work_unit(self, node: WorkerController) -> None:
        background = node.gateway.id == BACKGROUND_WORKER
        suitable = (each for each in self.workqueue if each.startswith(COMPUTING) == background)
        scope = next(suitable, None)
        if scope is not None:
            self.workqueue.move_to_end(scope, last=False)
        elif background:
            node.shutdown()
            return
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> SharedCores:
    """See `SharedCores`; used by `pytest -n`."""
    return SharedCores(config, log)


def pytest_configure() -> None:
    """Lower the priority of the process in the background."""
    if os.environ.get("PYTEST_XDIST_WORKER") == BACKGROUND_WORKER:
        os.nice(BACKGROUND_NICENESS)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Do not import all files, which takes ten seconds, for the few that hold tests run alone."""
    if collection_path.is_dir() or "not parallel" not in config.option.markexpr:
        return None
    if _path(collection_path).startswith(SERIAL) or "mark.alone" in collection_path.read_text():
        return None
    return True


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their path, so that a new file needs nothing, and order them."""
    for item in items:
        path = _path(item.path)
        if item.get_closest_marker("alone") is None and not path.startswith(SERIAL):
            item.add_marker(pytest.mark.parallel)
        elif path.startswith(PAIRED):
            item.add_marker(pytest.mark.paired)
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    path = _path(item.path)
    return next((rank for rank, part in enumerate(LONGEST) if path.startswith(part)), len(LONGEST))


def _path(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@pytest.fixture(scope="session")
def warm_python() -> Iterator[WarmPython]:
    """Starts programs without importing their libraries anew."""
    warm = WarmPython()
    yield warm
    warm.close()
