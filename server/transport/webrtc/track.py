"""The video track: takes a frame from the session when aiortc requests one, and encodes it.

The next frame may be rendered while one is encoded and sent, so that a late frame delays the next
view by its render time only; nothing else queues. Frames are encoded in a thread, so that the event
loop stays free.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from typing import Any, Protocol

import av
from aiortc import MediaStreamTrack
from aiortc.mediastreams import MediaStreamError

from models.contract.frame_state import FrameState
from models.contract.images import Nv12Image
from server.encoding.h264 import TIME_BASE, video_frame
from server.errors import SessionClosedError, TelewarpError
from server.pool.frame import Frame

logger = logging.getLogger(__name__)

KEY_FRAME_INTERVAL_S = 0.1
"""Interval of key frames before the first view, and the minimum when the receiver requests them."""
_UNASKED_KEY_FRAMES_S = 5.0
"""A player that only watches never sends a view; after this time it has a frame or sends a PLI."""
_STALE_S = 1 / 30
"""A frame that has waited longer for the network is replaced by a newer one."""
_TICKS_PER_S = TIME_BASE.denominator
_TICK_STEP = 9
"""0.1 ms: browsers keep frame times in whole microseconds and would shift others by a tick."""


class FrameSource(Protocol):
    """The part of a session's interface that the track uses."""

    async def next_frame(self) -> Frame: ...


class FrameEncoder(Protocol):
    """The part of an encoder's interface that the track uses.

    `encode` is called in a thread, one call at a time.
    """

    def encode(self, nv12: Nv12Image, pts: int, key_frame: bool, shown: FrameState) -> Any: ...


class Vp8Passthrough:
    """For receivers without H.264: leaves the encoding to aiortc, which uses VP8."""

    def encode(
        self, nv12: Nv12Image, pts: int, key_frame: bool, shown: FrameState | None = None
    ) -> av.VideoFrame:
        """Wrap one frame; aiortc handles key-frame requests of VP8 itself."""
        return video_frame(nv12, pts)


async def without_pacing() -> None:
    """Return at once, as without congestion control there is always room."""


