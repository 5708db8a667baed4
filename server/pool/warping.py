"""The warp thread: one per device, in the server's process.

A separate thread keeps warps from delaying signalling and the packets of other viewers on the event
loop; the renderer releases the interpreter lock. There is one thread per device because concurrent
warps would only compete for the same cores.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from server.errors import RenderError
from server.pool.cache_slots import CacheSlots, CacheView, FrameSequence
from server.pool.frame import Frame
from server.pool.interface import Engine, EngineFactory, Fade, LoadedAvatar, SlotMemory
from server.pool.mark import Mark
from server.pool.warp_benchmark import WarpBenchmark, WarpTimes, swaying
from server.protocol.states import FrameInputs

logger = logging.getLogger(__name__)

_REUSE_WINDOW_S = 0.008
"""Viewers who request the same image within this time get the same step of a crossfade, even if a
new cache was finished in between: half a frame at 60 frames per second."""
_MEAN_WEIGHT = 0.05
"""Weight of the newest value in the moving mean of warp times: about one second of one viewer."""
_BENCHMARK_IMAGES = 10
"""Images of a benchmark that are kept, to time the encoder with."""
_LOADING_NICENESS = 19


@dataclass(eq=False)
class _SequenceState:
    """What is kept of a frame sequence from one frame to the next."""

    fade: Fade
    frame: Frame | None = None
    """The newest frame."""
    warped_at: float = 0.0

    def reusable(self, state: FrameState, cache: CacheView, now: float) -> Frame | None:
        """Return the newest frame if warping again would give the same image."""
        if self.frame is None:
            return None
        changing = self.frame.fading or self.frame.cache is not cache
        if changing and now - self.warped_at > _REUSE_WINDOW_S:
            return None
        return self.frame if self.frame.inputs.state.same_image(state) else None


class WarpThread:
    """Runs warps one after the other, first come, first served.

    A viewer requests its next frame only after it has received the last one, so this order serves
    the viewers in rotation. After a failure of the device it warps no more: `WarpDevice` replaces
    it.

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
        self.warp_ms: float | None = None
        """Moving mean of the warp time; None before the first warp."""
        self._factory = factory
        self._failed = failed
        self._mark = mark
        self._broken = False
        self._engine: Engine | None = None
        self._sequences: weakref.WeakKeyDictionary[FrameSequence, _SequenceState] = (
            weakref.WeakKeyDictionary()
        )
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"warp-{device}")

    @property
    def engine(self) -> Engine:
        """The engine; requires `build`."""
        assert self._engine is not None
        return self._engine

    async def build(self) -> None:
        """Build the engine; raises what the factory raises."""
        loop = asyncio.get_running_loop()
        # One thread: the encoder, the event loop and the workers need the other cores.
        self._engine = await loop.run_in_executor(
            self._executor, self._factory.build, self.device, 1
        )

    async def load(self, folder: Path) -> LoadedAvatar:
        """Load another avatar while warps go on, in a thread that yields to all others.

        Raises:
            RenderError: If it cannot be loaded.
        """

        def load() -> LoadedAvatar:
            # Of this thread alone (Linux), which ends afterwards: it could not be raised again.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOADING_NICENESS)
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
    ) -> asyncio.Future[Frame | None]:
        """Queue a warp of the newest cache to the newest inputs.

        If the newest frame of the sequence shows the same image, that image is returned again.

        Args:
            slots: Hold the cache.
            sequence: The sequence that the frame belongs to.
            sample: Returns the newest inputs; called in the warp thread just before the warp.

        Returns:
            A future of the frame; of None if there is no cache, the viewer has left or the device
            has failed.
        """
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(
            self._executor, self._warp, slots, sequence, sample, loop, time.perf_counter()
        )

    def suspect(self, error: Exception) -> None:
        """Find out in the warp thread whether an unexpected error came from the device."""
        loop = asyncio.get_running_loop()
        if not self._broken:
            self._executor.submit(self._note_error, error, loop)

    async def benchmark(self, avatar: AvatarInfo, seconds: float) -> WarpBenchmark:
        """Time warps for a moving viewer. Warps of real viewers run in between."""
        loop = asyncio.get_running_loop()
        times: list[WarpTimes] = []
        images: list[RgbImage] = []
        memory = self.engine.allocate(avatar.id)
        try:
            await loop.run_in_executor(
                self._executor,
                self.engine.refresh,
                avatar.id,
                swaying(avatar, 0.0),
                memory.slot(0),
            )
            ends_at = time.monotonic() + seconds
            while not times or time.monotonic() < ends_at:
                state = swaying(avatar, len(times) / 10)
                rgb, found = await loop.run_in_executor(
                    self._executor, self._timed_warp, avatar.id, state, memory
                )
                times.append(found)
                images = [*images[1 - _BENCHMARK_IMAGES :], rgb]
        finally:
            memory.close()
        return WarpBenchmark.of(times, images)

    def close_sequence(self, sequence: FrameSequence) -> None:
        """Drop the crossfade state of a sequence at once, instead of at garbage collection.

        The state holds the memory of a whole cache.
        """
        sequence.closed = True
        self._sequences.pop(sequence, None)

    def close(self) -> None:
        """Wait for the warp in progress, cancel queued ones and end the thread."""
        self._executor.shutdown(cancel_futures=True)
        self._engine = None

    def abandon(self) -> None:
        """End the thread after the warps queued so far, which return None, without waiting."""
        self._executor.shutdown(wait=False)
        self._engine = None
        self._sequences.clear()

    def _timed_warp(
        self, avatar_id: str, state: FrameState, memory: SlotMemory
    ) -> tuple[RgbImage, WarpTimes]:
        began, thread_began = time.perf_counter(), time.thread_time()
        image = self.engine.warp(avatar_id, state, memory.slot(0))
        thread_s = time.thread_time() - thread_began
        elapsed_s = time.perf_counter() - began
        locked_s = max(0.0, thread_s - image.raster_ms / 1e3)
        return image.rgb, WarpTimes(elapsed_s, thread_s, locked_s)

    def _warp(
        self,
        slots: CacheSlots,
        sequence: FrameSequence,
        sample: Callable[[], FrameInputs],
        loop: asyncio.AbstractEventLoop,
        submitted_at: float,
    ) -> Frame | None:
        queue_ms = (time.perf_counter() - submitted_at) * 1e3
        try:
            with slots.reading() as cache:
                if cache is None or slots.closed or sequence.closed or self._broken:
                    return None
                return self._next_frame(slots, sequence, cache, sample(), queue_ms)
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

        An error that the device survives is a matter of one frame, not of all its viewers.
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

    def _update_warp_ms(self, elapsed_ms: float) -> None:
        earlier_ms = elapsed_ms if self.warp_ms is None else self.warp_ms
        self.warp_ms = earlier_ms + _MEAN_WEIGHT * (elapsed_ms - earlier_ms)

    def _next_frame(
        self,
        slots: CacheSlots,
        sequence: FrameSequence,
        cache: CacheView,
        inputs: FrameInputs,
        queue_ms: float,
    ) -> Frame:
        state, now = self._sequence_state(sequence, slots.avatar_id), time.monotonic()
        if same := state.reusable(inputs.state, cache, now):
            stages_ms = {"queue": queue_ms, "raster": 0.0, "warp": 0.0}
            return Frame(inputs, same.cache, same.rgb, same.fading, stages_ms)
        # Unique among all slots, because a sequence may move from one to another.
        generation = (slots.id << 32) + cache.generation
        source = state.fade.follow(cache.slot, generation, now)
        image = self.engine.warp(slots.avatar_id, inputs.state, source)
        self._update_warp_ms(image.raster_ms + image.network_ms)
        self._mark.draw(self.engine.avatars[slots.avatar_id], image.rgb)
        stages_ms = {"queue": queue_ms, "raster": image.raster_ms, "warp": image.network_ms}
        frame = Frame(inputs, cache, image.rgb, state.fade.fading, stages_ms)
        state.frame, state.warped_at = frame, time.monotonic()
        return frame

    def _sequence_state(self, sequence: FrameSequence, avatar_id: str) -> _SequenceState:
        """Return the state of a sequence; a new one continues the fade of `sequence.previous`."""
        state = self._sequences.get(sequence)
        if state is None:
            previous = self._sequences.get(sequence.previous) if sequence.previous else None
            fade = self.engine.open_fade(avatar_id, previous.fade if previous else None)
            state = self._sequences[sequence] = _SequenceState(fade)
            sequence.previous = None
        return state
