"""Assigns jobs to free workers and returns results to their callers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from models.contract.avatar_info import AvatarInfo
from models.contract.images import RgbImage
from server.errors import PoolBusyError
from server.pool.added_avatars import AddedAvatars
from server.pool.cache_slots import CacheSlots
from server.pool.image_blocks import ImageBlocks
from server.pool.jobs import (
    AttachImage,
    Job,
    JobDone,
    JobFailed,
    LoadJob,
    RefreshJob,
    RemoveAvatar,
    RenderJob,
)
from server.pool.mark import Mark
from server.pool.scheduler import PendingRender, Scheduler
from server.pool.supervisor import Worker
from server.pool.workers import Workers

logger = logging.getLogger(__name__)

_MAX_ATTEMPTS = 2
"""Workers that an image may be sent to. After two deaths the image is assumed to be the cause."""
_RENDER_TIMEOUT_S = 20.0
"""Longest time from the request of a single image to its result."""


class Dispatcher:
    """The jobs of all workers: those pending and those in progress.

    Args:
        workers: Get the jobs.
        scheduler: The pending refreshes and single images.
        added: Avatars that workers have to load first.
        images: Where workers write single images.
        mark: Drawn into single images.
        find_avatar: Returns an avatar; None if it was deleted.
        next_id: Returns an id that no job and no slots have.
    """

    def __init__(
        self,
        workers: Workers,
        scheduler: Scheduler,
        added: AddedAvatars,
        images: ImageBlocks,
        mark: Mark,
        find_avatar: Callable[[str], AvatarInfo | None],
        next_id: Callable[[], int],
    ) -> None:
        self._workers, self._scheduler = workers, scheduler
        self._added, self._images, self._mark = added, images, mark
        self._find_avatar, self._next_id = find_avatar, next_id
        self._in_progress: dict[int, CacheSlots | PendingRender | LoadJob] = {}
        """Jobs that workers are doing, by job id."""
        self.open = False
        """Whether jobs are assigned."""
        self.refreshes = 0
        """Caches filled since the start."""
        self.renders = 0
        """Single images rendered since the start."""

    def dispatch(self) -> None:
        """Assign the next job to every idle worker."""
        for worker in self._workers:
            if worker.free and self.open:
                self._assign_next(worker)

    async def render(self, job: RenderJob, low_priority: bool = False) -> RgbImage:
        """Render a single image; see `RenderPool.render` and `RenderPool.render_low_priority`.

        Raises:
            PoolBusyError: If too many images are pending, or the image was not done in time.
            RenderError: If the image cannot be rendered.
        """
        render = PendingRender(job, asyncio.get_running_loop().create_future(), low_priority)
        self._scheduler.queue_render(render)
        self.dispatch()
        try:
            # Not `wait_for`, which may swallow the caller's cancellation (Python 3.11).
            async with asyncio.timeout(_RENDER_TIMEOUT_S):
                return await render.done
        except TimeoutError as exc:
            reason = f"the image was not rendered within {_RENDER_TIMEOUT_S:g} s"
            raise PoolBusyError(reason) from exc
        finally:
            self._scheduler.discard_render(render)

    def close(self) -> None:
        """Stop assigning jobs, and refuse the pending images."""
        self.open = False
        for render in self._scheduler.drain_renders():
            render.fail("the pool is closing")

    def finish(self, worker: Worker, job: Job, reply: JobDone | JobFailed) -> str | None:
        """Process the result of a job.

        Returns:
            The id of an avatar that the worker has loaded; None for other jobs.
        """
        loaded = None
        match self._in_progress.pop(job.id):
            case CacheSlots() as slots:
                self._finish_refresh(slots, reply)
            case PendingRender() as render:
                self._finish_render(render, worker, reply)
            case LoadJob() as load:
                loaded = load.avatar_id if self._finish_load(load, worker, reply) else None
        return loaded

    def retry(self, worker: Worker, job: Job | None) -> None:
        """Repeat the job of a worker whose process has ended, if that may help."""
        self._added.process_ended(worker, job if isinstance(job, LoadJob) else None)
        match self._in_progress.pop(job.id) if job is not None else None:
            case CacheSlots() as slots:
                self._retry_refresh(slots)
            case PendingRender() as render if render.attempts < _MAX_ATTEMPTS and self.open:
                self._scheduler.requeue_render(render)
            case PendingRender() as render:
                render.fail(f"the worker died while rendering it ({worker.problem})")

    def _assign_next(self, worker: Worker) -> None:
        if (added := self._added.next_load(worker)) is not None:
            load = LoadJob(self._next_id(), added.info.id, added.folder)
            self._in_progress[load.id] = load
            worker.assign(load)
            return
        match self._scheduler.next_job(worker.device):
            case CacheSlots() as slots:
                refresh = slots.begin_refresh()
                size = slots.rendition.size
                job = RefreshJob(self._next_id(), slots.id, refresh.slot, refresh.state, size)
                self._in_progress[job.id] = slots
                worker.assign(job)
            case PendingRender() as render:
                render.attempts += 1
                self._in_progress[render.job.id] = render
                worker.assign(render.job)

    def _retry_refresh(self, slots: CacheSlots) -> None:
        pause_s = slots.retry_refresh()
        if pause_s:
            logger.warning(
                "cache slots %d: several workers died in their refreshes, next attempt in %g s",
                slots.id,
                pause_s,
            )
            asyncio.get_running_loop().call_later(pause_s, slots.resume)

    def _finish_refresh(self, slots: CacheSlots, reply: JobDone | JobFailed) -> None:
        if isinstance(reply, JobFailed):
            # Logged once per viewer, because a refused state occurs up to 60 times a second.
            if not slots.failed_refreshes:
                logger.warning("cache slots %d: a refresh failed: %s", slots.id, reply.detail)
            slots.fail_refresh()
            return
        self.refreshes += 1
        slots.finish_refresh()

    def _finish_load(self, load: LoadJob, worker: Worker, reply: JobDone | JobFailed) -> bool:
        """Let a worker render an avatar that it has loaded; return whether it can and has to."""
        if isinstance(reply, JobDone):
            # Only now: the worker has no job that could be writing to the smaller block.
            try:
                if self._images.enlarge(worker.name):
                    worker.send(AttachImage(self._images.name(worker.name)))
            except PoolBusyError as exc:
                reply = JobFailed(load.id, str(exc))
        kept = self._added.finish(worker, load, reply)
        if not kept:
            worker.send(RemoveAvatar(load.avatar_id))
        return kept

    def _finish_render(
        self, render: PendingRender, worker: Worker, reply: JobDone | JobFailed
    ) -> None:
        if isinstance(reply, JobFailed):
            render.fail(reply.detail)
            return
        self.renders += 1
        if not render.done.done():  # otherwise its caller has stopped waiting
            image = self._images.read(worker.name, reply.shape)
            avatar = self._find_avatar(render.job.avatar_id)
            if avatar is not None:  # deleted meanwhile: not shown
                self._mark.draw(avatar, image)
            render.done.set_result(image)
