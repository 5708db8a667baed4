"""The warp's own thread: one per device, in the server's process.

A thread and not the event loop, so that a warp never holds up signalling or another viewer's
packets; the renderer's code gives up the interpreter lock. One per device, since two warps at a
time would only share the same cores.
"""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from server.pool.cache_slots import CacheSlots, CacheView, FrameSequence
from server.pool.frame import Frame
from server.pool.interface import Engine, EngineFactory, Fade, SlotMemory
from server.protocol.states import FrameInputs

_SAME_MOMENT_S = 0.008
"""Viewers who ask within so long for the same picture are shown the same step of a fade, even where
a new cache has come between them: half a frame at 60 a second."""

_NEWEST_COUNTS = 0.05
"""Of the mean of warp times: about the last second of one viewer."""
_TRIAL_PICTURES = 10
"""Kept of a trial, for encoders to be tried with."""
_SWAY_M = 0.1
"""How far the viewer of a trial moves to either side."""


@dataclass(frozen=True, eq=False)
class WarpTrial:
    """What a warp takes on one device."""

    warp_s: float
    """The lower quartile, rasterizing included: what else runs at the start slows some."""
    pictures: list[RgbImage]
    """The last ones."""


@dataclass(eq=False)
class _SequenceState:
    """What is kept of a frame sequence from one frame to the next."""

    fade: Fade
    frame: Frame | None = None
    """The newest one."""
    drawn_at: float = 0.0

    def reusable(self, state: FrameState, cache: CacheView, now: float) -> Frame | None:
        """Return the newest frame if warping again would give the same image."""
        if self.frame is None:
            return None
        changing = self.frame.fading or self.frame.cache is not cache
        if changing and now - self.drawn_at > _SAME_MOMENT_S:
            return None
        return self.frame if self.frame.inputs.state.same_image(state) else None


