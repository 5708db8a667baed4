"""The order of jobs: cache refreshes of a device in rotation, alternating with single images."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from models.contract.images import RgbImage
from server.errors import PoolBusyError, RenderError
from server.pool.cache_slots import CacheSlots
from server.pool.jobs import RenderJob

MOST_BEFORE_LOW_PRIORITY = 5
"""Refreshes after which an image of low priority is next: caches of moving viewers become a little
older meanwhile, but no image waits for as long as any viewer moves."""


@dataclass(eq=False)
class PendingRender:
    """A single image that a caller of `RenderPool.render` waits for."""

    job: RenderJob
    done: asyncio.Future[RgbImage]
    low_priority: bool = False
    """Whether it may wait while there is other work."""
    attempts: int = 0
    """Number of workers that the job has been sent to."""

    def fail(self, reason: str) -> None:
        """Raise a `RenderError` in the caller, unless it has stopped waiting."""
        if not self.done.done():
            self.done.set_exception(RenderError(reason))


class Scheduler:
    """Picks the next job for a free worker. Pure bookkeeping: no processes, no clock.

    Each `CacheSlots` has at most one entry in the queue of its device and returns to the end after
    each refresh (round robin). If both refreshes and images are pending, they alternate, so
    neither starves the other. Images of low priority wait until there is neither, or until
    `MOST_BEFORE_LOW_PRIORITY` refreshes were made since the last one: a moving viewer would
    otherwise block them.

    Args:
        max_pending: Maximum number of pending images, and of pending ones of low priority.
    """

    def __init__(self, max_pending: int) -> None:
        self._max_pending = max_pending
        self._refreshes: dict[str, deque[CacheSlots]] = {}
        self._renders: deque[PendingRender] = deque()
        self._low_priority: deque[PendingRender] = deque()
        self._render_next = False
        self._refreshes_before_low_priority = MOST_BEFORE_LOW_PRIORITY

    @property
    def pending_renders(self) -> int:
        """Number of images that no worker has started."""
        return len(self._renders) + len(self._low_priority)

    @property
    def pending_refreshes(self) -> int:
        """Number of `CacheSlots` whose refresh no worker has started."""
        return sum(len(queue) for queue in self._refreshes.values())

    def queue_refresh(self, slots: CacheSlots) -> None:
        """Append slots to the queue of their device, unless they are in it already."""
        queue = self._refreshes.setdefault(slots.device, deque())
        if slots not in queue:
            queue.append(slots)

    def remove_refresh(self, slots: CacheSlots) -> None:
        """Remove slots from the queue of their device."""
        queue = self._refreshes.get(slots.device, deque())
        if slots in queue:
            queue.remove(slots)

    def queue_render(self, render: PendingRender) -> None:
        """Append an image to the queue.

        Raises:
            PoolBusyError: If the queue is full.
        """
        queue = self._queue(render)
        if len(queue) >= self._max_pending:
            raise PoolBusyError(f"{self._max_pending} images are waiting to be rendered already")
        queue.append(render)

    def requeue_render(self, render: PendingRender) -> None:
        """Put an image whose worker died at the front of the queue."""
        self._queue(render).appendleft(render)

    def discard_render(self, render: PendingRender) -> None:
        """Remove an image that is no longer needed, if it is still in the queue."""
        queue = self._queue(render)
        if render in queue:
            queue.remove(render)

    def drain_renders(self) -> list[PendingRender]:
        """Remove and return all pending images."""
        renders = [*self._renders, *self._low_priority]
        self._renders.clear()
        self._low_priority.clear()
        return renders

    def next_job(self, device: str) -> CacheSlots | PendingRender | None:
        """Remove and return the next job for a free worker of `device`; None if there is none."""
        slots = self._peek_refresh(device)
        if self._renders and (self._render_next or slots is None):
            self._render_next = False
            return self._renders.popleft()
        if self._low_priority and (slots is None or not self._refreshes_before_low_priority):
            self._refreshes_before_low_priority = MOST_BEFORE_LOW_PRIORITY
            return self._low_priority.popleft()
        if slots is not None:
            self._refreshes[device].popleft()  # the caller begins its pending request
            self._render_next = True
            self._refreshes_before_low_priority = max(0, self._refreshes_before_low_priority - 1)
        return slots

    def _queue(self, render: PendingRender) -> deque[PendingRender]:
        return self._low_priority if render.low_priority else self._renders

    def _peek_refresh(self, device: str) -> CacheSlots | None:
        """Return the first refreshable slots, and drop those before them from the queue.

        Dropped slots queue themselves again when they can be refreshed (`CacheSlots.resume`).
        """
        queue = self._refreshes.setdefault(device, deque())
        while queue and not queue[0].can_refresh:
            queue.popleft()
        return queue[0] if queue else None