class RenderTrack(MediaStreamTrack):
    """The frames of a session as a track.

    Args:
        source: Provides the frames.
        encoder: Converts them to packets or aiortc frames.
        executor: The threads to encode in.
        on_failure: Called once when the source or the encoder raises; the track has ended then.
        wait_for_room: Waits until the network has room for another frame; by default it always has.
        on_size: Called with columns and rows before the first frame of each size is encoded.
    """

    kind = "video"

    def __init__(
        self,
        source: FrameSource,
        encoder: FrameEncoder,
        executor: Executor,
        on_failure: Callable[[Exception], None],
        wait_for_room: Callable[[], Awaitable[None]] = without_pacing,
        on_size: Callable[[int, int], None] = lambda _columns, _rows: None,
    ) -> None:
        super().__init__()
        self.newest: Frame | None = None
        self._source = source
        self._encoder: FrameEncoder | None = encoder
        self._executor = executor
        self._on_failure = on_failure
        self._wait_for_room = wait_for_room
        self._on_size, self._size = on_size, (0, 0)
        self._next: asyncio.Task[Frame] | None = None
        self._key_frame_requested = asyncio.Event()
        self._key_frame_requested.set()  # the first of all
        self._last_key_at = -KEY_FRAME_INTERVAL_S
        self._started_at: float | None = None
        self._last_pts = -_TICK_STEP

    def request_key_frame(self) -> None:
        """Make the next frame a key frame, and repeat the newest one if no new frame is ready."""
        self._key_frame_requested.set()

    async def recv(self) -> Any:
        """Wait for the next frame and encode it.

        Returns:
            `av.Packet`, or `av.VideoFrame` where aiortc is to encode.

        Raises:
            MediaStreamError: When the session has ended; aiortc then ends the sender.
        """
        if self.readyState != "live":
            raise MediaStreamError
        try:
            await self._pace()
            return await self._encode(await self._next_frame())
        except SessionClosedError as exc:
            raise MediaStreamError from exc
        except Exception as exc:
            # aiortc would end its sender silently on any exception.
            if isinstance(exc, TelewarpError):  # no fault of the program, so no traceback
                logger.warning("no more video: %s", exc)
            else:
                logger.exception("no more video: rendering or encoding a frame failed")
            self._on_failure(exc)
            raise MediaStreamError from exc

    def stop(self) -> None:
        """End the track and cancel the frame that is awaited.

        Releases frames and encoder: a closed aiortc connection is cyclic garbage, which Python may
        collect much later.
        """
        super().stop()
        if self._next is not None and not self._next.cancel() and not self._next.cancelled():
            self._next.exception()  # read, because asyncio logs exceptions that are never read
        self._next = self.newest = self._encoder = None

    async def _pace(self) -> None:
        """Wait for room, and drop a frame that has become old meanwhile."""
        began = time.monotonic()
        await self._wait_for_room()
        waited_s = time.monotonic() - began
        if waited_s > _STALE_S and self._next is not None and self._next.done():
            self._next.result()  # raises if there is no next one
            self._next = None

    async def _next_frame(self) -> Frame:
        """Return the next frame, or the last one again if a key frame is requested meanwhile."""
        if self._next is None:
            self._next = asyncio.ensure_future(self._source.next_frame())
        if self.newest is not None and not self._next.done():
            wanted = asyncio.ensure_future(self._key_frame_due())
            try:
                await asyncio.wait((self._next, wanted), return_when=asyncio.FIRST_COMPLETED)
            finally:
                wanted.cancel()
            if not self._next.done():
                return self.newest
        # Shielded: a cancelled `recv` must not cancel the frame that the next call returns.
        frame = await asyncio.shield(self._next)
        # Requested before this one is encoded, so that both overlap.
        self._next = asyncio.ensure_future(self._source.next_frame())
        return frame

    async def _key_frame_due(self) -> None:
        await self._key_frame_requested.wait()
        await asyncio.sleep(self._last_key_at + KEY_FRAME_INTERVAL_S - time.monotonic())

    async def _encode(self, frame: Frame) -> Any:
        encoder = self._encoder
        if encoder is None:
            raise SessionClosedError("the track was stopped meanwhile")
        columns, rows = size = frame.nv12.shape[1], frame.nv12.shape[0] * 2 // 3
        if size != self._size:
            self._size = size
            self._on_size(columns, rows)
        is_key, frame.pts = self._is_key(frame), self._next_pts()
        started = time.perf_counter()
        encoded = await asyncio.get_running_loop().run_in_executor(
            self._executor, encoder.encode, frame.nv12, frame.pts, is_key, frame.inputs.state
        )
        frame.stages_ms["encode"] = (time.perf_counter() - started) * 1e3
        frame.encoded_at = time.monotonic()
        self.newest = frame
        return encoded

    def _is_key(self, frame: Frame) -> bool:
        now = time.monotonic()
        if now - self._last_key_at < KEY_FRAME_INTERVAL_S:
            return False
        if not self._key_frame_requested.is_set() and not self._may_be_blank(frame, now):
            return False
        self._key_frame_requested.clear()
        self._last_key_at = now
        return True

    def _may_be_blank(self, frame: Frame, now: float) -> bool:
        """Whether the viewer may show nothing: a browser that lost its first frame sends no PLI."""
        started = self._started_at if self._started_at is not None else now  # set by `_next_pts`
        return frame.view_seq is None and now - started < _UNASKED_KEY_FRAMES_S

    def _next_pts(self) -> int:
        now = time.monotonic()
        if self._started_at is None:
            self._started_at = now
        ticks = int((now - self._started_at) * _TICKS_PER_S) // _TICK_STEP * _TICK_STEP
        self._last_pts = max(ticks, self._last_pts + _TICK_STEP)
        return self._last_pts
