"""Avatars that are added to a running pool, and which workers have loaded them.

Every process starts with the avatars of its factory. The added ones follow as jobs, one at a time,
before any other job of the worker: in a running process when an avatar is added, and in each new
process again. A folder is never added twice, so that its path identifies what was loaded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from models.contract.avatar_info import AvatarInfo
from server.errors import RenderError
from server.pool.jobs import JobDone, JobFailed, LoadJob
from server.pool.supervisor import Worker

logger = logging.getLogger(__name__)

_MAX_DEATHS = 2
"""Deaths of processes while they load an avatar after which it is assumed to be the cause."""


@dataclass(eq=False)
class AddedAvatar:
    """One added avatar."""

    info: AvatarInfo
    folder: Path
    loaded: set[str] = field(default_factory=set)
    """Names of the workers whose present process has it."""
    problems: dict[str, str] = field(default_factory=dict)
    """Reasons why present processes could not load it, by worker name."""
    deaths: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def problem(self) -> str | None:
        """Why some worker cannot load it; None if there is no problem."""
        if self.deaths:
            return "a render process died while it loaded the avatar"
        return next(iter(self.problems.values()), None)

    def missing_in(self, worker: Worker) -> bool:
        """Return whether the present process of a worker has still to load it."""
        return (
            self.deaths < _MAX_DEATHS
            and worker.name not in self.loaded
            and worker.name not in self.problems
        )


class AddedAvatars:
    """All avatars that were added. Bookkeeping only; the pool sends the jobs."""

    def __init__(self) -> None:
        self._avatars: dict[str, AddedAvatar] = {}

    def __contains__(self, avatar_id: str) -> bool:
        return avatar_id in self._avatars

    def add(self, info: AvatarInfo, folder: Path) -> None:
        """Add an avatar that all workers have to load."""
        self._avatars[info.id] = AddedAvatar(info, folder)

    def remove(self, avatar_id: str) -> AddedAvatar:
        """Forget an avatar and return it."""
        return self._avatars.pop(avatar_id)

    async def wait_loaded(self, avatar_id: str, workers: Iterable[Worker]) -> None:
        """Wait until each worker that is ready has loaded an avatar.

        Raises:
            RenderError: If one cannot.
        """
        added = self._avatars[avatar_id]
        while not added.problem and any(w.ready and added.missing_in(w) for w in workers):
            added.changed.clear()
            await added.changed.wait()
        if added.problem is not None:
            raise RenderError(added.problem)

    def next_load(self, worker: Worker) -> AddedAvatar | None:
        """Return the first avatar that a worker has still to load."""
        return next((a for a in self._avatars.values() if a.missing_in(worker)), None)

    def finish(self, worker: Worker, job: LoadJob, reply: JobDone | JobFailed) -> bool:
        """Note the result of a load.

        Returns:
            Whether the worker has to keep the avatar: it is loaded and was not removed meanwhile.
        """
        added = self._avatars.get(job.avatar_id)
        if added is None or added.folder != job.folder:
            return False
        if isinstance(reply, JobFailed):
            added.problems[worker.name] = reply.detail
            logger.error("%s: avatar %s is left out: %s", worker.name, job.avatar_id, reply.detail)
        else:
            added.loaded.add(worker.name)
        added.changed.set()
        return isinstance(reply, JobDone)

    def process_ended(self, worker: Worker, job: LoadJob | None) -> None:
        """Note that a process has ended, perhaps during a load: the next one has loaded nothing."""
        for added in self._avatars.values():
            if job is not None and added.folder == job.folder:
                added.deaths += 1
            added.loaded.discard(worker.name)
            added.problems.pop(worker.name, None)
            added.changed.set()
