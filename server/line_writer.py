"""Non-blocking output of log lines, also to a full pipe, a full disk or a closed terminal."""

from __future__ import annotations

import os
import queue
import threading
import time
from io import UnsupportedOperation
from typing import TextIO

_CAPACITY = 1000
"""Maximum number of queued lines; a burst of start-up messages has less than a hundred."""
_RETRY_S = 0.05
"""Pause while a pipe that is set not to block is full."""
_FLUSH_S = 1.0
"""Longest wait of a program that ends: what reads its output may never read on."""


class LineWriter:
    """Writes lines to a stream in a thread of its own, in order.

    A line is dropped and counted if the stream refuses it, or if `_CAPACITY` lines wait already.
    The stream's own buffer is not used: a thread that is blocked in it would make the interpreter
    abort at its exit.

    Args:
        stream: Standard output or standard error; None where the process has none.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self.lost = 0
        """Number of dropped lines."""
        self.working = True
        """Whether the last line was written."""
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue(_CAPACITY)
        self._thread: threading.Thread | None = None

    def write(self, line: str) -> None:
        """Queue a line without its newline. Never blocks and never raises."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="lines", daemon=True)
            self._thread.start()
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self.lost += 1
            self.working = False

    def flush(self) -> None:
        """Wait until all lines are written, but not for longer than `_FLUSH_S`."""
        lines = self._lines
        with lines.all_tasks_done:
            lines.all_tasks_done.wait_for(lambda: not lines.unfinished_tasks, _FLUSH_S)

    def _run(self) -> None:
        while True:
            line = self._lines.get()
            try:
                self._write_all(f"{line}\n")
            except (OSError, ValueError):  # the latter if the stream is closed in Python
                self.lost += 1
                self.working = False
            else:
                self.working = True
            self._lines.task_done()

    def _write_all(self, text: str) -> None:
        if self._stream is None:
            raise UnsupportedOperation("there is no stream")
        try:
            descriptor = self._stream.fileno()
        except UnsupportedOperation:  # a stream in memory
            self._stream.write(text)
            return
        data = text.encode(errors="backslashreplace")
        while data:
            try:
                data = data[os.write(descriptor, data) :]
            except BlockingIOError:
                time.sleep(_RETRY_S)
