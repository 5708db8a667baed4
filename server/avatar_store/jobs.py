"""Jobs that make avatars: uploading, waiting, running one at a time, and surviving a restart."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

from server.avatar_store.command import (
    NICENESS,
    CommandLine,
    JobFailedError,
    JobLimits,
    command_line,
    run_command,
)
from server.avatar_store.job import Job, JobKind, Progress, load_job
from server.avatar_store.requirements import missing_requirements
from server.avatar_store.store import AvatarStore
from server.errors import (
    AvatarJobNotFoundError,
    LimitError,
    SettingsError,
    StorageError,
    TelewarpError,
    TooLargeError,
    UnequippedError,
)

logger = logging.getLogger(__name__)

UPLOAD = "upload"
"""Name of the uploaded file in a job's folder."""
_OUTPUT = "work"
_ID = re.compile(r"[0-9a-f]{16}")
_MAX_STARTS = 5
"""Maximum number of starts of a command; after as many interruptions the job fails."""
_KEPT_RECORDS = 50
"""Records of ended jobs that are kept."""
_SAVE_INTERVAL_S = 1.0
_FREE_BYTES = 1 << 30
"""Space that must remain free when an upload begins."""


@dataclass(frozen=True)
class StoreLimits:
    """Limits of a store and its jobs."""

    avatars: int
    """Maximum number of stored avatars, including those that jobs are making."""
    jobs: int
    """Maximum number of jobs that upload, wait or run."""
    upload: int
    """Maximum size of a video or an archive, bytes."""
    job: JobLimits


