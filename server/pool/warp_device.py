"""One device of the pool: its warp thread, and a new one whenever the device fails.

A CUDA error that leaves its context unusable is raised by every later call of the process, so
nothing but a new process can use that GPU again (`lost`). After other errors, such as memory that
another program held during the start, the device is built again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from models.contract.avatar_info import AvatarInfo
from server.errors import RenderError
from server.pool.cache_slots import CacheSlots, FrameSequence
from server.pool.frame import Frame
from server.pool.interface import DeviceMemory, Engine, EngineFactory, LoadedAvatar
from server.pool.jobs import SlotHandle
from server.pool.mark import Mark
from server.pool.supervisor import Timeouts
from server.pool.warp_benchmark import WarpBenchmark
from server.pool.warping import WarpThread
from server.protocol.states import FrameInputs

logger = logging.getLogger(__name__)

_HOPELESS = 3
"""Failed attempts in a row to build an engine after which only a new process can help."""


class DeviceEvents(Protocol):
    """Callbacks of a device to its owner, on the event loop."""

    def device_failed(self, device: WarpDevice) -> None:
        """The device warps no more, or could not be built again."""

    def device_ready(self, device: WarpDevice) -> None:
        """The device has been built again."""


class WarpDevice:
    """Warps on one device, as long as the device works.

    Args:
        name: `cpu`, `cuda:0`, ...
        factory: Builds the engines.
        events: Receives the callbacks.
        timeouts: Pauses between attempts to build an engine, and when a device counts as stable.
        mark: Drawn into each frame.
    """

    def __init__(
        self,
        name: str,
        factory: EngineFactory,
        events: DeviceEvents,
        timeouts: Timeouts,
        mark: Mark,
    ) -> None:
        self.name = name
        self.open_slots = 0
        """Number of open `CacheSlots` on this device."""
        self.failures = 0
        """Number of failures since the start."""
        self.problem: str | None = None
        """Why it does not warp; None while it does, and before the first engine is built."""
        self._factory, self._events, self._timeouts = factory, events, timeouts
        self._mark = mark
        self._added: dict[str, Path] = {}
        """Folders of avatars that were added, for the next engine."""
        self._thread: WarpThread | None = None
        self._failures_in_a_row = 0
        self._failed_builds = 0
        self._ready_at = 0.0
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()

    @property
    def working(self) -> bool:
        """Whether it warps."""
        return self._thread is not None

    @property
    def lost(self) -> bool:
        """Whether this process cannot use the device any more, as far as attempts can tell."""
        return self._failed_builds >= _HOPELESS

    @property
    def engine(self) -> Engine:
        """The engine; requires `working`."""
        return self._working_thread.engine

    @property
    def warp_ms(self) -> float | None:
        """Moving mean of the warp time; None before the first warp."""
        return self._thread.warp_ms if self._thread is not None else None

    @property
    def _working_thread(self) -> WarpThread:
        assert self._thread is not None, f"{self.name} does not warp: {self.problem}"
        return self._thread

    async def build(self) -> None:
        """Build the engine in a new warp thread.

        Raises:
            Exception: What the factory raises; it is the `problem` then.
        """
        thread = WarpThread(self.name, self._factory, self._fail, self._mark)
        try:
            await thread.build()
            await self._load_added(thread)
        except BaseException as exc:
            thread.abandon()
            if isinstance(exc, Exception):
                self._failed_builds += 1
                self._note_failure(f"the engine could not be built: {exc}")
            raise
        self._thread, self.problem, self._failed_builds = thread, None, 0
        self._ready_at = asyncio.get_running_loop().time()

    async def run(self) -> None:
        """Build the engine again after each failure, until `stop`."""
        while not self._stopping.is_set():
            if self.working:
                self._changed.clear()
                await self._changed.wait()
                continue
            await self._back_off()
            if not self._stopping.is_set():
                await self._rebuild()

    async def load(self, folder: Path) -> LoadedAvatar:
        """Load another avatar, see `WarpThread.load`; requires `working`."""
        return await self._working_thread.load(folder)

    async def add(self, loaded: LoadedAvatar, folder: Path) -> None:
        """Render a loaded avatar from now on, and after the engine is built again."""
        self._added[loaded.info.id] = folder
        if self._thread is not None:
            await self._thread.add(loaded)

    async def remove(self, avatar_id: str) -> None:
        """Free an avatar that was added."""
        self._added.pop(avatar_id, None)
        if self._thread is not None:
            await self._thread.remove(avatar_id)

    async def _load_added(self, thread: WarpThread) -> None:
        """Give a new engine the avatars that were added to the one before."""
        for avatar_id, folder in tuple(self._added.items()):
            try:
                await thread.add(await thread.load(folder))
            except RenderError as exc:
                logger.error("%s: avatar %s is left out: %s", self.name, avatar_id, exc)

    def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()
        self._changed.set()

    def close(self) -> None:
        """Wait for the warp in progress, cancel queued ones and end the thread."""
        if self._thread is not None:
            self._thread.close()
            self._thread = None

    def submit(
        self, slots: CacheSlots, sequence: FrameSequence, sample: Callable[[], FrameInputs]
    ) -> asyncio.Future[Frame | None]:
        """Queue a warp, see `WarpThread.submit`; None for slots of an engine that has failed."""
        if self._thread is None or slots.device_failed:
            nothing: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
            nothing.set_result(None)
            return nothing
        return self._thread.submit(slots, sequence, sample)

    async def benchmark(self, avatar: AvatarInfo, seconds: float) -> WarpBenchmark:
        """Time warps, see `WarpThread.benchmark`; requires `working`."""
        return await self._working_thread.benchmark(avatar, seconds)

    def close_sequence(self, sequence: FrameSequence) -> None:
        """Drop the crossfade state of a sequence."""
        if self._thread is not None:
            self._thread.close_sequence(sequence)

    def suspect(self, error: Exception) -> None:
        """Find out whether an unexpected error came from the device."""
        if self._thread is not None:
            self._thread.suspect(error)

    def reclaim(self, handle: SlotHandle) -> None:
        """Release a handle of this device's memory, see `Engine.reclaim`."""
        if self._thread is None:
            return  # its memory ends with the context of the device
        try:
            self.engine.reclaim(handle)
        except RuntimeError as exc:
            self.suspect(exc)

    def memory(self) -> DeviceMemory | None:
        """Return the memory usage of a GPU; None for the CPU and while the device has failed."""
        if not self.working:
            return None
        try:
            return self._factory.memory(self.name)
        except RuntimeError as exc:
            self.suspect(exc)
            return None

    def _fail(self, reason: str) -> None:
        """Replace the thread; called on the event loop when the device has failed."""
        loop = asyncio.get_running_loop()
        stable = loop.time() - self._ready_at >= self._timeouts.stable_s
        self._failures_in_a_row = 0 if stable else self._failures_in_a_row
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.abandon()
        self._note_failure(f"the device has failed: {reason}")

    def _note_failure(self, problem: str) -> None:
        self.failures += 1
        self._failures_in_a_row += 1
        self.problem = problem
        self._changed.set()
        self._events.device_failed(self)

    async def _rebuild(self) -> None:
        try:
            await self.build()
        except Exception as exc:
            logger.warning("%s could not be built again: %s", self.name, exc)
        else:
            logger.info("%s works again", self.name)
            self._events.device_ready(self)

    async def _back_off(self) -> None:
        """Wait before the next attempt, for longer after more consecutive failures."""
        seconds = self._timeouts.backoff_delay_s(self._failures_in_a_row)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
