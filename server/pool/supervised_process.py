"""A spawned process with a channel, which is killed if it misses a deadline."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import socket
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

from server.pool.channel import PoolChannel

logger = logging.getLogger(__name__)


class SupervisedProcess:
    """One process, from its start to its end.

    Args:
        name: Name for the system and the log.
        on_message: Called with each message of the process.
        clock: Measures the deadlines, seconds; stands still while this process does not run.
    """

    def __init__(
        self,
        name: str,
        on_message: Callable[[object], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.end_reason: str | None = None
        """Why it ended or is about to end, as far as that is known."""
        self._on_message, self._clock = on_message, clock
        self._disconnected = asyncio.Event()
        self._channel: PoolChannel | None = None
        self._process: BaseProcess | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._deadline_at = 0.0

    @property
    def pid(self) -> int | None:
        """The id of the process; None before its start and after its end."""
        return self._process.pid if self._process is not None else None

    @property
    def has_deadline(self) -> bool:
        """Whether it will be killed unless `clear_deadline` is called in time."""
        return self._deadline is not None

    async def start(self, target: Callable[..., None], *arguments: Any) -> None:
        """Spawn the process.

        Args:
            target: Its main function.
            arguments: The first arguments, picklable; the last one is its end of the channel.

        Raises:
            OSError: If it cannot be started.
        """
        ours, theirs = socket.socketpair()
        context = multiprocessing.get_context("spawn")
        with theirs:
            self._channel = await PoolChannel.open(ours, self._on_message, self._disconnected.set)
            self._process = context.Process(
                target=target, args=(*arguments, theirs), name=self.name, daemon=True
            )
            # Spawning takes milliseconds, which would delay the frames of all viewers.
            await asyncio.get_running_loop().run_in_executor(None, self._process.start)

    def send(self, message: object) -> None:
        """Send a message; dropped if the process has ended."""
        if self._channel is not None:
            self._channel.send(message)

    async def wait(self) -> None:
        """Wait until the process has closed its end of the channel or has ended."""
        await self._disconnected.wait()

    def set_deadline(self, seconds: float, reason: str) -> None:
        """Kill the process unless `clear_deadline` is called in time."""
        self.clear_deadline()
        loop = asyncio.get_running_loop()
        self._deadline_at = self._clock() + seconds
        self._deadline = loop.call_later(seconds, self._kill_if_late, reason)

    def clear_deadline(self) -> None:
        """Drop the deadline."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def kill(self, reason: str) -> None:
        """Kill the process, if it has been started."""
        if self.pid is not None and self._process is not None:
            self.end_reason = reason
            self._process.kill()

    async def finish(self) -> str | None:
        """Make sure that the process has ended, and release its resources.

        Returns:
            Why it ended; None if it was never started.
        """
        self.clear_deadline()
        process, self._process = self._process, None
        reason = None
        if process is not None and process.pid is not None:
            process.kill()
            await asyncio.get_running_loop().run_in_executor(None, process.join)
            reason = self.end_reason or f"the process ended with code {process.exitcode}"
            if process.exitcode is not None:
                process.close()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        return reason

    def _kill_if_late(self, reason: str) -> None:
        left_s = self._deadline_at - self._clock()
        if left_s > 0:  # this process was frozen meanwhile: the reply may have arrived
            loop = asyncio.get_running_loop()
            self._deadline = loop.call_later(left_s, self._kill_if_late, reason)
        else:
            self.kill(reason)
