"""Warps in a device process, see `WarpBackend`; the server itself uses no device.

One object represents all processes of a device, one after the other: `build` starts one. Where
cache slots are shared memory of the host they outlive a process, so that the next one warps from
the same caches, and viewers only miss the frames in between.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from models.contract.avatar_info import AvatarInfo
from models.contract.rendition import Rendition
from server.errors import RenderError
from server.pool.cache_slots import CacheSlots
from server.pool.device_memory import RemoteMemories, RemoteMemory
from server.pool.device_messages import (
    BenchmarkDone,
    BenchmarkWarps,
    CloseSequence,
    DeviceAvatar,
    DevicePong,
    DeviceReady,
    FolderLoaded,
    FrameFailed,
    FrameMade,
    LoadedUsed,
    LoadFolder,
    MemoryExported,
    MemoryRefused,
    ReclaimHandle,
    UseLoaded,
)
from server.pool.device_process import run
from server.pool.frame import FrameSequence, Warping
from server.pool.frame_ring import RingLayout
from server.pool.frames_in_progress import FramesInProgress
from server.pool.interface import DeviceMemory, EngineFactory, LoadedAvatar
from server.pool.jobs import Broken, BuildFailed, Ping, RemoveAvatar, SlotHandle, Stop
from server.pool.mark import Mark
from server.pool.process_setup import ProcessSettings
from server.pool.supervised_process import SupervisedProcess
from server.pool.supervisor import Timeouts
from server.pool.warp_benchmark import WarpBenchmark
from server.protocol.states import FrameInputs

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LoadedInProcess:
    """An avatar that the process has loaded; see `LoadedAvatar`."""

    info: AvatarInfo
    load_id: int


class ProcessBackend:
    """Warps on one device, in one process after the other.

    Args:
        settings: Settings of the processes.
        factory: Builds their engines.
        failed: Called on the event loop, with the reason, when a process that was built has ended.
        mark: Drawn into each frame.
        timeouts: When to kill a process.
        clock: Measures these times, seconds; stands still while this process does not run.
    """

    def __init__(
        self,
        settings: ProcessSettings,
        factory: EngineFactory,
        failed: Callable[[str], None],
        mark: Mark,
        timeouts: Timeouts,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._factory, self._mark = settings, factory, mark
        self._failed, self._timeouts, self._clock = failed, timeouts, clock
        self._process: SupervisedProcess | None = None
        self._life: asyncio.Task[None] | None = None
        """Watches the process until its end."""
        self._built = False
        self._avatars: dict[str, DeviceAvatar] = {}
        self._frames = FramesInProgress(self._send)
        self._memories = RemoteMemories(self._send)
        self._memory: DeviceMemory | None = None
        """Usage of the GPU, as last reported by the process."""
        self._ids = count(1)
        self._answers: dict[object, asyncio.Future[object]] = {}
        """Awaited answers, by request."""
        self._ping_timer: asyncio.TimerHandle | None = None

    @property
    def warp_ms(self) -> float | None:
        """See `WarpBackend`."""
        return self._frames.warp_ms

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """See `WarpBackend`."""
        return {key: avatar.info for key, avatar in self._avatars.items()}

    @property
    def keeps_slots(self) -> bool:
        """See `WarpBackend`."""
        return all(avatar.layouts is not None for avatar in self._avatars.values())

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return self._process.pid if self._process is not None else None

    async def build(self) -> None:
        """See `WarpBackend`.

        Raises:
            RuntimeError: With the error that the process reported, or its exit.
            PoolBusyError: If there is no shared memory for the ring.
        """
        process = SupervisedProcess(self._settings.name, self._on_message, self._clock)
        self._process = process
        ready = self._expect(DeviceReady)
        self._life = asyncio.create_task(self._watch(process))
        try:
            message = await ready
            assert isinstance(message, DeviceReady)
            self._avatars = dict(message.avatars)
            self._frames.process_ready(RingLayout.for_frames(self.avatars.values()))
        except BaseException:
            self.abandon()
            await self._life
            raise
        process.clear_deadline()
        for avatar_id in self._avatars:
            self._memories.announce_all(avatar_id)
        self._built = True
        self._ping()
        logger.info("%s (process %d) is ready", self._settings.name, message.pid)

    def allocate(self, rendition: Rendition) -> RemoteMemory:
        """See `WarpBackend`."""
        avatar = self._avatars[rendition.avatar_id]
        self._frames.make_room(RingLayout.for_frames([avatar.info], rendition.size))
        layout = None if avatar.layouts is None else avatar.layouts[rendition.size]
        return self._memories.open(rendition, layout)

    def reclaim(self, handle: SlotHandle) -> None:
        """See `WarpBackend`."""
        self._send(ReclaimHandle(handle))

    def memory(self) -> DeviceMemory | None:
        """See `WarpBackend`. It is at most as old as the interval of pings."""
        return self._memory

    async def load(self, folder: Path) -> LoadedAvatar:
        """See `WarpBackend`."""
        load_id = next(self._ids)
        answer = self._expect(load_id)
        self._send(LoadFolder(load_id, folder))
        loaded = await answer
        assert isinstance(loaded, FolderLoaded)
        if loaded.info is None:
            raise RenderError(loaded.detail)
        return LoadedInProcess(loaded.info, load_id)

    async def add(self, loaded: LoadedAvatar) -> None:
        """See `WarpBackend`."""
        assert isinstance(loaded, LoadedInProcess)
        answer = self._expect(loaded.load_id)
        self._send(UseLoaded(loaded.load_id))
        used = await answer
        assert isinstance(used, LoadedUsed)
        self._frames.make_room(RingLayout.for_frames([loaded.info]))
        self._avatars[loaded.info.id] = used.avatar
        self._memories.announce_all(loaded.info.id)

    async def remove(self, avatar_id: str) -> None:
        """See `WarpBackend`."""
        self._avatars.pop(avatar_id, None)
        self._send(RemoveAvatar(avatar_id))

    def submit(
        self, slots: CacheSlots, sequence: FrameSequence, sample: Callable[[], FrameInputs]
    ) -> Warping:
        """See `WarpBackend`.

        The inputs are sampled now and at each change, until the process takes the newest ones just
        before the warp.
        """
        warping = self._frames.submit(slots, sequence, sample)
        self._watch_frames()
        return warping

    def suspect(self, error: Exception) -> None:
        """See `WarpBackend`. The process itself checks the device."""

    async def benchmark(self, rendition: Rendition, seconds: float) -> WarpBenchmark:
        """See `WarpBackend`. No call holds the interpreter lock of the server."""
        answer = self._expect(BenchmarkDone)
        self._send(BenchmarkWarps(rendition, seconds))
        done = await answer
        assert isinstance(done, BenchmarkDone)
        return replace(done.benchmark, locked_s=0.0)

    def close_sequence(self, sequence: FrameSequence) -> None:
        """See `WarpBackend`."""
        self._frames.close_sequence(sequence)
        self._send(CloseSequence(sequence.id))

    async def close(self) -> None:
        """See `WarpBackend`."""
        self._built = False
        if self._process is not None:
            self._process.set_deadline(self._timeouts.stop_s, "did not stop in time")
            self._send(Stop())
        if self._life is not None:
            await self._life

    def abandon(self) -> None:
        """See `WarpBackend`."""
        if self._process is not None:
            self._process.kill("it is not needed any more")

    def _send(self, message: object) -> None:
        if self._process is not None:
            self._process.send(message)

    def _expect(self, key: object) -> asyncio.Future[object]:
        """Return a future of an answer; it raises an error if the process ends before."""
        answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        self._answers[key] = answer
        return answer

    def _answer(self, key: object, message: object) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None and not answer.done():
            answer.set_result(message)

    async def _watch(self, process: SupervisedProcess) -> None:
        """Run one process to its end."""
        try:
            await process.start(run, self._settings, self._factory, self._mark)
            timeouts = self._timeouts
            process.set_deadline(timeouts.start_s, "took too long to start", timeouts.stall_s)
            await process.wait()
        except OSError as exc:
            process.end_reason = f"the process could not be started: {exc}"
        pid = process.pid
        reason = await process.finish() or process.end_reason or "the process has ended"
        self._process = None
        if self._built:
            logger.error("%s (process %d): %s", self._settings.name, pid, reason)
        self._end_of_process(reason)

    def _end_of_process(self, reason: str) -> None:
        """Answer all pending requests, and report a failure unless the process was stopped."""
        built, self._built = self._built, False
        if self._ping_timer is not None:
            self._ping_timer.cancel()
        self._memory = None
        self._memories.process_ended()
        self._frames.process_ended()
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            if not answer.done():
                answer.set_exception(RuntimeError(reason))
        if built:
            self._failed(reason)

    def _on_message(self, message: object) -> None:
        assert self._process is not None
        match message:
            case FrameMade():
                self._frames.made(message)
            case FrameFailed():
                self._frames.failed(message)
            case DevicePong():
                self._memory = message.memory
            case MemoryExported():
                self._memories.exported(message)
            case MemoryRefused():
                logger.warning("%s: %s", self._settings.name, message.detail)
            case FolderLoaded() | LoadedUsed():
                self._answer(message.load_id, message)
            case DeviceReady() | BenchmarkDone():
                self._answer(type(message), message)
            case BuildFailed():
                self._process.end_reason = message.reason
            case Broken():
                self._process.end_reason = message.reason
            case _:
                raise AssertionError(f"unknown message {message!r}")
        self._note_message()

    def _note_message(self) -> None:
        """Note that the process works, which extends the deadline of its remaining frames."""
        if self._process is not None and self._built:
            self._process.clear_deadline()
            self._watch_frames()

    def _watch_frames(self) -> None:
        """Kill the process if it sends nothing for a while although it has frames to make."""
        process = self._process
        if process is not None and self._frames.in_ring and not process.has_deadline:
            self._expect_within(process)

    def _expect_within(self, process: SupervisedProcess) -> None:
        # A benchmark begins with a full render.
        seconds = self._timeouts.job_s if BenchmarkDone in self._answers else self._timeouts.warp_s
        process.set_deadline(seconds, f"hung: no answer for {seconds:g} s")

    def _ping(self) -> None:
        """Check regularly that an idle process still answers."""
        loop = asyncio.get_running_loop()
        self._ping_timer = loop.call_later(self._timeouts.ping_s, self._ping)
        if self._process is not None:
            self._send(Ping())
            if not self._process.has_deadline:
                self._expect_within(self._process)
