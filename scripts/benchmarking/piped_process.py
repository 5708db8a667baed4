"""A process of a benchmark that answers questions over a pipe."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from typing import Any

_END_S = 10
"""Timeout after which a process that does not end by itself is killed."""


class PipedProcess:
    """Runs a function in a process of its own until `close`.

    Args:
        target: The function; it ends when receiving from its last argument, the other end of
            `pipe`, raises `EOFError`.
        arguments: Its other arguments.
    """

    def __init__(self, target: Callable[..., None], *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, remote = context.Pipe()
        self._process = context.Process(target=target, args=(*arguments, remote), daemon=True)
        self._process.start()
        # Open in the new process only, so that reading here fails when that process has ended.
        remote.close()

    @property
    def pid(self) -> int:
        """Id of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def close(self) -> None:
        """Close the pipe and end the process."""
        self.pipe.close()
        self._process.join(_END_S)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()
