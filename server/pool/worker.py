"""A render process: take a job, render it, say so.

Imports no web framework and no WebRTC library; a test can run `serve` in a thread with a socket
pair and a fake engine.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, parent_process
from socket import socket

import numpy as np

from models.contract.images import RgbImage
from server import logs
from server.errors import RenderError
from server.logs import LogFormat
from server.pool.channel import WorkerChannel
from server.pool.interface import Engine, EngineFactory, SlotMemory
from server.pool.jobs import (
    AttachImage,
    AttachSlots,
    Broken,
    BuildFailed,
    DetachSlots,
    Job,
    JobDone,
    JobFailed,
    Ping,
    Pong,
    Ready,
    RefreshJob,
    RenderJob,
    Stop,
)
from server.pool.slot_memory import SharedBlock

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class WorkerSettings:
    """How a render process runs."""

    name: str
    """For people, such as `cpu-0`."""
    device: str
    threads: int
    niceness: int
    """Added to the process's own; keeps refreshes from slowing the server down."""
    rest: float
    """How long it gets nothing to do after a refresh, in durations of the refresh."""
    log_level: int
    """Of the `logging` module."""
    log_format: LogFormat = "text"


def run(settings: WorkerSettings, factory: EngineFactory, sock: socket) -> None:
    """Be a render process, until told to stop or the server is gone.

    An exception that is no `RenderError` ends the process: after a CUDA fault the context is of
    no use, so the pool starts a fresh one.
    """
    _settle_in(settings)
    channel = WorkerChannel(sock)
    try:
        engine = factory.build(settings.device, settings.threads)
    except Exception as exc:
        logger.exception("%s: the engine could not be built", settings.name)
        channel.send(BuildFailed(f"{type(exc).__name__}: {exc}"))
        raise SystemExit(1) from exc
    channel.send(Ready(os.getpid()))
    try:
        serve(engine, channel)
    except Exception as exc:
        logger.exception("%s: the engine broke", settings.name)
        with suppress(OSError):  # nobody is left to be told
            channel.send(Broken(f"{type(exc).__name__}: {exc}"))
        raise SystemExit(1) from exc


def _settle_in(settings: WorkerSettings) -> None:
    # Ctrl-C, and often SIGTERM, reach the whole process group; the server alone decides when
    # workers end: while it lets viewers leave, they are still needed.
    os.setpgrp()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(settings.log_format, settings.log_level, settings.name)
    if settings.niceness:
        os.nice(settings.niceness)
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()


def _end_with_parent() -> None:
    """End the process once the server is gone, even in the middle of a job."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel])
    os._exit(1)


def serve(engine: Engine, channel: WorkerChannel) -> None:
    """Serve messages in order, one reply per job, until `Stop` or the end of the channel."""
    desk = _JobHandler(engine)
    try:
        while not isinstance(message := channel.receive(), Stop):
            reply = desk.take(message)
            if reply is not None:
                channel.send(reply)
    except (EOFError, BrokenPipeError):
        logger.info("the server is gone, stopping")
    finally:
        desk.close()


class _JobHandler:
    """What a worker has open: the mapped slots of each line, and the block pictures go into."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lines: dict[int, tuple[str, SlotMemory]] = {}
        self._picture: SharedBlock | None = None

    def take(self, message: object) -> JobDone | JobFailed | Pong | None:
        match message:
            case Ping():
                return Pong()
            case AttachSlots():
                self._attach(message)
            case DetachSlots() if message.slots_id in self._lines:
                self._lines.pop(message.slots_id)[1].close()
            case DetachSlots():
                pass  # it was gone before it could be attached
            case AttachImage():
                self._picture = SharedBlock.attach(message.name)
            case RefreshJob() | RenderJob():
                return self._work(message)
            case _:
                raise AssertionError(f"unknown message {message!r}")
        return None

    def _attach(self, message: AttachSlots) -> None:
        if message.avatar_id not in self._engine.avatars:
            return  # broken since the server started; each of its jobs says so
        try:
            memory = self._engine.attach(message.avatar_id, message.handle)
        except FileNotFoundError:
            # Its viewer has left while this process was busy. No job can be on its way for it: the
            # owner frees a line only when none is.
            logger.debug("line %d is gone already", message.slots_id)
            return
        self._lines[message.slots_id] = message.avatar_id, memory

    def close(self) -> None:
        for _, memory in self._lines.values():
            memory.close()
        self._lines.clear()
        if self._picture is not None:
            self._picture.close()

    def _work(self, job: Job) -> JobDone | JobFailed:
        began = time.perf_counter()
        try:
            shape = self._refresh(job) if isinstance(job, RefreshJob) else self._render(job)
        except RenderError as exc:
            logger.debug("job %d failed: %s", job.id, exc)
            return JobFailed(job.id, str(exc))
        return JobDone(job.id, (time.perf_counter() - began) * 1e3, shape)

    def _refresh(self, job: RefreshJob) -> tuple[int, ...]:
        if job.slots_id not in self._lines:
            raise RenderError("its avatar could not be loaded by this worker")
        avatar_id, memory = self._lines[job.slots_id]
        self._engine.refresh(avatar_id, job.state, memory.slot(job.slot))
        return ()

    def _render(self, job: RenderJob) -> tuple[int, ...]:
        rgb = self._draw(job)
        assert self._picture is not None
        np.frombuffer(self._picture.buffer, np.uint8, rgb.size)[:] = rgb.reshape(-1)
        return rgb.shape

    def _draw(self, job: RenderJob) -> RgbImage:
        if job.avatar_id not in self._engine.avatars:
            raise RenderError(f"avatar {job.avatar_id!r} could not be loaded by this worker")
        if job.mode == "full":
            return self._engine.full(job.avatar_id, job.state)
        return self._engine.warp_from(job.avatar_id, job.state, job.cached_state or job.state)
