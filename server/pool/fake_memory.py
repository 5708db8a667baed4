"""Cache slots and crossfades of the fake engine."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from server.pool.interface import Slot
from server.pool.jobs import SlotHandle
from server.pool.shared_block import SharedBlock
from server.pool.slot_layout import SlotLayout


@dataclass
class FakeMemory:
    """Cache slots in one process: arrays over a shared block."""

    block: SharedBlock
    layout: SlotLayout
    _slots: dict[int, dict[str, NDArray[np.float32]]] = field(default_factory=dict)

    @property
    def handle(self) -> SlotHandle:
        """See `SlotMemory`."""
        return self.block.name

    def slot(self, index: int) -> Slot:
        """See `SlotMemory`."""
        if index not in self._slots:
            self._slots[index] = {
                spec.name: np.ndarray(
                    spec.shape,
                    np.float32,
                    self.block.buffer,
                    self.layout.offset(index, spec.name),
                )
                for spec in self.layout.specs
            }
        return self._slots[index]

    def close(self) -> None:
        """See `SlotMemory`."""
        for arrays in self._slots.values():
            arrays.clear()  # any remaining view would keep the block mapped
        self._slots.clear()
        self.block.close()


@dataclass
class FakeFade:
    """Keeps the duration of a crossfade but shows every new cache at once."""

    size: int
    fade_s: float
    fading: bool = False
    _generation: int | None = None
    _ends_s: float = 0.0

    def follow(self, newest: Slot, generation: int, now_s: float) -> Slot:
        """See `Fade`."""
        if self._generation not in (None, generation):
            self._ends_s = now_s + self.fade_s
        assert newest["size"][0] == self.size, "the slot holds a cache of another size"
        self._generation, self.fading = generation, now_s < self._ends_s
        return newest
