"""Set-up of every process of the pool, and of threads that load avatars."""

from __future__ import annotations

import os
import signal
import threading
from dataclasses import dataclass
from multiprocessing import connection, parent_process

from server import logs
from server.logs import LogFormat

_LOWEST_PRIORITY = 19
"""Niceness, see sched(7)."""


@dataclass(frozen=True)
class ProcessSettings:
    """Settings of a process of the pool."""

    name: str
    """Name for logs and status, such as `cpu-0`."""
    device: str
    threads: int
    """Number of threads that it may compute with."""
    niceness: int
    """Added to the niceness of the process."""
    log_level: int
    """Level of the `logging` module."""
    log_format: LogFormat = "text"


def set_up(settings: ProcessSettings) -> None:
    """Prepare the signals, the log, the priority and the end of a new process."""
    # Ctrl-C, and often SIGTERM, reach the whole process group. These processes must outlive them:
    # they keep rendering while the server drains, and the server stops them afterwards.
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(settings.log_format, settings.log_level, settings.name)
    if settings.niceness:
        os.nice(settings.niceness)
    threading.Thread(target=_exit_with_parent, name="parent-watch", daemon=True).start()


def lower_thread_priority() -> None:
    """Give this thread the lowest priority until it ends, so that it delays no frames.

    Not the process: it may not raise its priority again. Linux has a priority for each thread.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)


def _exit_with_parent() -> None:
    """Exit once the server process has ended, even during a job."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)
