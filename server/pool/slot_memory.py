"""Shared memory of cache slots, its layout, and the tracking of which slot is in use."""

from __future__ import annotations

import logging
import mmap
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from server.errors import PoolBusyError
from server.pool.interface import SLOT_COUNT

logger = logging.getLogger(__name__)

_ALIGNMENT = 64
"""Bytes: a cache line of the CPU, and its widest vector load (AVX-512)."""
_FOLDER = Path("/dev/shm")
"""Where `shm_open` keeps shared memory on Linux (shm_overview(7))."""


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
            end = _aligned(end + spec.nbytes)  # aligns each array, and the next slot
        self._slot_nbytes = end
        self.nbytes = end * SLOT_COUNT

    def offset(self, slot: int, name: str) -> int:
        """Return the offset of array `name` of slot `slot`, bytes."""
        return slot * self._slot_nbytes + self._offsets[name]


def _aligned(nbytes: int) -> int:
    return -(-nbytes // _ALIGNMENT) * _ALIGNMENT


class SharedBlock:
    """Shared memory mapped by several processes; the process that created it frees it."""

    def __init__(self, memory: SharedMemory | _AttachedMemory) -> None:
        self._memory = memory

    @classmethod
    def create(cls, nbytes: int) -> SharedBlock:
        """Allocate a block filled with zeros.

        Raises:
            PoolBusyError: If there is not enough shared memory.
        """
        try:
            memory = SharedMemory(create=True, size=nbytes)
            block = cls(memory)
            block._claim(memory)
        except OSError as exc:
            raise PoolBusyError(
                f"no shared memory for {nbytes / 1e6:.1f} MB more: {exc.strerror} (/dev/shm)"
            ) from exc
        return block

    @classmethod
    def attach(cls, name: str) -> SharedBlock:
        """Map a block that another process has created.

        Raises:
            FileNotFoundError: If it has been freed.
            OSError: If this process has no memory to map it; the block stays as it is.
        """
        return cls(_AttachedMemory(name))

    @property
    def name(self) -> str:
        """The argument of `attach` in another process."""
        return self._memory.name

    @property
    def buffer(self) -> memoryview:
        """The bytes. All views of them must be released before `close`."""
        buffer = self._memory.buf
        assert buffer is not None, "the block is closed"
        return buffer

    def close(self) -> None:
        """Unmap the block, and free it if this process created it."""
        # Unlinked first: processes that have mapped the block keep it, and no other can map it.
        if isinstance(self._memory, SharedMemory):
            try:
                self._memory.unlink()
            except FileNotFoundError:
                # Not raised, because the pool has more to close than this block.
                logger.warning("shared memory %s had been removed already", self._memory.name)
        self._memory.close()

    def _claim(self, memory: SharedMemory) -> None:
        """Commit all pages now. Otherwise a later write without free pages kills the process."""
        try:
            os.posix_fallocate(memory._fd, 0, memory.size)  # type: ignore[attr-defined]  # private: its descriptor
        except OSError:
            self.close()
            raise


class _AttachedMemory:
    """A block of another process, mapped without `SharedMemory`.

    `SharedMemory` removes a block that it fails to map, so a worker without memory would take the
    caches of a viewer from the server and all other workers. Before Python 3.13 it also registers
    the block with the resource tracker, which all processes of a server share: the owner's `unlink`
    could come first and leave a stale name there.

    Args:
        name: Name of the block.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        descriptor = os.open(_FOLDER / name, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._mapping = mmap.mmap(descriptor, 0)
        finally:
            os.close(descriptor)
        self.buf: memoryview | None = memoryview(self._mapping)

    def close(self) -> None:
        """Unmap the block; again, it does nothing."""
        if self.buf is not None:
            self.buf.release()
            self.buf = None
            self._mapping.close()


class SlotUsage:
    """Tracks which slot is being written, which is the newest and which ones are pinned by readers.

    Thread-safe: the event loop records refreshes while the warp thread pins and unpins.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pins = [0] * SLOT_COUNT
        self._writing: int | None = None
        self._newest: int | None = None

    @property
    def newest(self) -> int | None:
        """The slot that was finished last."""
        return self._newest

    @property
    def can_write(self) -> bool:
        """Whether `begin_write` would find a slot."""
        with self._lock:
            return self._writing is None and self._free() is not None

    def begin_write(self) -> int | None:
        """Reserve a slot that is neither the newest nor pinned; None if there is none."""
        with self._lock:
            if self._writing is not None:
                return None
            self._writing = self._free()
            return self._writing

    def finish_write(self) -> None:
        """Make the slot being written the newest one."""
        with self._lock:
            assert self._writing is not None
            self._newest, self._writing = self._writing, None

    def abort_write(self) -> None:
        """Release the slot being written; the newest slot stays the same."""
        with self._lock:
            self._writing = None

    def pin_newest(self) -> int | None:
        """Protect the newest slot from being written until `unpin`; None before the first."""
        with self._lock:
            if self._newest is not None:
                self._pins[self._newest] += 1
            return self._newest

    def unpin(self, slot: int) -> None:
        """Undo one `pin_newest`."""
        with self._lock:
            assert self._pins[slot] > 0
            self._pins[slot] -= 1

    def retire(self) -> bool:
        """End all use, unless a slot is being written or is pinned.

        Returns:
            Whether no slot is in use. If so, no slot can be pinned afterwards.
        """
        with self._lock:
            if self._writing is not None or any(self._pins):
                return False
            self._newest = None
            return True

    def _free(self) -> int | None:
        for slot, pins in enumerate(self._pins):
            if not pins and slot != self._newest:
                return slot
        return None
