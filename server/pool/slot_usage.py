"""Which of a viewer's cache slots is written, the newest, or read."""

from __future__ import annotations

import threading

from server.pool.slot_layout import SLOT_COUNT


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
