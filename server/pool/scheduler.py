"""The order of jobs: cache refreshes of a device in rotation, alternating with single images."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from models.contract.images import RgbImage
from server.errors import PoolBusyError, RenderError
from server.pool.cache_slots import CacheSlots
from server.pool.jobs import RenderJob

MOST_BEFORE_SPARE = 5
"""Refreshes after which a spare image is next: caches of viewers who move become a little older
meanwhile, but nobody waits for as long as anybody moves."""


@dataclass(eq=False)
class PendingRender:
    """A single image that a caller of `RenderPool.render` waits for."""

    job: RenderJob
    done: asyncio.Future[RgbImage]
    spare: bool = False
    """Whether it may wait while other work is to be done."""
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
    neither starves the other. Spare images wait until there is neither, or `MOST_BEFORE_SPARE`
    refreshes were made since the last one: a viewer who moves would otherwise hold them off.

    Args:
        max_pending: Maximum number of pending images, and of pending spare ones.
    """

    def __init__(self, max_pending: int) -> None:
        self._max_pending = max_pending
        self._refreshes: dict[str, deque[CacheSlots]] = {}
        self._renders: deque[PendingRender] = deque()
        self._spare: deque[PendingRender] = deque()
        self._render_next = False
        self._refreshes_before_spare = MOST_BEFORE_SPARE

    @property
    def pending_renders(self) -> int:
        """Number of images that no worker has started."""
        return len(self._renders) + len(self._spare)

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
        renders = [*self._renders, *self._spare]
        self._renders.clear()
        self._spare.clear()
        return renders

    def next_job(self, device: str) -> CacheSlots | PendingRender | None:
        """Remove and return the next job for a free worker of `device`; None if there is none."""
        slots = self._peek_refresh(device)
        if self._renders and (self._render_next or slots is None):
            self._render_next = False
            return self._renders.popleft()
        if self._spare and (slots is None or not self._refreshes_before_spare):
            self._refreshes_before_spare = MOST_BEFORE_SPARE
            return self._spare.popleft()
        if slots is not None:
            self._refreshes[device].popleft()  # its pending request is begun by the caller
            self._render_next = True
            self._refreshes_before_spare = max(0, self._refreshes_before_spare - 1)
        return slots

    def _queue(self, render: PendingRender) -> deque[PendingRender]:
        return self._spare if render.spare else self._renders

    def _peek_refresh(self, device: str) -> CacheSlots | None:
        """Return the first refreshable slots, and drop those before them from the queue.

        Dropped slots queue themselves again when they can be refreshed (`CacheSlots.resume`).
        """
        queue = self._refreshes.setdefault(device, deque())
        while queue and not queue[0].can_refresh:
            queue.popleft()
        return queue[0] if queue else None
