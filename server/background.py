"""Background tasks of the server: a failed one is logged, reported and restarted."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from server.errors import TelewarpError

logger = logging.getLogger(__name__)

FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 30.0
"""Pause before a failed task is started again; doubles with each further failure in a row."""
STABLE_S = 60.0
"""A failure after this running time does not count as consecutive."""

Work = Callable[[], Awaitable[None]]
"""Starts a task from its beginning; called again after a failure."""


@dataclass
class TaskStatus:
    """State of one background task."""

    name: str
    """Name of the task, such as `measure the capacity`."""
    failures: int = 0
    """Number of failures since the start of the server."""
    problem: str | None = None
    """Reason why it does not run; None while it runs and after it has finished."""


class BackgroundTasks:
    """Runs tasks until they return, or until `close`. Used from the event loop only."""

    def __init__(self) -> None:
        self._statuses: list[TaskStatus] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._finishing = False

    @property
    def statuses(self) -> tuple[TaskStatus, ...]:
        """All tasks in the order of their start, finished ones included."""
        return tuple(self._statuses)

    def start(self, name: str, work: Work) -> None:
        """Run a task, and run it again after each exception that it raises."""
        status = TaskStatus(name)
        self._statuses.append(status)
        self._tasks.append(asyncio.create_task(self._keep_running(status, work), name=name))

    async def finish(self) -> None:
        """Wait until all tasks have returned; those that fail are not started again."""
        self._finishing = True
        for status, task in zip(self._statuses, self._tasks, strict=True):
            if status.problem is not None:
                task.cancel()  # the task waits for its next attempt
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Cancel all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _keep_running(self, status: TaskStatus, work: Work) -> None:
        pause_s = FIRST_PAUSE_S
        while True:
            began_at = time.monotonic()
            try:
                await work()
            except Exception as exc:
                if time.monotonic() - began_at >= STABLE_S:
                    pause_s = FIRST_PAUSE_S
                _note_failure(status, exc, pause_s)
            else:
                return
            if self._finishing:
                return
            await asyncio.sleep(pause_s)
            status.problem = None
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _note_failure(status: TaskStatus, exc: Exception, pause_s: float) -> None:
    status.failures += 1
    status.problem = f"failed: {str(exc) or type(exc).__name__}"
    # A `TelewarpError` is explained by its text; any other exception is logged with a traceback.
    known = isinstance(exc, TelewarpError)
    logger.error(
        "%s: %s; next attempt in %g s",
        status.name,
        status.problem,
        pause_s,
        exc_info=None if known else exc,
    )
