"""Where the arrays of a viewer's cache slots are in one block of memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from server.pool.shared_block import aligned

SLOT_COUNT = 3
"""Triple buffering: one slot being written, one ready, one being read."""


@dataclass(frozen=True)
class ArraySpec:
    """One array of a slot."""

    name: str
    shape: tuple[int, ...]
    itemsize: int
    """Bytes per element."""

    @property
    def nbytes(self) -> int:
        """Bytes of the whole array."""
        return prod(self.shape) * self.itemsize


class SlotLayout:
    """Offsets of the arrays of all slots in one block of memory.

    Args:
        specs: The arrays of one slot.
    """

    def __init__(self, specs: Sequence[ArraySpec]) -> None:
        self.specs = tuple(specs)
        self._offsets: dict[str, int] = {}
        end = 0
        for spec in self.specs:
            self._offsets[spec.name] = end
            end = aligned(end + spec.nbytes)  # aligns each array, and the next slot
        self._slot_nbytes = end
        self.nbytes = end * SLOT_COUNT

    def offset(self, slot: int, name: str) -> int:
        """Return the offset of array `name` of slot `slot`, bytes."""
        return slot * self._slot_nbytes + self._offsets[name]