class Upload:
    """Receives the file of a new job; exactly one of `finish` and `abort` must be called."""

    def __init__(self, job: Job, folder: Path, largest: int, queue: Callable[[Job], None]) -> None:
        self.job = job
        self._folder, self._largest, self._queue = folder, largest, queue
        self._size = 0
        self._file = (folder / UPLOAD).open("xb")

    async def write(self, chunk: bytes) -> None:
        """Append bytes.

        Raises:
            TooLargeError: If the file exceeds the limit.
            StorageError: If the disk is full.
            AvatarJobNotFoundError: If the job was deleted meanwhile.
        """
        self._size += len(chunk)
        if self._size > self._largest:
            raise TooLargeError(f"expected at most {self._largest} bytes, got more")
        if self._file.closed:
            raise AvatarJobNotFoundError(f"job {self.job.id!r} was deleted meanwhile")
        try:
            await asyncio.to_thread(self._file.write, chunk)
        except (OSError, ValueError) as exc:
            raise StorageError(f"cannot store the upload: {exc}") from exc

    def finish(self) -> None:
        """Queue the job."""
        self.close()
        self._queue(self.job)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class AvatarJobs:
    """All jobs of a store.

    Args:
        folder: The store's folder.
        store: Receives the avatars that jobs make.
        limits: Limits of disk, memory, time and number of jobs.
        make_command: Returns the command of a job.
        missing_requirements: Returns what the installation lacks for a kind of job, or None.

    Raises:
        SettingsError: If the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        store: AvatarStore,
        limits: StoreLimits,
        make_command: CommandLine = command_line,
        missing_requirements: Callable[[JobKind], str | None] = missing_requirements,
    ) -> None:
        self._folder, self._store, self._limits = folder / "jobs", store, limits
        self._make_command, self._missing_requirements = make_command, missing_requirements
        self._jobs: dict[str, Job] = {}
        self._uploads: dict[str, Upload] = {}
        self._running: tuple[Job, asyncio.Task[None]] | None = None
        self._waiting = asyncio.Event()
        self.registry = CollectorRegistry(auto_describe=False)
        """Contains the metrics of jobs only."""
        self._ended = Counter(
            "telewarp_avatar_jobs_ended",
            "Jobs that made an avatar, failed, or were deleted before their end",
            ["result"],
            registry=self.registry,
        )
        for result in ("done", "failed", "deleted"):
            self._ended.labels(result)
        Gauge(
            "telewarp_avatar_jobs", "Jobs that upload, wait or run", registry=self.registry
        ).set_function(lambda: len(self._unfinished()))
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._recover()
        except OSError as exc:
            raise SettingsError(f"--avatar-store {folder}: {exc.strerror or exc}") from exc

    def list(self) -> tuple[Job, ...]:
        """Return all jobs, oldest first, ended ones included."""
        return tuple(self._jobs.values())

    def get(self, job_id: str) -> Job:
        """Return a job.

        Raises:
            AvatarJobNotFoundError: If there is none.
        """
        job = self._jobs.get(job_id)
        if job is None:
            raise AvatarJobNotFoundError(f"no job {job_id!r}")
        return job

    def position(self, job: Job) -> int | None:
        """Return the queue position of a waiting job, 1 for the next; None if it does not wait."""
        waiting = [each for each in self._jobs.values() if each.state == "waiting"]
        return waiting.index(job) + 1 + bool(self._running) if job in waiting else None

    def begin_upload(self, job: Job, announced: int | None) -> Upload:
        """Create a new job; the caller then uploads its file.

        Args:
            job: A job with a new id.
            announced: Size of the file, bytes, if the client announces it.

        Raises:
            LimitError: If there are too many jobs or avatars.
            TooLargeError: If the file is too large.
            StorageError: If there is no space.
            UnequippedError: If the installation cannot make an avatar of such a file.
        """
        if (reason := self._missing_requirements(job.kind)) is not None:
            raise UnequippedError(reason)
        unfinished = len(self._unfinished())
        if unfinished >= self._limits.jobs:
            raise LimitError(f"at most {self._limits.jobs} jobs at a time: wait, or delete one")
        if unfinished + len(self._store.ids) >= self._limits.avatars:
            raise LimitError(f"at most {self._limits.avatars} stored avatars: delete one first")
        size = announced or 0
        if size > self._limits.upload:
            raise TooLargeError(f"expected at most {self._limits.upload} bytes, got {size}")
        try:
            if shutil.disk_usage(self._folder).free < size + _FREE_BYTES:
                raise StorageError("expected 1 GB of free space beside the upload, got less")
            folder = self._folder / job.id
            folder.mkdir(mode=0o700)
            job.save(folder)
            upload = Upload(job, folder, self._limits.upload, self._queue)
        except OSError as exc:
            raise StorageError(f"cannot store the upload: {exc.strerror or exc}") from exc
        self._jobs[job.id], self._uploads[job.id] = job, upload
        return upload

    async def abort_upload(self, upload: Upload) -> None:
        """Delete a job whose file did not arrive."""
        if upload.job.id in self._jobs:
            await self.delete(upload.job.id)

    async def delete(self, job_id: str) -> None:
        """End a job and delete all its data except the avatar that it has made.

        Raises:
            AvatarJobNotFoundError: If there is none.
            StorageError: If a file cannot be deleted.
        """
        job = self.get(job_id)
        del self._jobs[job_id]
        if not job.ended:
            self._ended.labels("deleted").inc()
        if (upload := self._uploads.pop(job_id, None)) is not None:
            upload.close()
        if self._running is not None and self._running[0] is job:
            task = self._running[1]
            task.cancel()
            await asyncio.wait({task})
        try:
            await asyncio.to_thread(shutil.rmtree, self._folder / job_id)
        except OSError as exc:
            raise StorageError(f"cannot delete the job: {exc.strerror or exc}") from exc

    async def run(self) -> None:
        """Run the jobs, one at a time, until cancelled; an interrupted job is resumed later."""
        while True:
            job = next((each for each in self._jobs.values() if each.state == "waiting"), None)
            if job is None:
                self._waiting.clear()
                await self._waiting.wait()
                continue
            task = asyncio.create_task(self._run(job))
            self._running = job, task
            try:
                await asyncio.wait({task})
            finally:
                task.cancel()
                await asyncio.wait({task})
                self._running = None
                if job.state == "running":  # internal error: tried again, up to `_MAX_STARTS` times
                    job.state = "waiting"
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    def _unfinished(self) -> tuple[Job, ...]:
        return tuple(job for job in self._jobs.values() if not job.ended)

    def _queue(self, job: Job) -> None:
        self._uploads.pop(job.id, None)
        job.state = "waiting"
        job.save(self._folder / job.id)
        self._waiting.set()

    def _recover(self) -> None:
        """Read the jobs of earlier runs. Interrupted ones are queued again."""
        found = []
        for folder in self._folder.iterdir():
            if not _ID.fullmatch(folder.name):
                continue
            try:
                found.append(load_job(folder))
            except (OSError, ValueError, TypeError, KeyError) as exc:
                logger.error("job %s is deleted: %s", folder.name, exc)
                shutil.rmtree(folder)
        for job in sorted(found, key=lambda each: each.created_at):
            self._recover_job(job)

    def _recover_job(self, job: Job) -> None:
        folder = self._folder / job.id
        if job.state == "uploading":  # the rest of the upload can no longer arrive
            shutil.rmtree(folder)
            return
        self._jobs[job.id] = job
        if job.ended:
            return
        if self._store.holds(job.id):  # the server was stopped just before it recorded the end
            job.end("done")
            _keep_record_only(folder)
        elif not (folder / UPLOAD).is_file():
            job.error = "the server was stopped while the job ended"
            job.end("failed")
        else:
            job.state = "waiting"
        job.save(folder)

    async def _run(self, job: Job) -> None:
        """Run one job to its end."""
        folder = self._folder / job.id
        job.state, job.starts = "running", job.starts + 1
        job.save(folder)
        logger.info("job %s (%s) begins", job.id, job.kind)
        try:
            if job.starts > _MAX_STARTS:
                raise JobFailedError(f"the server was stopped {_MAX_STARTS} times while it ran")
            made = await self._make(job, folder)
            info = await self._store.add(job.id, made, job.wanted_id)
        except (JobFailedError, TelewarpError) as exc:
            await self._end(job, "failed", error=str(exc))
        else:
            await self._end(job, "done", avatar=info.id)

    async def _make(self, job: Job, folder: Path) -> Path:
        """Run the command of a job; return the folder of the avatar."""
        began, saved_at, spent_s = time.monotonic(), 0.0, job.spent_s

        def note(progress: Progress) -> None:
            nonlocal saved_at
            now = time.monotonic()
            job.progress, job.spent_s = progress, spent_s + now - began
            job.revision += 1
            if now - saved_at >= _SAVE_INTERVAL_S:
                saved_at = now
                job.save(folder)

        command = self._make_command(job, folder / UPLOAD, folder / _OUTPUT)
        try:
            niceness = NICENESS[job.kind]
            return await run_command(command, folder, self._limits.job, spent_s, niceness, note)
        finally:
            job.spent_s = spent_s + time.monotonic() - began
            with suppress(OSError):  # deleted meanwhile
                job.save(folder)

    async def _end(
        self,
        job: Job,
        state: Literal["done", "failed"],
        avatar: str | None = None,
        error: str | None = None,
    ) -> None:
        """Record the end of a job, and delete its upload and intermediate files."""
        folder = self._folder / job.id
        await asyncio.to_thread(
            _keep_record_only, folder
        )  # first: the end becomes visible after it
        job.avatar, job.error = avatar, error
        job.end(state)
        job.save(folder)
        self._ended.labels(job.state).inc()
        level = logging.INFO if error is None else logging.WARNING
        logger.log(level, "job %s has ended: %s", job.id, error or f"avatar {avatar}")
        ended = [each for each in self._jobs.values() if each.ended]
        for old in ended[: max(0, len(ended) - _KEPT_RECORDS)]:
            await self.delete(old.id)


def _keep_record_only(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name.startswith("job.json"):
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
