"""Jobs that make avatars, with a real pool, store and processes and a scripted command."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from server.avatar_store.command import JobLimits
from server.avatar_store.job import Job, JobKind
from server.avatar_store.jobs import AvatarJobs, StoreLimits
from server.avatar_store.store import AvatarStore
from server.errors import (
    AvatarJobNotFoundError,
    AvatarNotFoundError,
    ForbiddenError,
    LimitError,
    StreamNotFoundError,
    TooLargeError,
    UnequippedError,
)
from server.pool.pool import RenderPool
from server.streams.streams import Streams
from tests.server.pool.test_pool import alive, running, until

LIMITS = StoreLimits(
    avatars=3,
    jobs=2,
    upload=1000,
    job=JobLimits(disk=10_000_000, memory=4_000_000_000, time_s=30),
)
COMMAND = """
import json, os, pathlib, subprocess, sys, time
upload, out = map(pathlib.Path, sys.argv[1:])
order = json.loads(upload.read_text())
out.mkdir(exist_ok=True)
def say(**line): print(json.dumps(line), flush=True)
say(stage="track", index=1, stages=2, fraction=0.25, message="tracks")
print("a line that is no JSON"); say(fraction=1)
(out / "frames.png").write_bytes(b"a person")
(out / "nice").write_text(str(os.nice(0)))
(out / "pid").write_text(str(os.getpid()))  # the last one: `started` waits for it
if "child" in order:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    (out / "child").write_text(str(child.pid))
if "write" in order: (out / "big").write_bytes(bytes(order["write"]))
if "memory" in order: bytearray(order["memory"])
if (out / "resumed").exists(): order.pop("sleep", None)
(out / "resumed").touch()
time.sleep(order.get("sleep", 0))
if "error" in order: say(error=order["error"]); sys.exit(order.get("code", 2))
if "code" in order: sys.exit(order["code"])
avatar = pathlib.Path(order.get("elsewhere", out / "avatar"))
avatar.mkdir(exist_ok=True)
(avatar / "manifest.json").write_text(json.dumps({"id": order.get("id", "me"), **order}))
(avatar / "contact_sheet.jpg").write_bytes(b"a person")
say(avatar=str(avatar))
"""


def scripted(job: Job, upload: Path, out: Path) -> list[str]:
    return [sys.executable, "-c", COMMAND, str(upload), str(out)]


@dataclass
class Parts:
    """An avatar store with jobs, its pool and its streams."""

    folder: Path
    pool: RenderPool
    streams: Streams
    store: AvatarStore
    jobs: AvatarJobs

    async def submit(self, avatar_id: str | None = None, **order: Any) -> Job:
        job = Job("video", "Me", "I agree.", avatar_id)
        upload = self.jobs.begin_upload(job, None)
        await upload.write(json.dumps(order).encode())
        upload.finish()
        return job

    def files(self) -> set[str]:
        """Return every stored file, except folders of jobs."""
        return {path.name for path in self.folder.rglob("*") if path.is_file()}


@asynccontextmanager
async def parts(
    folder: Path,
    limits: StoreLimits = LIMITS,
    missing_requirements: Callable[[JobKind], str | None] = lambda kind: None,
) -> AsyncIterator[Parts]:
    """Run the store, pool and streams until the block ends as on SIGTERM."""
    async with running() as pool:
        streams = Streams(pool.avatars)
        store = AvatarStore(folder, pool, streams)
        jobs = AvatarJobs(folder, store, limits, scripted, missing_requirements)
        await store.restore()
        work = asyncio.create_task(jobs.run())
        try:
            yield Parts(folder, pool, streams, store, jobs)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


def ended(job: Job) -> Callable[[], bool]:
    return lambda: job.ended


async def started(parts: Parts, job: Job) -> int:
    """Wait until the command of a job runs; return its process id."""
    pid = parts.folder / "jobs" / job.id / "work" / "pid"
    await until(lambda: pid.exists() and pid.read_text() != "")
    return int(pid.read_text())


async def test_a_job_creates_a_served_avatar_and_keeps_no_other_files(
    tmp_path: Path,
) -> None:
    async with parts(tmp_path / "store") as all_:
        job = await all_.submit("mine", sleep=0.3)
        await started(all_, job)
        await until(lambda: job.progress.stage != "")
        assert (job.state, job.progress.stage, job.progress.fraction) == ("running", "track", 0.25)
        nice = (all_.folder / "jobs" / job.id / "work" / "nice").read_text()
        assert nice == "19"
        await until(ended(job))
        assert (job.state, job.avatar, job.error, job.consent) == ("done", "mine", None, "")
        assert list(all_.pool.avatars) == ["default", "mine"]
        assert all_.files() == {"manifest.json", "job.json"}
        assert json.loads((tmp_path / "store" / "avatars" / job.id / "manifest.json").read_text())[
            "id"
        ] == ("mine")


FAILURES: tuple[tuple[dict[str, Any], str], ...] = (
    ({"error": "two faces"}, "two faces"),
    ({"code": 2}, "ended with code 2; the log of the server"),
    ({"error": "no network", "code": 1}, "no network"),
    ({"elsewhere": "/proc"}, "ended with code 1; the log of the server"),
    ({"memory": 8_000_000_000}, "needed more memory"),
    ({"id": "default"}, "there is another avatar 'default'"),
    ({"id": "jobs"}, "expected an id of letters"),
    ({"id": "../evil"}, "expected an id of letters"),
    ({"fails": True}, "made to fail"),
)


async def test_a_failed_job_reports_its_cause_and_leaves_no_files(tmp_path: Path) -> None:
    elsewhere = ({"elsewhere": str(tmp_path / "else")}, "reported an avatar that it has not made")
    async with parts(tmp_path / "store") as all_:
        for order, reason in (*FAILURES, elsewhere):
            job = await all_.submit(**order)
            await until(ended(job))
            assert (job.state, reason in str(job.error)) == ("failed", True), job.error
            assert all_.files() == {"job.json"}
            assert list(all_.pool.avatars) == ["default"]
        assert len(all_.jobs.list()) == len(FAILURES) + 1


async def test_disk_space_and_time_of_a_job_are_limited(tmp_path: Path) -> None:
    limits = replace(LIMITS, job=replace(LIMITS.job, disk=1_000_000, time_s=6))
    async with parts(tmp_path / "store", limits) as all_:
        large = await all_.submit(write=3_000_000, sleep=20)
        await until(ended(large))
        assert large.error == "the job needed more than 1 MB of disk"
        late = await all_.submit(sleep=20)
        late.spent_s = 5.8  # of earlier runs of the server
        await until(ended(late))
        assert late.error == "the job took longer than 0.1 minutes"
        assert all_.files() == {"job.json"}


async def test_number_and_size_of_avatars_are_limited(tmp_path: Path) -> None:
    async with parts(tmp_path / "store") as all_:
        first = await all_.submit(sleep=20)
        second = await all_.submit()
        await started(all_, first)
        assert (all_.jobs.position(first), all_.jobs.position(second)) == (None, 2)
        with pytest.raises(LimitError, match="at most 2 jobs"):
            await all_.submit()
        await all_.jobs.delete(first.id)
        with pytest.raises(TooLargeError, match="at most 1000 bytes, got 1001"):
            all_.jobs.begin_upload(Job("video", "Me", "", None), 1001)
        upload = all_.jobs.begin_upload(Job("video", "Me", "", None), None)
        with pytest.raises(TooLargeError, match="at most 1000 bytes, got more"):
            await upload.write(bytes(1001))
        await all_.jobs.abort_upload(upload)
        await until(ended(second))
        assert second.state == "done"


async def test_deleting_a_job_ends_its_processes_and_removes_its_files(tmp_path: Path) -> None:
    async with parts(tmp_path / "store") as all_:
        job = await all_.submit(sleep=60, child=True)
        pid = await started(all_, job)
        child_file = all_.folder / "jobs" / job.id / "work" / "child"
        await until(lambda: child_file.exists() and child_file.read_text() != "")
        child = int(child_file.read_text())
        assert alive(pid)
        await all_.jobs.delete(job.id)
        await until(lambda: not alive(pid) and not alive(child))
        assert all_.files() == set()
        with pytest.raises(AvatarJobNotFoundError):
            all_.jobs.get(job.id)
        assert (await all_.submit()).state == "waiting", "the next job runs"


async def test_jobs_and_avatars_remain_after_a_restart(tmp_path: Path) -> None:
    async with parts(tmp_path / "store") as before:
        first = await before.submit("one")
        await until(ended(first))
        second = await before.submit("two", sleep=60)
        pid = await started(before, second)
        resumed = before.folder / "jobs" / second.id / "work" / "resumed"
        await until(resumed.exists)
    assert not alive(pid)
    async with parts(tmp_path / "store") as after:
        assert "one" in after.pool.avatars
        job = after.jobs.get(second.id)
        await until(ended(job))
        assert (job.state, job.starts, job.avatar) == ("done", 2, "two")
        assert sorted(after.pool.avatars) == ["default", "one", "two"]
        assert after.jobs.get(first.id).state == "done"


async def test_an_interrupted_upload_is_removed_at_a_restart(tmp_path: Path) -> None:
    async with parts(tmp_path / "store") as before:
        upload = before.jobs.begin_upload(Job("video", "Me", "I agree.", None), None)
        await upload.write(b"half of a face")
        upload.close()
    async with parts(tmp_path / "store") as after:
        assert (after.jobs.list(), after.files()) == ((), set())


async def test_a_job_that_was_interrupted_too_often_fails(tmp_path: Path) -> None:
    async with parts(tmp_path / "store") as all_:
        job = Job("video", "Me", "I agree.", None, starts=5)
        upload = all_.jobs.begin_upload(job, None)
        await upload.write(b"{}")
        upload.finish()
        await until(ended(job))
        assert job.error == "the server was stopped 5 times while it ran"


async def test_deleting_an_avatar_deletes_its_streams_and_files(tmp_path: Path) -> None:
    async with parts(tmp_path / "store") as all_:
        await until(ended(await all_.submit()))
        all_.streams.create("me", "mine")
        other = all_.streams.create("default", "other")
        assert await all_.store.delete("me") == all_.jobs.list()[0].id
        with pytest.raises(StreamNotFoundError, match="no stream 'mine': its avatar was deleted"):
            all_.streams.get("mine")
        assert all_.streams.list() == (other,)
        assert list(all_.pool.avatars) == ["default"]
        assert all_.files() == {"job.json"}
        with pytest.raises(AvatarNotFoundError, match="no avatar 'me'; stored are: none"):
            await all_.store.delete("me")
        with pytest.raises(ForbiddenError, match="belongs to --avatars"):
            await all_.store.delete("default")


async def test_a_job_that_cannot_run_is_refused_before_its_upload(tmp_path: Path) -> None:
    def no_videos(kind: JobKind) -> str | None:
        return "expected mediapipe to be installed" if kind == "video" else None

    async with parts(tmp_path / "store", missing_requirements=no_videos) as all_:
        with pytest.raises(UnequippedError, match="expected mediapipe"):
            await all_.submit()
        assert all_.jobs.list() == ()
        assert list((tmp_path / "store" / "jobs").iterdir()) == []
        upload = all_.jobs.begin_upload(Job("archive", "Me", "", None), None)
        await all_.jobs.abort_upload(upload)


def test_the_command_ends_when_the_server_is_killed(tmp_path: Path) -> None:
    """The killed server cannot end it: the command ends when its pipe closes."""
    pid = tmp_path / "pid"
    command = f"import os, pathlib, time; pathlib.Path({str(pid)!r}).write_text(str(os.getpid()));"
    command += "time.sleep(60)"
    server = f"""
import subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-m", "server.avatar_store.child_process", "5", "4000000000",
     sys.executable, "-c", {command!r}],
    stdin=subprocess.PIPE, process_group=0,
)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", server], cwd=Path(__file__).parents[3])
    deadline = time.monotonic() + 20
    while not (pid.exists() and pid.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    while alive(int(pid.read_text())):
        assert time.monotonic() < deadline, "the command continues without a server"
        time.sleep(0.02)
