"""Shared memory that several processes map."""

from __future__ import annotations

import logging
import mmap
import os
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

from server.errors import PoolBusyError

logger = logging.getLogger(__name__)

ALIGNMENT = 64
"""Bytes: a cache line of the CPU, and its widest vector load (AVX-512)."""
_FOLDER = Path("/dev/shm")
"""Where `shm_open` keeps shared memory on Linux (shm_overview(7))."""


def aligned(nbytes: int) -> int:
    """Return the next multiple of `ALIGNMENT`."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


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
