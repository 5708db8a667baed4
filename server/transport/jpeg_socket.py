"""JPEG fallback: a `Peer` that sends JPEG images over a socket where WebRTC is blocked.

One image is in flight at a time: the next is rendered when the viewer has acknowledged this one.
Over a slow network fewer images are shown, each as new as possible, and no images queue.
Independent of the WebSocket library and of WebRTC.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from io import BytesIO
from typing import Any, Literal, Protocol

from PIL import Image
from pydantic import TypeAdapter, ValidationError

from models.contract.images import Nv12Image
from server.awake_clock import Stopwatch
from server.encoding.nv12 import to_rgb
from server.errors import BadOfferError, SessionClosedError, TelewarpError
from server.pool.frame import Frame
from server.protocol.messages import Message, Seq
from server.sessions.session import Session
from server.sessions.viewer_channel import ViewerChannel, frame_event

logger = logging.getLogger(__name__)

JPEG = "image/jpeg"
_QUALITY = 85
"""320x320 takes 9 kB and 0.3 ms; WebP would take 5 kB, and 2 ms of a core for each image."""
_STILL_S = 1.0
"""An unchanged image is sent again at this interval, seconds, as a keepalive."""
_CHECK_S = 0.5
_LONGEST_SHOWN = 256
"""Maximum size of an acknowledgement, characters; a longer message is not parsed twice."""


class ImageShown(Message):
    """The viewer displays an image and can receive the next."""

    type: Literal["shown"]
    picture: Seq


_shown = TypeAdapter(ImageShown)


class Socket(Protocol):
    """The socket that images are sent on. Both methods wait while the viewer does not read.

    Raise `ConnectionError` when the viewer has disconnected.
    """

    async def send_text(self, text: str) -> None: ...

    async def send_bytes(self, data: bytes) -> None: ...


class JpegPeer:
    """Sends the frames of a session as JPEG over a socket until either ends.

    Args:
        session: Provides the frames and receives the views.
        socket: The socket to the viewer.
        executor: Threads to compress in.
        silence_s: Timeout without a message, or with an unacknowledged image, after which the
            viewer counts as disconnected.
        clock: Measures that time; stands still while the server does not run.
    """

    def __init__(
        self,
        session: Session,
        socket: Socket,
        executor: Executor,
        silence_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ended = asyncio.Event()
        """Set when sending has ended."""
        self.failure: TelewarpError | None = None
        """Reason of the end, if it was an error."""
        self._session = session
        self._socket = socket
        self._executor = executor
        self._silence_s = silence_s
        self._clock = clock
        self._channel = ViewerChannel(session, self.send_event)
        self._events: dict[str, Mapping[str, Any]] = {}
        """The newest event of each type, sent with the next image."""
        self._last_sent = 0
        """Number of the newest image, from 1."""
        self._last_still: int | None = None
        """The refined still that its event names."""
        self._displayed = asyncio.Event()
        self._keepalive = Stopwatch(clock)
        self._keepalive.restart()
        self._unacknowledged_since: float | None = None
        """When the image in flight was ready; None if there is none."""
        self._sent_at = float("-inf")
        self._tasks: list[asyncio.Task[None]] = []

    async def answer(self, offer: str) -> str:
        """Start to send images.

        Returns:
            Their media type; there is nothing to negotiate.
        """
        hello = {"type": "session", "id": self._session.id, "pictures": JPEG}
        with suppress(ConnectionError):
            await self._socket.send_text(json.dumps(hello))
        self._tasks = [asyncio.create_task(self._show()), asyncio.create_task(self._watch())]
        return JPEG

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Refuse candidates: this is not WebRTC.

        Raises:
            BadOfferError: Always.
        """
        raise BadOfferError("expected a WebRTC session, got one of the JPEG fallback")

    def send_event(self, event: Mapping[str, Any]) -> None:
        """Send an event with the next image; a newer one of its type replaces it."""
        self._events[event["type"]] = event

    async def close(self) -> None:
        """Stop sending; may be called more than once."""
        self.ended.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def receive(self, text: str | bytes) -> None:
        """Handle one message of the viewer; never raises."""
        self._keepalive.restart()
        if len(text) <= _LONGEST_SHOWN:
            with suppress(ValidationError):
                if _shown.validate_json(text).picture == self._last_sent:
                    self._displayed.set()
                return
        self._channel.receive(text)

    async def _show(self) -> None:
        try:
            while True:
                frame = await self._next_frame()
                self._unacknowledged_since = self._clock()
                await self._send(frame)  # waits for a viewer who does not read
                await self._displayed.wait()
                self._unacknowledged_since = None
        except ConnectionError:
            self._end("disconnected")
        except SessionClosedError:
            self._end("ended")
        except TelewarpError as exc:
            self.failure = exc
            self._end(f"no more images: {exc}")
        except Exception as exc:
            logger.exception("no more images: rendering or compressing a frame failed")
            self._end(f"no more images: {exc}")

    async def _next_frame(self) -> Frame:
        while True:
            frame = await self._session.next_frame()
            # A repeated frame costs a few bytes in a video codec, but the full size as a JPEG.
            keepalive = time.monotonic() - self._sent_at >= _STILL_S
            if not frame.repeated or keepalive or frame.still != self._last_still:
                return frame

    async def _send(self, frame: Frame) -> None:
        started = time.perf_counter()
        loop = asyncio.get_running_loop()
        jpeg = await loop.run_in_executor(self._executor, to_jpeg, frame.nv12)
        frame.stages_ms["encode"] = (time.perf_counter() - started) * 1e3
        self._session.note_stage("encode", frame.stages_ms["encode"])
        self._displayed.clear()
        self._last_sent += 1
        self._last_still = frame.still
        self._sent_at = time.monotonic()
        # Removed before the first await, because an event that arrives meanwhile belongs to the
        # next image.
        events, self._events = self._events, {}
        for event in events.values():
            await self._socket.send_text(json.dumps(event))
        facts = frame_event(frame) | {"picture": self._last_sent}
        await self._socket.send_text(json.dumps(facts, separators=(",", ":")))
        await self._socket.send_bytes(jpeg)

    async def _watch(self) -> None:
        """End the session after a silence; the socket of a lost viewer stays open for minutes."""
        while True:
            now, since = self._clock(), self._unacknowledged_since
            if self._keepalive.elapsed_s >= self._silence_s:
                return self._end(f"silent for {self._silence_s:g} s")
            if since is not None and now - since >= self._silence_s:
                return self._end(f"acknowledged no image for {self._silence_s:g} s")
            await asyncio.sleep(_CHECK_S)

    def _end(self, reason: str) -> None:
        if not self.ended.is_set():
            self.ended.set()
            session = self._session
            logger.info("session %s: %s", session.id, reason, extra=session.log_ids)
            self._session.end()


ConnectJpeg = Callable[[Session, Socket], JpegPeer]
"""Creates the JPEG peer of a session."""


def to_jpeg(nv12: Nv12Image) -> bytes:
    """Compress a frame, (3 H/2, W) uint8, as JPEG, whose colours have half the resolution too."""
    buffer = BytesIO()
    Image.fromarray(to_rgb(nv12)).save(buffer, format="JPEG", quality=_QUALITY)
    return buffer.getvalue()