class WarpThread:
    """Warps one line after the other, in the order they asked.

    A viewer asks for its next frame only when it has the last, so this is a rotation.

    Args:
        device: Where the caches lie.
        factory: Builds the engine, inside the thread.
    """

    def __init__(self, device: str, factory: EngineFactory) -> None:
        self.device = device
        self.lines = 0
        """Open lines whose caches lie on this device."""
        self.warp_ms: float | None = None
        """How long a warp has taken lately."""
        self._factory = factory
        self._engine: Engine | None = None
        self._drawn: weakref.WeakKeyDictionary[FrameSequence, _SequenceState] = (
            weakref.WeakKeyDictionary()
        )
        self._executor = ThreadPoolExecutor(1, thread_name_prefix=f"warp-{device}")

    @property
    def engine(self) -> Engine:
        """The engine; it must have been built."""
        assert self._engine is not None
        return self._engine

    async def build(self) -> None:
        """Build the engine. What goes wrong there is raised here."""
        loop = asyncio.get_running_loop()
        # One thread: the encoder, the event loop and the workers need the other cores.
        self._engine = await loop.run_in_executor(
            self._executor, self._factory.build, self.device, 1
        )

    def submit(
        self, line: CacheSlots, sequence: FrameSequence, sample: Callable[[], FrameInputs]
    ) -> asyncio.Future[Frame | None]:
        """Warp the newest cache of a line to the state that `sample` gives when its turn comes.

        `sample` is called in the warp thread. Where the trail's last picture shows that state
        already, it is given once more.

        Returns:
            The frame; None while the line has no cache.
        """
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(
            self._executor, self._warp, line, sequence, sample, loop, time.perf_counter()
        )

    async def try_out(self, avatar: AvatarInfo, seconds: float) -> WarpTrial:
        """Time warps of a moving viewer, one by one, so that real ones come in between."""
        loop = asyncio.get_running_loop()
        times: list[float] = []
        pictures: list[RgbImage] = []
        memory = self.engine.allocate(avatar.id)
        try:
            await loop.run_in_executor(
                self._executor,
                self.engine.refresh,
                avatar.id,
                _swaying(avatar, 0.0),
                memory.slot(0),
            )
            give_up_at = time.monotonic() + seconds
            while not times or time.monotonic() < give_up_at:
                state = _swaying(avatar, len(times) / 10)
                rgb, took_s = await loop.run_in_executor(
                    self._executor, self._timed_warp, avatar.id, state, memory
                )
                times.append(took_s)
                pictures = [*pictures[1 - _TRIAL_PICTURES :], rgb]
        finally:
            memory.close()
        return WarpTrial(sorted(times)[len(times) // 4], pictures)

    def close_sequence(self, sequence: FrameSequence) -> None:
        """Free at once what is kept for it, a whole cache: collection may come much later."""
        sequence.closed = True
        self._drawn.pop(sequence, None)

    def close(self) -> None:
        """Wait for the warp under way and end the thread; warps still waiting are cancelled."""
        self._executor.shutdown(cancel_futures=True)
        self._engine = None

    def _timed_warp(
        self, avatar_id: str, state: FrameState, memory: SlotMemory
    ) -> tuple[RgbImage, float]:
        began = time.perf_counter()
        picture = self.engine.warp(avatar_id, state, memory.slot(0))
        return picture.rgb, time.perf_counter() - began

    def _warp(
        self,
        line: CacheSlots,
        sequence: FrameSequence,
        sample: Callable[[], FrameInputs],
        loop: asyncio.AbstractEventLoop,
        submitted_at: float,
    ) -> Frame | None:
        queue_ms = (time.perf_counter() - submitted_at) * 1e3
        try:
            with line.reading() as cache:
                if cache is None or line.closed or sequence.closed:
                    return None
                return self._draw(line, sequence, cache, sample(), queue_ms)
        finally:
            # From here and not from the future, which may have been cancelled long ago.
            if line.needs_settling:
                loop.call_soon_threadsafe(line.settle)

    def _note(self, elapsed_ms: float) -> None:
        earlier_ms = elapsed_ms if self.warp_ms is None else self.warp_ms
        self.warp_ms = earlier_ms + _NEWEST_COUNTS * (elapsed_ms - earlier_ms)

    def _draw(
        self,
        line: CacheSlots,
        sequence: FrameSequence,
        cache: CacheView,
        inputs: FrameInputs,
        queue_ms: float,
    ) -> Frame:
        kept, now = self._kept(sequence, line.avatar_id), time.monotonic()
        if same := kept.reusable(inputs.state, cache, now):
            stages_ms = {"queue": queue_ms, "raster": 0.0, "warp": 0.0}
            return Frame(inputs, same.cache, same.rgb, same.fading, stages_ms)
        # A sequence may follow the caches of more than one line.
        generation = (line.id << 32) + cache.generation
        source = kept.fade.follow(cache.slot, generation, now)
        image = self.engine.warp(line.avatar_id, inputs.state, source)
        self._note(image.raster_ms + image.network_ms)
        stages_ms = {"queue": queue_ms, "raster": image.raster_ms, "warp": image.network_ms}
        frame = Frame(inputs, cache, image.rgb, kept.fade.fading, stages_ms)
        kept.frame, kept.drawn_at = frame, time.monotonic()
        return frame

    def _kept(self, sequence: FrameSequence, avatar_id: str) -> _SequenceState:
        """The trail's own; at first a copy of what the one before it has here."""
        drawn = self._drawn.get(sequence)
        if drawn is None:
            before = self._drawn.get(sequence.before) if sequence.before else None
            fade = self.engine.open_fade(avatar_id, before.fade if before else None)
            drawn = self._drawn[sequence] = _SequenceState(fade)
            sequence.before = None
        return drawn


def _swaying(avatar: AvatarInfo, phase_rad: float) -> FrameState:
    """A calm face, seen by a viewer who moves from side to side."""
    x, y, z = avatar.eye_position
    return FrameState(
        head_rotation=np.array([0, 0, 0, 1], np.float32),
        head_translation=np.zeros(3, np.float32),
        expression=np.zeros(len(avatar.expression_names), np.float32),
        vertices=None,
        eye_rotation=np.array([0, 0, 0, 1], np.float32),
        eye_position=np.array([x + _SWAY_M * np.sin(phase_rad), y, z], np.float32),
        fov_y_rad=avatar.fov_y_rad,
    )
