"""The slots of a line as torch tensors, over memory that the server allocates and workers map.

The server allocates, since it outlives every worker: one that dies takes no cache with it. Handles
are sent once per line and worker; after that only the renderers touch the memory. The order between
processes comes from the messages: a worker has finished writing (and on a GPU synchronized) before
it says that a cache is done, and a warp has finished reading before it gives its slot back.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.multiprocessing.reductions import reduce_tensor

from server.errors import PoolBusyError
from server.pool.interface import SLOT_COUNT, Slot
from server.pool.jobs import SlotHandle
from server.pool.slot_memory import SharedBlock, SlotLayout

Dtypes = Mapping[str, torch.dtype]
"""Of each array of a layout."""


class HostSlots:
    """Slots in shared memory of the host.

    Args:
        block: Where they lie; closed with them.
        layout: What lies where.
        dtypes: Of what type it is.
    """

    def __init__(self, block: SharedBlock, layout: SlotLayout, dtypes: Dtypes) -> None:
        self._block = block
        whole = torch.frombuffer(block.buffer, dtype=torch.uint8, count=layout.nbytes)
        self._slots = _cut(whole, layout, dtypes)

    @classmethod
    def allocate(cls, layout: SlotLayout, dtypes: Dtypes) -> HostSlots:
        """Make new slots, zeros.

        Raises:
            PoolBusyError: If there is no shared memory left for them.
        """
        return cls(SharedBlock.create(layout.nbytes), layout, dtypes)

    @classmethod
    def attach(cls, handle: SlotHandle, layout: SlotLayout, dtypes: Dtypes) -> HostSlots:
        """Map another process's slots."""
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
        _forget(self._slots)
        self._block.close()


class CudaSlots:
    """Slots in the memory of a GPU.

    Args:
        whole: (N,) uint8 on the device, as many as the layout says.
        layout: What lies where.
        dtypes: Of what type it is.
    """

    def __init__(self, whole: Tensor, layout: SlotLayout, dtypes: Dtypes) -> None:
        self._whole: Tensor | None = whole
        self._slots = _cut(whole, layout, dtypes)

    @classmethod
    def allocate(cls, device: torch.device, layout: SlotLayout, dtypes: Dtypes) -> CudaSlots:
        """Make new slots, zeros.

        Raises:
            PoolBusyError: If the GPU has no memory left for them.
        """
        try:
            whole = torch.zeros(layout.nbytes, dtype=torch.uint8, device=device)
        except torch.OutOfMemoryError as exc:
            raise PoolBusyError(f"no memory for {layout.nbytes / 1e6:.1f} MB on {device}") from exc
        torch.cuda.synchronize(device)  # the zeros must not land on what a worker has written
        return cls(whole, layout, dtypes)

    @classmethod
    def attach(cls, handle: SlotHandle, layout: SlotLayout, dtypes: Dtypes) -> CudaSlots:
        """Map another process's slots."""
        assert isinstance(handle, tuple)
        rebuild, arguments = handle
        return cls(rebuild(*arguments), layout, dtypes)

    @property
    def handle(self) -> SlotHandle:
        """See `SlotMemory`. A CUDA-IPC handle, to be opened exactly once: torch counts them."""
        assert self._whole is not None
        return reduce_tensor(self._whole)

    def slot(self, index: int) -> Slot:
        """See `SlotMemory`."""
        return self._slots[index]

    def close(self) -> None:
        """See `SlotMemory`."""
        _forget(self._slots)
        self._whole = None
        torch.cuda.ipc_collect()


def _cut(whole: Tensor, layout: SlotLayout, dtypes: Dtypes) -> list[dict[str, Tensor]]:
    """The arrays of each slot, as views of one piece of memory."""
    slots = []
    for slot in range(SLOT_COUNT):
        tensors = {}
        for spec in layout.specs:
            begin = layout.offset(slot, spec.name)
            piece = whole[begin : begin + spec.nbytes]
            tensors[spec.name] = piece.view(dtypes[spec.name]).view(spec.shape)
        slots.append(tensors)
    return slots


def _forget(slots: list[dict[str, Tensor]]) -> None:
    """Drop all views: one that was handed out earlier would keep the memory mapped."""
    for tensors in slots:
        tensors.clear()
    slots.clear()
