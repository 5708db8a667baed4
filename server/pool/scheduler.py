"""Whose turn it is: the lines of a device in rotation, with whole pictures in between."""

from __future__ import annotations

from collections import deque
from typing import Generic, TypeVar

from server.errors import PoolBusyError
from server.pool.cache_slots import CacheSlots

Render = TypeVar("Render")


class Scheduler(Generic[Render]):
    """Picks the next job for a free worker. Pure bookkeeping: no processes, no clock.

    A line waits at most once, and stands at the end after each refresh: lines are served in
    rotation. Where both lines and pictures wait, they alternate, so neither starves the other.

    Args:
        max_waiting: More waiting pictures are refused.
    """

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._lines: dict[str, deque[CacheSlots]] = {}
        self._renders: deque[Render] = deque()
        self._render_next = False

    @property
    def waiting_renders(self) -> int:
        """Pictures nobody works on yet."""
        return len(self._renders)

    @property
    def waiting_lines(self) -> int:
        """Lines whose request nobody works on yet."""
        return sum(len(lines) for lines in self._lines.values())

    def want(self, line: CacheSlots) -> None:
        """Give a line a place in the rotation, if it has none."""
        lines = self._lines.setdefault(line.device, deque())
        if line not in lines:
            lines.append(line)

    def forget(self, line: CacheSlots) -> None:
        """Take a line out of the rotation."""
        lines = self._lines.get(line.device, deque())
        if line in lines:
            lines.remove(line)

    def put(self, render: Render) -> None:
        """Let a picture wait for its turn.

        Raises:
            PoolBusyError: If too many wait already.
        """
        if len(self._renders) >= self._max_waiting:
            raise PoolBusyError(f"{self._max_waiting} pictures are waiting to be rendered already")
        self._renders.append(render)

    def put_back(self, render: Render) -> None:
        """Let a picture whose worker died be the next."""
        self._renders.appendleft(render)

    def discard(self, render: Render) -> None:
        """Drop a picture nobody wants any more, if it still waits."""
        if render in self._renders:
            self._renders.remove(render)

    def drain(self) -> list[Render]:
        """Take all waiting pictures at once."""
        renders = list(self._renders)
        self._renders.clear()
        return renders

    def next(self, device: str) -> CacheSlots | Render | None:
        """Take what a free worker of `device` should do next; None if there is nothing."""
        line = self._peek_line(device)
        if self._renders and (self._render_next or line is None):
            self._render_next = False
            return self._renders.popleft()
        if line is not None:
            self._lines[device].popleft()
            self._render_next = True
        return line

    def _peek_line(self, device: str) -> CacheSlots | None:
        """The first line in rotation; lines that cannot be refreshed now lose their place.

        They ask for a new one as soon as they can (`CacheSlots.settle`).
        """
        lines = self._lines.setdefault(device, deque())
        while lines and not lines[0].can_refresh:
            lines.popleft()
        return lines[0] if lines else None
