"""Cache slots as torch tensors, in memory that the server allocates and the workers map.

The server allocates because it outlives every worker, so that no cache is lost when a worker dies.
Handles are sent once per worker; after that only the renderers access the memory. Messages order
the accesses: a worker finishes writing (and synchronizes a GPU) before it reports a cache as done,
and a warp finishes reading before it releases its slot.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.multiprocessing.reductions import reduce_tensor

from server.errors import PoolBusyError
from server.pool.interface import Slot, SlotMemory
from server.pool.jobs import SlotHandle
from server.pool.shared_block import SharedBlock
from server.pool.slot_layout import SLOT_COUNT, SlotLayout

logger = logging.getLogger(__name__)

Dtypes = Mapping[str, torch.dtype]
"""Element type of each array, by name."""


class HostSlots:
    """Slots in shared memory of the host.

    Args:
        block: The shared memory; closed with the slots.
        layout: Offsets of the arrays.
        dtypes: Element types of the arrays.
    """

    def __init__(self, block: SharedBlock, layout: SlotLayout, dtypes: Dtypes) -> None:
        self._block = block
        whole = torch.frombuffer(block.buffer, dtype=torch.uint8, count=layout.nbytes)
        self._slots = _slot_views(whole, layout, dtypes)

    @classmethod
    def allocate(cls, layout: SlotLayout, dtypes: Dtypes) -> HostSlots:
        """Allocate slots filled with zeros.

        Raises:
            PoolBusyError: If there is not enough shared memory.
        """
        return cls(SharedBlock.create(layout.nbytes), layout, dtypes)

    @classmethod
    def attach(cls, handle: SlotHandle, layout: SlotLayout, dtypes: Dtypes) -> HostSlots:
        """Map the slots of another process."""
        assert isinstance(handle, str)
        return cls(SharedBlock.attach(handle), layout, dtypes)

    @property
    def handle(self) -> SlotHandle:
        """See `SlotMemory`."""
        return self._block.name

    def slot(self, index: int) -> Slot:
        """See `SlotMemory`."""
        return self._slots[index]

    def close(self) -> None:
        """See `SlotMemory`."""
        _drop_views(self._slots)
        self._block.close()


class CudaSlots:
    """Slots in the memory of a GPU.

    Args:
        whole: (layout.nbytes,) uint8 on the device.
        layout: Offsets of the arrays.
        dtypes: Element types of the arrays.
    """

    def __init__(self, whole: Tensor, layout: SlotLayout, dtypes: Dtypes) -> None:
        self._whole: Tensor | None = whole
        self._slots = _slot_views(whole, layout, dtypes)

    @classmethod
    def allocate(cls, device: torch.device, layout: SlotLayout, dtypes: Dtypes) -> CudaSlots:
        """Allocate slots filled with zeros.

        Raises:
            PoolBusyError: If the GPU has not enough memory.
        """
        try:
            whole = torch.zeros(layout.nbytes, dtype=torch.uint8, device=device)
        except torch.OutOfMemoryError as exc:
            raise PoolBusyError(f"no memory for {layout.nbytes / 1e6:.1f} MB on {device}") from exc
        torch.cuda.synchronize(device)  # the fill must not overwrite what a worker writes
        return cls(whole, layout, dtypes)

    @classmethod
    def attach(cls, handle: SlotHandle, layout: SlotLayout, dtypes: Dtypes) -> CudaSlots:
        """Map the slots of another process."""
        assert isinstance(handle, tuple)
        rebuild, arguments = handle
        return cls(rebuild(*arguments), layout, dtypes)

    @staticmethod
    def reclaim(handle: SlotHandle) -> None:
        """Release the reference of a handle, in the process that allocated the memory.

        torch keeps the memory of a handle until the process that opened it has closed it. One that
        was killed never does, and its cache slots would stay allocated after their viewer has left.
        """
        assert isinstance(handle, tuple)
        _, arguments = handle
        *_, counter_name, counter_index, _, _ = arguments  # see `rebuild_cuda_tensor`
        torch.UntypedStorage._release_ipc_counter(counter_name, counter_index, device="cuda")
        torch.cuda.ipc_collect()

    @property
    def handle(self) -> SlotHandle:
        """See `SlotMemory`. A CUDA-IPC handle; torch counts references, so open it exactly once."""
        assert self._whole is not None
        return reduce_tensor(self._whole)

    def slot(self, index: int) -> Slot:
        """See `SlotMemory`."""
        return self._slots[index]

    def close(self) -> None:
        """See `SlotMemory`."""
        _drop_views(self._slots)
        self._whole = None
        try:
            torch.cuda.ipc_collect()
        except RuntimeError as exc:  # the device has failed: its memory ends with its context
            logger.warning("the memory of cache slots was not returned: %s", exc)


class CountedSlots:
    """Slots that report when they are closed.

    Args:
        slots: The slots.
        ended: Called once when they have been closed.
    """

    def __init__(self, slots: SlotMemory, ended: Callable[[], None]) -> None:
        self._slots, self._ended = slots, ended

    @property
    def handle(self) -> SlotHandle:
        """See `SlotMemory`."""
        return self._slots.handle

    def slot(self, index: int) -> Slot:
        """See `SlotMemory`."""
        return self._slots.slot(index)

    def close(self) -> None:
        """See `SlotMemory`."""
        self._slots.close()
        self._ended()


def _slot_views(whole: Tensor, layout: SlotLayout, dtypes: Dtypes) -> list[dict[str, Tensor]]:
    """Return the arrays of each slot as views of one block of memory."""
    slots = []
    for slot in range(SLOT_COUNT):
        tensors = {}
        for spec in layout.specs:
            begin = layout.offset(slot, spec.name)
            piece = whole[begin : begin + spec.nbytes]
            tensors[spec.name] = piece.view(dtypes[spec.name]).view(spec.shape)
        slots.append(tensors)
    return slots


def _drop_views(slots: list[dict[str, Tensor]]) -> None:
    """Drop all views, because any remaining one would keep the memory mapped."""
    for tensors in slots:
        tensors.clear()
    slots.clear()
