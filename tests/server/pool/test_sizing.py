"""The numbers of workers and threads for a machine."""

from __future__ import annotations

import pytest

from server.pool.sizing import Size, available_cores, default_size, default_warp_threads


@pytest.mark.parametrize(
    ("cores", "size"),
    [(1, Size(1, 1)), (2, Size(1, 1)), (4, Size(1, 3)), (8, Size(2, 3)), (16, Size(4, 3))],
)
def test_workers_on_a_cpu_leave_one_core_to_the_server(cores: int, size: Size) -> None:
    assert default_size("cpu", cores) == size


def test_a_gpu_gets_one_worker() -> None:
    assert default_size("cuda:1", 64) == Size(1, 1)


def test_at_least_one_core_is_assumed() -> None:
    assert available_cores() >= 1


@pytest.mark.parametrize(("cores", "threads"), [(1, 1), (2, 1), (4, 2), (64, 2)])
def test_a_warp_uses_several_threads_only_if_cores_are_left(cores: int, threads: int) -> None:
    assert default_warp_threads(cores) == threads
