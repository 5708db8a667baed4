"""A device process: makes the frames of all viewers of one device.

Independent of the web framework and WebRTC; a test can run `serve` in a thread with a socket pair
and a fake engine.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from socket import socket

from models.contract.avatar_info import AvatarInfo
from models.contract.images import WarpedNv12
from models.contract.rendition import Rendition
from server.errors import PoolBusyError, RenderError
from server.pool.channel import WorkerChannel
from server.pool.device_messages import (
    AttachRing,
    BenchmarkDone,
    BenchmarkWarps,
    CloseMemory,
    CloseSequence,
    DeviceAvatar,
    DevicePong,
    DeviceReady,
    ExportMemory,
    FolderLoaded,
    FrameFailed,
    FrameMade,
    LoadedUsed,
    LoadFolder,
    MemoryExported,
    MemoryRefused,
    OpenMemory,
    ReclaimHandle,
    UseLoaded,
    WarpFrame,
)
from server.pool.frame_maker import FrameMaker, FrameRequest, SequenceState
from server.pool.frame_ring import FrameRing
from server.pool.interface import DeviceMemory, Engine, EngineFactory, LoadedAvatar, SlotMemory
from server.pool.jobs import Broken, BuildFailed, Ping, RemoveAvatar, Stop
from server.pool.mark import Mark
from server.pool.process_setup import ProcessSettings, lower_thread_priority, set_up
from server.pool.warp_benchmark import BenchmarkRun

logger = logging.getLogger(__name__)

Taken = tuple[WarpFrame, int, FrameRequest[int]]
"""A frame in progress: the message, the version of its inputs, and the inputs."""


def run(settings: ProcessSettings, factory: EngineFactory, mark: Mark, sock: socket) -> None:
    """Run a device process until it receives `Stop` or the server has ended.

    An error that breaks the device ends the process: after a CUDA fault the context is unusable, so
    the server starts a new process.
    """
    set_up(settings)
    channel = WorkerChannel(sock)
    try:
        engine = factory.build(settings.device, settings.threads, "warp")
    except Exception as exc:
        logger.exception("%s: the engine could not be built", settings.name)
        channel.send(BuildFailed(str(exc)))
        raise SystemExit(1) from exc
    try:
        serve(engine, channel, mark, lambda: factory.memory(settings.device))
    except Exception as exc:
        logger.exception("%s: the device has failed", settings.name)
        with suppress(OSError):  # the server may have ended
            channel.send(Broken(f"{type(exc).__name__}: {exc}"))
        raise SystemExit(1) from exc


def serve(
    engine: Engine,
    channel: WorkerChannel,
    mark: Mark,
    memory: Callable[[], DeviceMemory | None],
) -> None:
    """Make frames and handle messages, in order, until `Stop` or the end of the channel.

    Args:
        engine: Warps.
        channel: To the server.
        mark: Drawn into each frame.
        memory: Returns the memory usage of the device.
    """
    handler = _Handler(engine, channel, mark, memory)
    try:
        handler.run()
    except (EOFError, BrokenPipeError):
        logger.info("the server has ended, stopping")
    finally:
        handler.close()


class _Handler:
    """The state of a device process."""

    def __init__(
        self,
        engine: Engine,
        channel: WorkerChannel,
        mark: Mark,
        memory: Callable[[], DeviceMemory | None],
    ) -> None:
        self._engine, self._channel, self._memory_usage = engine, channel, memory
        self._sending = threading.Lock()
        sequences: dict[int, SequenceState] = {}
        self._maker = FrameMaker(engine, mark, sequences)
        self._ring: FrameRing | None = None
        self._memories: dict[int, tuple[Rendition, SlotMemory]] = {}
        self._loaded: dict[int, LoadedAvatar] = {}
        self._benchmark: tuple[BenchmarkRun, float] | None = None
        """A benchmark in progress, and when it ends."""

    def run(self) -> None:
        """Work until `Stop`."""
        avatars = {key: self._describe(key) for key in self._engine.avatars}
        self._send(DeviceReady(os.getpid(), avatars))
        due: list[WarpFrame] = []
        while True:
            for message in self._channel.receive_all(wait=self._benchmark is None):
                if isinstance(message, WarpFrame):
                    due.append(message)
                    continue
                self._make_frames(due)
                if isinstance(message, Stop):
                    return
                self._handle(message)
            self._make_frames(due)
            self._continue_benchmark()

    def close(self) -> None:
        """Unmap and free all memory."""
        for _, memory in self._memories.values():
            memory.close()
        self._memories.clear()
        if self._ring is not None:
            self._ring.close()

    def _handle(self, message: object) -> None:
        match message:
            case Ping():
                self._send(DevicePong(self._memory_usage()))
            case AttachRing():
                self._attach_ring(message)
            case OpenMemory():
                self._open_memory(message)
            case ExportMemory():
                self._export_memory(message)
            case CloseMemory():
                if message.memory_id in self._memories:
                    self._memories.pop(message.memory_id)[1].close()
            case ReclaimHandle():
                self._engine.reclaim(message.handle)
            case CloseSequence():
                self._maker.close(message.sequence)
            case LoadFolder():
                threading.Thread(target=self._load, args=(message,), daemon=True).start()
            case UseLoaded():
                self._use_loaded(message.load_id)
            case RemoveAvatar():
                self._engine.remove(message.avatar_id)
            case BenchmarkWarps():
                self._begin_benchmark(message)
            case _:
                raise AssertionError(f"unknown message {message!r}")

    def _send(self, message: object) -> None:
        with self._sending:  # also a thread that loads an avatar
            self._channel.send(message)

    def _describe(self, avatar_id: str) -> DeviceAvatar:
        info = _plain(self._engine.avatars[avatar_id])
        return DeviceAvatar(info, self._engine.slot_layouts(avatar_id))

    def _attach_ring(self, message: AttachRing) -> None:
        if self._ring is not None:
            self._ring.close()
        self._ring = FrameRing.attach(message.name, message.layout)

    def _open_memory(self, message: OpenMemory) -> None:
        try:
            if message.handle is None:
                memory = self._engine.allocate(message.rendition)
            else:
                memory = self._engine.attach(message.rendition, message.handle)
        except PoolBusyError as exc:
            self._send(MemoryRefused(message.memory_id, str(exc)))
        except FileNotFoundError:  # the viewer has left meanwhile
            logger.debug("memory %d is closed already", message.memory_id)
        else:
            self._memories[message.memory_id] = message.rendition, memory

    def _export_memory(self, message: ExportMemory) -> None:
        found = self._memories.get(message.memory_id)
        self._send(MemoryExported(message.export_id, found[1].handle if found else None))

    def _load(self, message: LoadFolder) -> None:
        """Load an avatar, in a thread of lower priority than the one that makes frames."""
        lower_thread_priority()
        with suppress(OSError):  # the server may have ended
            self._send(self._load_folder(message.load_id, message.folder))

    def _load_folder(self, load_id: int, folder: Path) -> FolderLoaded:
        try:
            loaded = self._engine.load(folder)
        except Exception as exc:
            if not isinstance(exc, RenderError):
                logger.exception("%s could not be loaded", folder.name)
            return FolderLoaded(load_id, None, str(exc))
        self._loaded[load_id] = loaded
        return FolderLoaded(load_id, _plain(loaded.info))

    def _use_loaded(self, load_id: int) -> None:
        loaded = self._loaded.pop(load_id)
        self._engine.add(loaded)
        self._send(LoadedUsed(load_id, self._describe(loaded.info.id)))

    def _make_frames(self, due: list[WarpFrame]) -> None:
        """Make the frames that are due, in batches where the device renders them faster."""
        while due:
            batch = self._next_batch(due)
            del due[: len(batch)]
            begun = [taken for message in batch if (taken := self._take(message)) is not None]
            if len(begun) > 1 and self._make_batch(begun):
                continue
            for taken in begun:
                self._make_one(taken)

    def _next_batch(self, due: list[WarpFrame]) -> list[WarpFrame]:
        """Return the first frames that can be made at once: one rendition, different sequences.

        Frames over another backdrop are made one by one, because the kernels for batches compose
        none.
        """
        rendition = self._rendition_of(due[0])
        largest = 1
        if rendition is not None and due[0].backdrop is None:
            largest = self._engine.largest_batch(rendition)
        batch = due[:1]
        for message in due[1:largest]:
            if self._rendition_of(message) != rendition or message.backdrop is not None:
                break
            if message.sequence in {other.sequence for other in batch}:
                break
            batch.append(message)
        return batch

    def _rendition_of(self, message: WarpFrame) -> Rendition | None:
        found = self._memories.get(message.memory_id)
        return found[0] if found is not None else None

    def _take(self, message: WarpFrame) -> Taken | None:
        """Begin a frame with the newest inputs; None if there is no memory for its viewer."""
        assert self._ring is not None
        version, state = self._ring.entries[message.entry].take_state()
        if message.memory_id not in self._memories:
            self._send(FrameFailed(message.frame_id, version, True, "it has no cache slots"))
            return None
        rendition, memory = self._memories[message.memory_id]
        queue_ms = (time.perf_counter() - message.submitted_at) * 1e3
        request = FrameRequest(
            message.sequence,
            message.previous,
            rendition,
            state,
            memory.slot(message.slot),
            message.generation,
            {"queue": queue_ms},
            message.backdrop,
        )
        return message, version, request

    def _make_batch(self, begun: list[Taken]) -> bool:
        """Make several frames at once; return whether that was possible."""
        try:
            made = self._maker.make_batch([request for _, _, request in begun])
        except RenderError:
            return False  # one by one, to find the state that fails
        for taken, frame in zip(begun, made, strict=True):
            self._reply(taken, frame)
        return True

    def _make_one(self, taken: Taken) -> None:
        message, version, request = taken
        try:
            self._reply(taken, self._maker.make(request))
        except RenderError as exc:
            self._send(FrameFailed(message.frame_id, version, True, str(exc)))
        except (MemoryError, OSError):
            raise
        except Exception as exc:
            self._engine.probe()  # an error that the device survives affects one frame
            logger.exception("a frame could not be made")
            self._send(
                FrameFailed(message.frame_id, version, False, f"{type(exc).__name__}: {exc}")
            )

    def _reply(self, taken: Taken, made: WarpedNv12 | None) -> None:
        message, version, request = taken
        assert self._ring is not None
        shape, stages_ms = None, request.stages_ms
        if made is not None:
            self._ring.entries[message.entry].write_image(made.nv12)
            shape, stages_ms = made.nv12.shape, made.stages_ms
        fading = self._maker.fading(message.sequence)
        self._send(FrameMade(message.frame_id, version, shape, fading, stages_ms))

    def _begin_benchmark(self, message: BenchmarkWarps) -> None:
        benchmark = BenchmarkRun(self._engine, message.rendition)
        benchmark.refresh()
        self._benchmark = benchmark, time.monotonic() + message.seconds

    def _continue_benchmark(self) -> None:
        if self._benchmark is None:
            return
        benchmark, ends_at = self._benchmark
        benchmark.warp()
        if time.monotonic() >= ends_at:
            self._benchmark = None
            self._send(BenchmarkDone(benchmark.result()))
            benchmark.close()


def _plain(info: AvatarInfo) -> AvatarInfo:
    """Return a description without the engine's attributes, whose modules the server lacks."""
    return AvatarInfo(**{field.name: getattr(info, field.name) for field in fields(AvatarInfo)})
