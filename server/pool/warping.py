"""The warp thread: one per device, in the server's process.

A separate thread keeps warps from delaying signalling and the packets of other viewers on the event
loop; the renderer releases the interpreter lock. There is one thread per device because concurrent
warps would only compete for the same cores.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from weakref import WeakKeyDictionary

from models.contract.avatar_info import AvatarInfo
from models.contract.images import StageTimes
from models.contract.rendition import Rendition
from server.errors import RenderError
from server.pool.cache_slots import CacheSlots
from server.pool.frame import CacheView, Frame, FrameSequence, NewestFrames, Warping
from server.pool.frame_maker import FrameMaker, FrameRequest
from server.pool.interface import (
    DeviceMemory,
    Engine,
    EngineFactory,
    LoadedAvatar,
    Slot,
    SlotMemory,
)
from server.pool.jobs import SlotHandle
from server.pool.mark import Mark
from server.pool.process_setup import lower_thread_priority
from server.pool.slot_layout import SLOT_COUNT
from server.pool.warp_benchmark import BenchmarkRun, WarpBenchmark
from server.protocol.states import FrameInputs

logger = logging.getLogger(__name__)


class ThreadMemory:
    """Cache slots in the memory of this process, as the server sees them; see `ServerMemory`.

    Args:
        memory: The memory of the engine in this process.
    """

    def __init__(self, memory: SlotMemory) -> None:
        self._memory = memory
        # Looked up once, as each frame needs one; `SlotMemory.close` empties them.
        self._slots = [memory.slot(index) for index in range(SLOT_COUNT)]

    def slot(self, index: int) -> Slot:
        """See `ServerMemory`."""
        return self._slots[index]

    def export(self, receive: Callable[[SlotHandle | None], None]) -> None:
        """See `ServerMemory`."""
        receive(self._memory.handle)

    def close(self) -> None:
        """See `ServerMemory`."""
        self._memory.close()


class WarpThread:
    """Runs warps one after the other; see `WarpBackend`.

    After a failure of the device it stops, and `WarpDevice` replaces it.

    Args:
        device: The device that holds the caches.
        factory: Builds the engine inside the thread.
        failed: Called once on the event loop, with the reason, when the device has failed.
        mark: Drawn into each frame.
    """

    def __init__(
        self,
        device: str,
        factory: EngineFactory,
        failed: Callable[[str], None],
        mark: Mark,
    ) -> None:
        self.device = device
        self._factory = factory
        self._failed = failed
        self._mark = mark
        self._broken = False
        self._engine: Engine | None = None
        self._maker: FrameMaker[FrameSequence] | None = None
        self._newest = NewestFrames()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"warp-{device}")

    @property
    def engine(self) -> Engine:
        """The engine; requires `build`."""
        assert self._engine is not None
        return self._engine

    @property
    def warp_ms(self) -> float | None:
        """See `WarpBackend`."""
        return self._newest.warp_ms

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """See `WarpBackend`."""
        return self.engine.avatars

    @property
    def keeps_slots(self) -> bool:
        """See `WarpBackend`."""
        return False

    async def build(self) -> None:
        """Build the engine; raises the errors of the factory."""
        loop = asyncio.get_running_loop()
        # One thread: the encoder, the event loop and the workers need the other cores.
        self._engine = await loop.run_in_executor(
            self._executor, self._factory.build, self.device, 1, "warp"
        )
        self._maker = FrameMaker(self._engine, self._mark, WeakKeyDictionary())

    def allocate(self, rendition: Rendition) -> ThreadMemory:
        """See `WarpBackend`."""
        return ThreadMemory(self.engine.allocate(rendition))

    def reclaim(self, handle: SlotHandle) -> None:
        """See `WarpBackend`."""
        self.engine.reclaim(handle)

    def memory(self) -> DeviceMemory | None:
        """See `WarpBackend`."""
        return self._factory.memory(self.device)

    async def load(self, folder: Path) -> LoadedAvatar:
        """Load another avatar while warps continue, in a thread of the lowest priority.

        Raises:
            RenderError: If it cannot be loaded.
        """

        def load() -> LoadedAvatar:
            lower_thread_priority()
            return self.engine.load(folder)

        executor = ThreadPoolExecutor(1, thread_name_prefix=f"load-{self.device}")
        try:
            return await asyncio.get_running_loop().run_in_executor(executor, load)
        finally:
            executor.shutdown(wait=False)  # the event loop must not wait for it

    async def add(self, loaded: LoadedAvatar) -> None:
        """Render a loaded avatar from now on."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self.engine.add, loaded)

    async def remove(self, avatar_id: str) -> None:
        """Free an avatar after the warps that are queued."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self.engine.remove, avatar_id)

    def submit(
        self, slots: CacheSlots, sequence: FrameSequence, sample: Callable[[], FrameInputs]
    ) -> Warping:
        """See `WarpBackend`. `sample` is called in the warp thread just before the warp."""
        loop = asyncio.get_running_loop()
        frame = loop.run_in_executor(
            self._executor, self._warp, slots, sequence, sample, loop, time.perf_counter()
        )
        return Warping(frame, lambda: None)

    def suspect(self, error: Exception) -> None:
        """Find out in the warp thread whether an unexpected error came from the device."""
        loop = asyncio.get_running_loop()
        if not self._broken:
            self._executor.submit(self._note_error, error, loop)

    async def benchmark(self, rendition: Rendition, seconds: float) -> WarpBenchmark:
        """Time warps for a moving viewer. Warps of real viewers run in between."""
        loop = asyncio.get_running_loop()
        run = BenchmarkRun(self.engine, rendition)
        try:
            await loop.run_in_executor(self._executor, run.refresh)
            ends_at = time.monotonic() + seconds
            await loop.run_in_executor(self._executor, run.warp)
            while time.monotonic() < ends_at:
                await loop.run_in_executor(self._executor, run.warp)
        finally:
            run.close()
        return run.result()

    def close_sequence(self, sequence: FrameSequence) -> None:
        """See `WarpBackend`. Otherwise the state would be dropped at garbage collection."""
        sequence.closed = True
        self._newest.forget(sequence)
        if self._maker is not None:
            self._maker.close(sequence)

    async def close(self) -> None:
        """See `WarpBackend`."""
        self._executor.shutdown(cancel_futures=True)
        self._engine = self._maker = None

    def abandon(self) -> None:
        """See `WarpBackend`. The thread ends after the warps queued so far."""
        self._executor.shutdown(wait=False)
        self._engine = self._maker = None
        self._newest.clear()

    def _warp(
        self,
        slots: CacheSlots,
        sequence: FrameSequence,
        sample: Callable[[], FrameInputs],
        loop: asyncio.AbstractEventLoop,
        submitted_at: float,
    ) -> Frame | None:
        stages_ms = {"queue": (time.perf_counter() - submitted_at) * 1e3}
        try:
            # Pinned here and not at `submit`, for the newest cache when the warp runs.
            with slots.reading() as cache:
                if cache is None or slots.closed or sequence.closed or self._broken:
                    return None
                return self._next_frame(slots, sequence, cache, sample(), stages_ms)
        except RenderError:
            raise
        except Exception as exc:
            if self._note_error(exc, loop):
                return None
            raise
        finally:
            # Not in a callback of the future, which may have been cancelled before the warp.
            if slots.needs_resume:
                loop.call_soon_threadsafe(slots.resume)

    def _note_error(self, error: Exception, loop: asyncio.AbstractEventLoop) -> bool:
        """Report the device if an error came from it; return whether the device has failed.

        An error that the device survives affects one frame, not all its viewers.
        """
        if self._broken:
            return True
        try:
            self.engine.probe()
        except Exception:
            self._broken = True
            logger.error("%s has failed", self.device, exc_info=error)
            loop.call_soon_threadsafe(self._failed, f"{type(error).__name__}: {error}")
        return self._broken

    def _next_frame(
        self,
        slots: CacheSlots,
        sequence: FrameSequence,
        cache: CacheView,
        inputs: FrameInputs,
        stages_ms: StageTimes,
    ) -> Frame | None:
        assert self._maker is not None
        previous, sequence.previous = sequence.previous, None
        request = FrameRequest(
            sequence,
            previous,
            slots.rendition,
            inputs.state,
            slots.memory.slot(cache.slot),
            slots.unique_generation(cache),
            stages_ms,
            sequence.backdrop,
        )
        made = self._maker.make(request)
        if made is None:
            return self._newest.again(sequence, inputs, stages_ms)
        fading = self._maker.fading(sequence)
        frame = Frame(inputs, cache, made.nv12, fading, dict(made.stages_ms))
        return self._newest.add(sequence, frame)
