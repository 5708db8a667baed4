"""A spawned process with a channel, which is killed if it misses a deadline.

A deadline excludes the time for which the process waited for a core: on an overloaded machine it is
slow, and its replacement would add the work of a start. Work that takes minutes, such as a start,
must use the processor meanwhile, in the process or in its children, such as a compiler: a process
that does not is considered stopped.
"""

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
from server.pool.run_queue import used_s, waited_s

logger = logging.getLogger(__name__)

_CHECKS_OF_STALL = 4  # within its time


class SupervisedProcess:
    """One process, from its start to its end.

    Args:
        name: Name for the system and the log.
        on_message: Called with each message of the process.
        clock: Measures the deadlines, seconds; stands still while this process does not run.
        waited: Returns for how long a process, by its id, has waited for a core, seconds.
    """

    def __init__(
        self,
        name: str,
        on_message: Callable[[object], None],
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[int], float] = waited_s,
    ) -> None:
        self.name = name
        self.end_reason: str | None = None
        """Why it ended or is about to end, as far as that is known."""
        self._on_message, self._clock, self._waited = on_message, clock, waited
        self._disconnected = asyncio.Event()
        self._channel: PoolChannel | None = None
        self._process: BaseProcess | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._deadline_at = 0.0
        """Seconds of `_own_time`, as for `_used_at`."""
        self._stall_s: float | None = None
        self._used_s, self._used_at = 0.0, 0.0
        """Its processor time, and the time of the last change of it."""

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
        # Not "fork": threads and CUDA contexts do not survive in the child.
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

    def set_deadline(self, seconds: float, reason: str, stall_s: float | None = None) -> None:
        """Kill the process unless `clear_deadline` is called in time, see the module.

        Args:
            seconds: From now.
            reason: Reason in the log if the process is killed.
            stall_s: Kill it earlier if it uses no processor time for this long.
        """
        self.clear_deadline()
        self._used_at = self._own_time()
        self._deadline_at, self._stall_s = self._used_at + seconds, stall_s
        self._check_later(seconds, reason)

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
            if process.exitcode is not None:  # else `close` raises, as the process still runs
                process.close()
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        return reason

    def _kill_if_late(self, reason: str) -> None:
        now = self._own_time()
        left_s = self._deadline_at - now
        if self._stall_s is not None and self.pid is not None:
            used = used_s(self.pid)
            if used != self._used_s:
                self._used_s, self._used_at = used, now
            elif now - self._used_at >= self._stall_s:
                reason, left_s = f"{reason}: it did not run for {self._stall_s:g} s", 0.0
        if left_s > 0:  # one of the processes had no core meanwhile, so the reply may have arrived
            self._check_later(left_s, reason)
        else:
            self.kill(reason)

    def _check_later(self, seconds: float, reason: str) -> None:
        if self._stall_s is not None:
            seconds = min(seconds, self._stall_s / _CHECKS_OF_STALL)
        loop = asyncio.get_running_loop()
        self._deadline = loop.call_later(seconds, self._kill_if_late, reason)

    def _own_time(self) -> float:
        """Return the time for which the process ran, slept or was blocked, from any start."""
        return self._clock() - (self._waited(self.pid) if self.pid is not None else 0.0)
