"""The frames requested from a device process, and those that wait for room in the ring."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count

from server.errors import RenderError
from server.pool.cache_slots import CacheSlots
from server.pool.device_memory import RemoteMemory, Send
from server.pool.device_messages import AttachRing, FrameFailed, FrameMade, WarpFrame
from server.pool.frame import CacheView, Frame, FrameSequence, NewestFrames, Warping
from server.pool.frame_ring import FrameRing, RingEntry, RingLayout
from server.protocol.states import FrameInputs

logger = logging.getLogger(__name__)

_MAX_VERSIONS = 64
"""Changes of the inputs that a waiting frame accepts: more than occur in a quarter of a second.
Later ones wait for the next frame."""
_MAX_LOST = 2
"""Number of consecutive device processes that may end while they make frames of the same slots."""


@dataclass(eq=False)
class PendingFrame:
    """A frame that a session waits for."""

    slots: CacheSlots
    sequence: FrameSequence
    sample: Callable[[], FrameInputs]
    done: asyncio.Future[Frame | None]
    submitted_at: float
    """`time.perf_counter()`, seconds."""
    entry: int | None = None
    """Its entry of the ring; None while it waits for one."""
    cache: CacheView | None = None
    """The cache to warp from, pinned while the frame has an entry."""
    versions: list[FrameInputs] = field(default_factory=list)
    """The inputs in the order of their versions, the first of which is 1."""

    def answer(self, frame: Frame | None) -> None:
        """Return the frame to the session, if it still waits."""
        if not self.done.done():
            self.done.set_result(frame)

    def fail(self, error: Exception) -> None:
        """Raise an error in the session, if it still waits."""
        if not self.done.done():
            self.done.set_exception(error)


class FramesInProgress:
    """First come, first served; in each entry of the ring is at most one frame.

    Args:
        send: Sends a message to the device process.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self._ring: FrameRing | None = None
        self._layout: RingLayout | None = None
        """Layout that the ring must have."""
        self._free: list[int] = []
        self._waiting: deque[PendingFrame] = deque()
        self._in_ring: dict[int, PendingFrame] = {}
        """Frames in the ring by frame id."""
        self._ids = count(1)
        self._newest = NewestFrames()

    @property
    def warp_ms(self) -> float | None:
        """Moving mean of the warp time; None before the first warp."""
        return self._newest.warp_ms

    @property
    def in_ring(self) -> int:
        """Number of frames that the process has to make."""
        return len(self._in_ring)

    def process_ready(self, layout: RingLayout) -> None:
        """Give a new process the ring.

        Raises:
            PoolBusyError: If there is not enough shared memory.
        """
        self.make_room(layout)
        self._replace_ring()

    def make_room(self, layout: RingLayout) -> None:
        """Use a ring with room for other frames too, once those in the ring are made."""
        if self._layout is None or not self._layout.holds(layout):
            self._layout = layout if self._layout is None else self._layout.joined(layout)

    def submit(
        self, slots: CacheSlots, sequence: FrameSequence, sample: Callable[[], FrameInputs]
    ) -> Warping:
        """Request a frame, see `WarpBackend.submit`."""
        done: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        frame = PendingFrame(slots, sequence, sample, done, time.perf_counter())
        self._waiting.append(frame)
        self.send_waiting()
        return Warping(done, lambda: self._write_newer(frame))

    def send_waiting(self) -> None:
        """Put waiting frames into the ring as long as there is room."""
        if self._ring_is_small:
            if self._in_ring:
                return  # until the frames in the old ring are made
            self._replace_ring()
        while self._waiting and self._free:
            self._begin(self._waiting.popleft())

    def made(self, message: FrameMade) -> None:
        """Return a frame to its session."""
        frame = self._in_ring[message.frame_id]
        found = self._received(frame, message)
        self._end(frame)
        del self._in_ring[message.frame_id]
        frame.slots.lost_frames = 0
        frame.answer(found)
        self.send_waiting()

    def _received(self, frame: PendingFrame, message: FrameMade) -> Frame | None:
        inputs = frame.versions[message.version - 1]
        if message.shape is None:
            return self._newest.again(frame.sequence, inputs, message.stages_ms)
        assert frame.cache is not None
        nv12 = self._entry(frame).read_image(message.shape)
        received = Frame(inputs, frame.cache, nv12, message.fading, dict(message.stages_ms))
        return self._newest.add(frame.sequence, received)

    def failed(self, message: FrameFailed) -> None:
        """Raise the error of a frame in its session."""
        frame = self._in_ring.pop(message.frame_id)
        self._end(frame)
        error = RenderError if message.refused else RuntimeError
        frame.fail(error(message.detail))
        self.send_waiting()

    def close_sequence(self, sequence: FrameSequence) -> None:
        """Forget the newest frame of a sequence."""
        sequence.closed = True
        self._newest.forget(sequence)

    def process_ended(self) -> None:
        """Return None for all frames; slots whose frames repeatedly end processes have failed."""
        lost, self._in_ring = list(self._in_ring.values()), {}
        waiting, self._waiting = list(self._waiting), deque()
        for frame in lost:
            if self._entry(frame).begun:
                frame.slots.lost_frames += 1
            self._end(frame)
            if frame.slots.lost_frames >= _MAX_LOST and not frame.slots.device_failed:
                logger.error(
                    "cache slots %d: %d device processes ended while they made its frames",
                    frame.slots.id,
                    frame.slots.lost_frames,
                )
                frame.slots.fail_device()
        for frame in (*lost, *waiting):
            frame.answer(None)
        self._newest.clear()
        self._close_ring()

    def _close_ring(self) -> None:
        self._free = []
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    @property
    def _ring_is_small(self) -> bool:
        """Whether other frames need larger entries."""
        ring, layout = self._ring, self._layout
        return ring is not None and layout is not None and not ring.layout.holds(layout)

    def _replace_ring(self) -> None:
        """Make the ring as large as needed, and tell the process."""
        assert self._layout is not None
        if self._ring is None or self._ring_is_small:
            ring = FrameRing.create(self._layout)
            self._close_ring()
            self._ring = ring
        self._free = list(range(self._layout.entries))
        self._send(AttachRing(self._ring.name, self._ring.layout))

    def _entry(self, frame: PendingFrame) -> RingEntry:
        assert self._ring is not None
        assert frame.entry is not None
        return self._ring.entries[frame.entry]

    def _begin(self, frame: PendingFrame) -> None:
        """Put a frame into the ring, unless its caller has stopped waiting or there is no cache."""
        slots, sequence = frame.slots, frame.sequence
        cache = None
        if not (frame.done.done() or slots.closed or sequence.closed):
            cache = slots.pin()
        if cache is None:
            frame.answer(None)
            return
        frame.cache, frame.entry = cache, self._free.pop()
        self._entry(frame).offer()
        try:
            self._write_inputs(frame)
        except RenderError as exc:
            self._end(frame)
            frame.fail(exc)
            return
        frame_id = next(self._ids)
        self._in_ring[frame_id] = frame
        previous, sequence.previous = sequence.previous, None
        assert isinstance(slots.memory, RemoteMemory)
        self._send(
            WarpFrame(
                frame_id,
                frame.entry,
                slots.memory.id,
                cache.slot,
                slots.unique_generation(cache),
                sequence.id,
                previous.id if previous is not None else None,
                sequence.backdrop,
                frame.submitted_at,
            )
        )

    def _write_newer(self, frame: PendingFrame) -> None:
        """Write changed inputs while the process has not taken any."""
        waits = frame.cache is not None and not self._entry(frame).begun
        if waits and len(frame.versions) < _MAX_VERSIONS:
            with suppress(RenderError):  # which the next frame will raise
                self._write_inputs(frame)

    def _write_inputs(self, frame: PendingFrame) -> None:
        """Write the newest inputs.

        Raises:
            RenderError: If they are too long to be of this avatar.
        """
        inputs = frame.sample()
        self._entry(frame).write_state(len(frame.versions) + 1, inputs.state)
        frame.versions.append(inputs)

    def _end(self, frame: PendingFrame) -> None:
        """Free the entry of a frame, whose image has been read, and its cache."""
        assert frame.cache is not None
        assert frame.entry is not None
        cache, frame.cache = frame.cache, None
        self._free.append(frame.entry)
        frame.slots.unpin(cache)
        if frame.slots.needs_resume:
            frame.slots.resume()
