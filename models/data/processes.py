"""Rank of this process in a distributed training run; see `training/distributed.py`."""

from __future__ import annotations

from typing import NamedTuple


class Processes(NamedTuple):
    """Rank and number of the processes that train together."""

    rank: int
    """0-based; the process of rank 0 validates and writes files."""
    total: int
    """Number of processes."""

    @property
    def first(self) -> bool:
        """Whether this process validates and writes files."""
        return self.rank == 0


ALONE = Processes(0, 1)
