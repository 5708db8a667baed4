"""Writes one recording in its own thread, so that a slow disk delays no frame."""

from __future__ import annotations

import errno
import os
import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

Line = Callable[[], bytes]
"""Returns a line with its newline; called in the writer's thread."""

TOO_LARGE = "its maximum size"
"""Reason of the end at the size limit of the file."""
MOST_WAITING = 1024
"""Lines that wait for the disk: 17 s at 60 frames per second. Beyond that the recording ends."""


class RecordingWriter:
    """Appends lines to a new file.

    Args:
        path: The file, which must not exist.
        first: The first line.
        largest: Maximum size of the file without its last line, bytes.
        on_failed: Called once, in the writer's thread, with the reason why it cannot continue.

    Raises:
        OSError: If the file cannot be created.
    """

    def __init__(
        self, path: Path, first: bytes, largest: int, on_failed: Callable[[str], None]
    ) -> None:
        # Only the server's user may read faces and voices.
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._largest = largest
        self._on_failed = on_failed
        self._failed = False
        self._last = b""
        self.size = 0
        """Bytes written, up to the end of a complete line."""
        try:
            self._append(first)
        except OSError:
            os.close(self._file)
            path.unlink(missing_ok=True)
            raise
        self._lines: queue.Queue[Line | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name=f"recording {path.stem}")
        self._thread.start()

    def write(self, line: Line) -> bool:
        """Queue a line; return whether there was room for it."""
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            return False
        return True

    def close(self, last: bytes) -> None:
        """Write the queued lines and a last line, and close the file; blocks until it is done."""
        self._last = last
        self._lines.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (line := self._lines.get()) is not None:
            if not self._failed:
                self._write(line())
        # On a full disk there may be no room for it; then the file looks truncated.
        with suppress(OSError):
            self._append(self._last)
        os.close(self._file)

    def _write(self, line: bytes) -> None:
        try:
            if self.size + len(line) > self._largest:
                raise OSError(errno.EFBIG, TOO_LARGE)
            self._append(line)
        except OSError as exc:
            self._failed = True
            self._on_failed(exc.strerror or str(exc))

    def _append(self, line: bytes) -> None:
        """Write a complete line, or truncate the part that a full disk has accepted."""
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except OSError:
            os.ftruncate(self._file, self.size)
            raise
        self.size += written
