"""Cache slots of a device process, as the server sees them: shared memory of the host that the
server allocates, or memory of a GPU that only the process can allocate.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

from models.contract.rendition import Rendition
from server.pool.device_messages import (
    CloseMemory,
    ExportMemory,
    MemoryExported,
    OpenMemory,
)
from server.pool.interface import Slot
from server.pool.jobs import SlotHandle
from server.pool.shared_block import SharedBlock
from server.pool.slot_layout import SlotLayout

Send = Callable[[object], None]
"""Sends a message to the device process, or drops it while none runs."""


class RemoteMemory:
    """The memory of one viewer's cache slots; see `ServerMemory`.

    Args:
        memory_id: Identifies it in messages.
        rendition: What the caches are of.
        block: Shared memory of the slots; None where the process allocates them.
        memories: All memory of the device.
    """

    def __init__(
        self,
        memory_id: int,
        rendition: Rendition,
        block: SharedBlock | None,
        memories: RemoteMemories,
    ) -> None:
        self.id, self.rendition, self.block = memory_id, rendition, block
        self._memories = memories

    def slot(self, index: int) -> Slot:
        """See `ServerMemory`: the server does not read caches here."""
        raise AssertionError("the caches are read by the device process only")

    def export(self, receive: Callable[[SlotHandle | None], None]) -> None:
        """See `ServerMemory`."""
        if self.block is not None:
            receive(self.block.name)
        else:
            self._memories.request_handle(self, receive)

    def close(self) -> None:
        """See `ServerMemory`."""
        self._memories.close(self)


class RemoteMemories:
    """The memory of all cache slots of a device; shared memory is kept when a process is replaced.

    Args:
        send: Sends a message to the device process.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._open: dict[int, RemoteMemory] = {}
        self._ids = count(1)
        self._exports: dict[int, Callable[[SlotHandle | None], None]] = {}
        """Receivers of handles, by export."""

    def open(self, rendition: Rendition, layout: SlotLayout | None) -> RemoteMemory:
        """Open memory for slots.

        Args:
            rendition: What the caches are of.
            layout: Layout of shared memory; None where the process allocates.

        Raises:
            PoolBusyError: If there is not enough shared memory.
        """
        block = SharedBlock.create(layout.nbytes) if layout is not None else None
        memory = RemoteMemory(next(self._ids), rendition, block, self)
        self._open[memory.id] = memory
        self._announce(memory)
        return memory

    def announce_all(self, avatar_id: str) -> None:
        """Announce memory that outlived the previous process to the next one."""
        for memory in self._open.values():
            if memory.rendition.avatar_id == avatar_id:
                self._announce(memory)

    def process_ended(self) -> None:
        """Forget the memory that the process has allocated, and answer its pending exports."""
        self._open = {key: m for key, m in self._open.items() if m.block is not None}
        exports, self._exports = self._exports, {}
        for receive in exports.values():
            receive(None)

    def request_handle(
        self, memory: RemoteMemory, receive: Callable[[SlotHandle | None], None]
    ) -> None:
        """Have the process export allocated memory."""
        if memory.id not in self._open:
            receive(None)
            return
        export_id = next(self._ids)
        self._exports[export_id] = receive
        self._send(ExportMemory(memory.id, export_id))

    def exported(self, message: MemoryExported) -> None:
        """Pass a handle to its receiver."""
        self._exports.pop(message.export_id)(message.handle)

    def close(self, memory: RemoteMemory) -> None:
        """Unmap and free memory."""
        if self._open.pop(memory.id, None) is not None:
            self._send(CloseMemory(memory.id))
        if memory.block is not None:
            memory.block.close()

    def _announce(self, memory: RemoteMemory) -> None:
        handle = memory.block.name if memory.block is not None else None
        self._send(OpenMemory(memory.id, memory.rendition, handle))
