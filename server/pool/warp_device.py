"""One device of the pool: its warp backend, and a new backend whenever the device fails.

A CUDA error that leaves its context unusable is raised by every later call of the process, so only
a new process can use that GPU again: a new device process, or, where a thread warps, a new server
(`lost`). After other errors, such as memory that another program held during the start, the device
is built again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from models.contract.avatar_info import AvatarInfo
from models.contract.rendition import Rendition
from server.errors import RenderError
from server.pool.cache_slots import CacheSlots
from server.pool.frame import FrameSequence, Warping
from server.pool.interface import DeviceMemory, LoadedAvatar, ServerMemory
from server.pool.jobs import SlotHandle
from server.pool.supervisor import Timeouts
from server.pool.warp_backend import WarpBackend
from server.pool.warp_benchmark import WarpBenchmark
from server.protocol.states import FrameInputs

logger = logging.getLogger(__name__)

MakeBackend = Callable[[str, Callable[[str], None]], WarpBackend]
"""Returns the backend of a device, given its name and a callback that receives the reason of a
failure."""

_HOPELESS = 3
"""Number of consecutive failed attempts to build an engine after which only a new process can
help."""


class DeviceEvents(Protocol):
    """Callbacks of a device to its owner, on the event loop."""

    def device_failed(self, device: WarpDevice) -> None:
        """The device has failed, or could not be built again."""

    def device_ready(self, device: WarpDevice) -> None:
        """The device has been built again."""


class WarpDevice:
    """Warps on one device, as long as the device works.

    Args:
        name: `cpu`, `cuda:0`, ...
        make_backend: Called for each attempt to build the device.
        events: Receives the callbacks.
        timeouts: Pauses between attempts to build an engine, and when a device counts as stable.
    """

    def __init__(
        self, name: str, make_backend: MakeBackend, events: DeviceEvents, timeouts: Timeouts
    ) -> None:
        self.name = name
        self.open_slots = 0
        """Number of open `CacheSlots` on this device."""
        self.failures = 0
        """Number of failures since the start."""
        self.problem: str | None = None
        """Why it does not warp; None while it does, and before the first engine is built."""
        self._make_backend, self._events, self._timeouts = make_backend, events, timeouts
        self._added: dict[str, Path] = {}
        """Folders of avatars that were added, for the next engine."""
        self._backend: WarpBackend | None = None
        """The warp backend; None while the device does not work."""
        self._failures_in_a_row = 0
        self._failed_builds = 0
        self._ready_at = 0.0
        self._changed = asyncio.Event()
        self._turn = asyncio.Event()
        self._keeps_slots = False
        self._stopping = asyncio.Event()

    @property
    def working(self) -> bool:
        """Whether it warps."""
        return self._backend is not None

    @property
    def keeps_slots(self) -> bool:
        """Whether cache slots outlive a failure that the device is about to recover from."""
        return self._keeps_slots and not self._failed_builds

    @property
    def lost(self) -> bool:
        """Whether this process can no longer use the device, as far as attempts show."""
        return self._failed_builds >= _HOPELESS

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """The avatars that it warps; requires `working`."""
        return self._working_backend.avatars

    @property
    def warp_ms(self) -> float | None:
        """Moving mean of the warp time; None before the first warp."""
        return self._backend.warp_ms if self._backend is not None else None

    @property
    def _working_backend(self) -> WarpBackend:
        assert self._backend is not None, f"{self.name} does not warp: {self.problem}"
        return self._backend

    async def build(self) -> None:
        """Build the engine anew.

        Raises:
            Exception: What the factory raises; it is the `problem` then.
        """
        backend = self._make_backend(self.name, self._fail)
        try:
            await backend.build()
            await self._load_added(backend)
        except BaseException as exc:
            backend.abandon()
            if isinstance(exc, Exception):
                self._failed_builds += 1
                self._note_failure(f"the engine could not be built: {exc}")
            raise
        # Only a complete backend is used: until now `submit` returns no frame.
        self._backend, self.problem, self._failed_builds = backend, None, 0
        self._keeps_slots = backend.keeps_slots
        self._ready_at = asyncio.get_running_loop().time()
        self._turn.set()

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

    async def wait_changed(self) -> None:
        """Wait until the device starts or stops to warp, cannot be built, or is stopped."""
        self._turn.clear()
        await self._turn.wait()

    def allocate(self, rendition: Rendition) -> ServerMemory:
        """Allocate cache slots, see `WarpBackend.allocate`; requires `working`."""
        return self._working_backend.allocate(rendition)

    async def load(self, folder: Path) -> LoadedAvatar:
        """Load another avatar, see `WarpBackend.load`; requires `working`."""
        return await self._working_backend.load(folder)

    async def add(self, loaded: LoadedAvatar, folder: Path) -> None:
        """Render a loaded avatar from now on, and after the engine is built again."""
        self._added[loaded.info.id] = folder
        if self._backend is not None:
            await self._backend.add(loaded)

    async def follow(self, avatar_id: str, folder: Path) -> None:
        """Render an avatar that was added to other devices while this one did not warp.

        Raises:
            RenderError: If the device warps again meanwhile and cannot load the avatar.
        """
        self._added[avatar_id] = folder
        if self._backend is not None:
            await self._backend.add(await self._backend.load(folder))

    async def remove(self, avatar_id: str) -> None:
        """Free an avatar that was added."""
        self._added.pop(avatar_id, None)
        if self._backend is not None:
            await self._backend.remove(avatar_id)

    async def _load_added(self, backend: WarpBackend) -> None:
        """Load the added avatars into a new engine, including those added meanwhile."""
        tried: set[str] = set()
        while missing := self._added.keys() - tried:
            avatar_id = missing.pop()
            tried.add(avatar_id)
            try:
                await backend.add(await backend.load(self._added[avatar_id]))
            except RenderError as exc:
                logger.error("%s: avatar %s is left out: %s", self.name, avatar_id, exc)

    def stop(self) -> None:
        """Make `run` return."""
        self._stopping.set()
        self._changed.set()
        self._turn.set()

    async def close(self) -> None:
        """Wait for the warp in progress, cancel queued ones and end the backend."""
        backend, self._backend = self._backend, None
        if backend is not None:
            await backend.close()

    def submit(
        self, slots: CacheSlots, sequence: FrameSequence, sample: Callable[[], FrameInputs]
    ) -> Warping:
        """Queue a warp, see `WarpBackend.submit`; None while the device does not work."""
        if self._backend is None or slots.device_failed:
            return Warping.nothing()
        return self._backend.submit(slots, sequence, sample)

    async def benchmark(self, rendition: Rendition, seconds: float) -> WarpBenchmark:
        """Time warps, see `WarpBackend.benchmark`; requires `working`."""
        return await self._working_backend.benchmark(rendition, seconds)

    def close_sequence(self, sequence: FrameSequence) -> None:
        """Drop the crossfade state of a sequence."""
        if self._backend is not None:
            self._backend.close_sequence(sequence)

    def suspect(self, error: Exception) -> None:
        """Find out whether an unexpected error came from the device."""
        if self._backend is not None:
            self._backend.suspect(error)

    def reclaim(self, handle: SlotHandle) -> None:
        """Release a handle of this device's memory, see `Engine.reclaim`."""
        if self._backend is None:
            return  # its memory ends with the context of the device
        try:
            self._backend.reclaim(handle)
        except RuntimeError as exc:
            self.suspect(exc)

    def memory(self) -> DeviceMemory | None:
        """Return the memory usage of a GPU; None for the CPU and while the device has failed."""
        if self._backend is None:
            return None
        try:
            return self._backend.memory()
        except RuntimeError as exc:
            self.suspect(exc)
            return None

    def _fail(self, reason: str) -> None:
        """Replace the backend; called on the event loop when the device has failed."""
        loop = asyncio.get_running_loop()
        # Before this failure is counted: after a stable time it is the first in a row.
        stable = loop.time() - self._ready_at >= self._timeouts.stable_s
        self._failures_in_a_row = 0 if stable else self._failures_in_a_row
        backend, self._backend = self._backend, None
        if backend is not None:
            backend.abandon()
        self._note_failure(f"the device has failed: {reason}")

    def _note_failure(self, problem: str) -> None:
        self.failures += 1
        self._failures_in_a_row += 1
        self.problem = problem
        self._changed.set()
        self._events.device_failed(self)
        self._turn.set()

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
