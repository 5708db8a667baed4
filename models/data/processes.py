"""Rank of this process among those that train together; see `training/distributed.py`."""

from __future__ import annotations

from typing import NamedTuple


class Processes(NamedTuple):
    """This process among those that train together."""

    rank: int
    """0 is the one that validates and writes files."""
    total: int

    @property
    def first(self) -> bool:
        """Whether this is the one that validates and writes files."""
        return self.rank == 0


ALONE = Processes(0, 1)
