"""Builds and runs the commands that make an avatar from a video or an archive."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from server.avatar_store.child_process import GRACE_S
from server.avatar_store.job import LONGEST_TEXT, Job, JobKind, Progress

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
_LONGEST_LINE = 1 << 16
_LOGGED = 2000
"""Bytes of a command's log that are copied to the log of the server."""
_NO_MEMORY = ("MemoryError", "can't allocate memory", "Cannot allocate memory")
_CHECK_S = 2.0
"""Interval at which disk usage is measured, seconds."""


class JobFailedError(Exception):
    """A job cannot make an avatar; the text is for the client that started it."""


NICENESS: Mapping[JobKind, int] = {"archive": 10, "video": 19}
"""An archive is checked in seconds, at the priority of the render workers; training for an hour
runs at the lowest."""


@dataclass(frozen=True)
class JobLimits:
    """Limits of one job."""

    disk: int
    """Size of its folder, bytes."""
    memory: int
    """Memory of each of its processes, bytes."""
    time_s: float
    """Running time of its command over all restarts, seconds."""


CommandLine = Callable[[Job, Path, Path], list[str]]
"""Returns the command of a job, from the job, its uploaded file and the folder for its output."""


def command_line(job: Job, upload: Path, out: Path) -> list[str]:
    """Return the command of a job. Started again with the same folder it resumes."""
    script = "import_avatar" if job.kind == "archive" else "make_avatar"
    command = [sys.executable, str(ROOT / "scripts" / f"{script}.py"), "--progress", "json"]
    if job.kind == "archive":
        return [*command, "--folder", "avatar", "--out", str(out), str(upload)]
    threads = max(1, (os.cpu_count() or 1) - 1)
    # With `=`, because a statement may begin with a dash.
    texts = [f"--name={job.name}", f"--consent={job.consent}", f"--threads={threads}"]
    return [*command, "--video", str(upload), "--out", str(out), *texts]


async def run_command(
    command: list[str],
    folder: Path,
    limits: JobLimits,
    spent_s: float,
    niceness: int,
    on_progress: Callable[[Progress], None],
) -> Path:
    """Run the command of a job to its end, and end it if the caller is cancelled.

    Args:
        command: Prints JSON lines.
        folder: The job's folder; its size is limited, and the command's log is written to it.
        limits: Limits of disk, memory and time.
        spent_s: Running time of earlier starts, seconds.
        niceness: Increase of the niceness of the command.
        on_progress: Called with each line about progress.

    Returns:
        The folder of the avatar.

    Raises:
        JobFailedError: If the command makes no avatar.
    """
    with (folder / "log.txt").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "server.avatar_store.child_process",
            str(niceness),
            str(limits.memory),
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=log,
            cwd=ROOT,
            limit=_LONGEST_LINE,
            process_group=0,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
    watching = asyncio.create_task(_watch_size(folder, limits.disk))
    reading = asyncio.create_task(_read_lines(process, on_progress))
    try:
        async with asyncio.timeout(max(0.0, limits.time_s - spent_s)):
            await asyncio.wait((watching, reading), return_when=asyncio.FIRST_COMPLETED)
    except TimeoutError:
        raise JobFailedError(f"the job took longer than {limits.time_s / 60:g} minutes") from None
    finally:
        watching.cancel()
        reading.cancel()
        await asyncio.gather(watching, reading, return_exceptions=True)
        await _end(process)
    if not reading.done() or reading.cancelled():
        raise JobFailedError(f"the job needed more than {limits.disk / 1e6:.0f} MB of disk")
    return _result(reading.result(), process.returncode, folder)


async def _read_lines(
    process: Process, on_progress: Callable[[Progress], None]
) -> dict[str, object]:
    """Read the lines until the command closes its output; return the last one that is no progress.

    Lines that are no JSON objects are ignored.
    """
    assert process.stdout is not None
    last: dict[str, object] = {}
    while True:
        try:
            line = await process.stdout.readline()
        except ValueError:  # longer than `_LONGEST_LINE`
            continue
        if not line:
            await process.wait()
            return last
        with suppress(ValueError, TypeError, RecursionError):
            values = json.loads(line)
            if isinstance(values, dict) and "stage" in values:
                on_progress(Progress.read(values))
            elif isinstance(values, dict):
                last = values


async def _watch_size(folder: Path, largest: int) -> None:
    """Return once a folder exceeds its limit."""
    while await asyncio.to_thread(folder_size, folder) <= largest:
        await asyncio.sleep(_CHECK_S)


def folder_size(folder: Path) -> int:
    """Return the bytes of all files below a folder; files may be created and deleted meanwhile."""
    size = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                size += (Path(parent) / name).lstat().st_size
    return size


async def _end(process: Process) -> None:
    """End the group of the command's processes; return when it has ended."""
    if process.returncode is None:
        assert process.stdin is not None
        process.stdin.close()  # on which its parent process ends it
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S + 1):
                await process.wait()
    with suppress(ProcessLookupError):  # processes that a killed parent process has left
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


def _result(last: dict[str, object], code: int | None, folder: Path) -> Path:
    """Return the folder of the avatar that the command reports."""
    if code == 0 and "avatar" in last:
        avatar = Path(str(last["avatar"])).resolve()
        if avatar.is_relative_to(folder.resolve()) and (avatar / "manifest.json").is_file():
            return avatar
        raise JobFailedError("the job reported an avatar that it has not made")
    if code != 0 and "error" in last:  # the message describes the input or what the command lacks
        raise JobFailedError(str(last["error"])[:LONGEST_TEXT])
    log = _end_of_log(folder)
    logger.error("job %s ended with code %s: ...%s", folder.name, code, log)
    if any(text in log for text in _NO_MEMORY):
        raise JobFailedError("the job needed more memory than it may use")
    raise JobFailedError(f"the job ended with code {code}; the log of the server says more")


def _end_of_log(folder: Path) -> str:
    """Return the last lines that the command wrote to its log."""
    with suppress(OSError), (folder / "log.txt").open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _LOGGED))
        return file.read().decode(errors="replace")
    return ""
