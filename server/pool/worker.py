"""A render process: receives jobs, renders them and replies.

Independent of the web framework and WebRTC; a test can run `serve` in a thread with a socket pair
and a fake engine.
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from socket import socket

import numpy as np

from models.contract.images import RgbImage
from models.contract.rendition import Rendition
from server.errors import RenderError
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
    LoadJob,
    Ping,
    Pong,
    Ready,
    RefreshJob,
    RemoveAvatar,
    RenderJob,
    SlotsDetached,
    Stop,
)
from server.pool.process_setup import ProcessSettings, set_up
from server.pool.shared_block import SharedBlock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class WorkerSettings(ProcessSettings):
    """Settings of a render process.

    Its niceness keeps refreshes from slowing the server down.
    """

    rest: float
    """Pause after each refresh, in durations of the refresh."""


def run(settings: WorkerSettings, factory: EngineFactory, sock: socket) -> None:
    """Run a render process until it receives `Stop` or the server has ended.

    Any exception other than `RenderError` ends the process: after a CUDA fault the context is
    unusable, so the pool starts a new process.
    """
    set_up(settings)
    channel = WorkerChannel(sock)
    try:
        engine = factory.build(settings.device, settings.threads, "refresh")
    except Exception as exc:
        logger.exception("%s: the engine could not be built", settings.name)
        channel.send(BuildFailed(f"{type(exc).__name__}: {exc}"))
        raise SystemExit(1) from exc
    # Only now, because the pool sends jobs from here on and applies the deadline of a start until
    # then.
    channel.send(Ready(os.getpid()))
    try:
        serve(engine, channel)
    except Exception as exc:
        logger.exception("%s: the engine broke", settings.name)
        with suppress(OSError):  # the server may have ended
            channel.send(Broken(f"{type(exc).__name__}: {exc}"))
        raise SystemExit(1) from exc


def serve(engine: Engine, channel: WorkerChannel) -> None:
    """Handle messages in order, one reply per job, until `Stop` or the end of the channel."""
    handler = _JobHandler(engine)
    try:
        while not isinstance(message := channel.receive(), Stop):
            reply = handler.handle(message)
            if reply is not None:
                channel.send(reply)
    except (EOFError, BrokenPipeError):
        logger.info("the server has ended, stopping")
    finally:
        # Also after an error, because the server expects its handles to be closed or reported.
        for reply in handler.close():
            with suppress(OSError):  # the server may have ended
                channel.send(reply)


class _JobHandler:
    """Runs jobs on the mapped cache slots, and on the shared block for single images."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._slots: dict[int, tuple[Rendition, SlotMemory]] = {}
        self._image: SharedBlock | None = None

    def handle(self, message: object) -> JobDone | JobFailed | Pong | SlotsDetached | None:
        match message:
            case Ping():
                return Pong()
            case AttachSlots():
                self._attach(message)
            case DetachSlots():
                return SlotsDetached(message.slots_id, self._detach(message.slots_id))
            case AttachImage():
                self._attach_image(message)
            case RemoveAvatar():
                self._engine.remove(message.avatar_id)
            case RefreshJob() | RenderJob() | LoadJob():
                return self._run_job(message)
            case _:
                raise AssertionError(f"unknown message {message!r}")
        return None

    def _attach(self, message: AttachSlots) -> None:
        if message.rendition.avatar_id not in self._engine.avatars:
            return  # not loaded by this process; its jobs fail with that reason
        try:
            memory = self._engine.attach(message.rendition, message.handle)
        except FileNotFoundError:
            # The viewer left while this process was busy. No job for these slots can follow,
            # because the pool frees them only when none is in progress.
            logger.debug("cache slots %d are closed already", message.slots_id)
            return
        self._slots[message.slots_id] = message.rendition, memory

    def _attach_image(self, message: AttachImage) -> None:
        if self._image is not None:
            self._image.close()
        self._image = SharedBlock.attach(message.name)

    def _detach(self, slots_id: int) -> bool:
        if slots_id not in self._slots:
            return False  # closed before this process could attach it
        self._slots.pop(slots_id)[1].close()
        return True

    def close(self) -> list[SlotsDetached]:
        """Unmap all memory; return the messages about it for the server."""
        replies = [
            SlotsDetached(slots_id, self._detach(slots_id)) for slots_id in list(self._slots)
        ]
        if self._image is not None:
            self._image.close()
        return replies

    def _run_job(self, job: Job) -> JobDone | JobFailed:
        began = time.perf_counter()
        try:
            shape = self._run(job)
        except RenderError as exc:
            logger.debug("job %d failed: %s", job.id, exc)
            return JobFailed(job.id, str(exc))
        return JobDone(job.id, (time.perf_counter() - began) * 1e3, shape)

    def _run(self, job: Job) -> tuple[int, ...]:
        match job:
            case RefreshJob():
                return self._refresh(job)
            case RenderJob():
                return self._render(job)
            case LoadJob():
                self._engine.add(self._engine.load(job.folder))
                return ()

    def _refresh(self, job: RefreshJob) -> tuple[int, ...]:
        if job.slots_id not in self._slots:
            raise RenderError("its avatar could not be loaded by this worker")
        rendition, memory = self._slots[job.slots_id]
        self._engine.refresh(rendition, job.state, memory.slot(job.slot))
        return ()

    def _render(self, job: RenderJob) -> tuple[int, ...]:
        rgb = self._render_image(job)
        assert self._image is not None
        # No array is kept, because a view of the block would keep it mapped after its replacement.
        np.frombuffer(self._image.buffer, np.uint8, rgb.size)[:] = rgb.reshape(-1)
        return rgb.shape

    def _render_image(self, job: RenderJob) -> RgbImage:
        if job.avatar_id not in self._engine.avatars:
            raise RenderError(f"avatar {job.avatar_id!r} could not be loaded by this worker")
        if job.mode == "full":
            return self._engine.full(job.avatar_id, job.state, job.size)
        return self._engine.warp_from(job.avatar_id, job.state, job.cached_state or job.state)
