"""Viewers that reconnect like the page: when frames stop, they request another host."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import httpx2

from scripts.benchmarking.piped_process import PipedProcess
from scripts.benchmarking.viewers import Task, Viewer
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback

_SILENT_S = 2.0
"""Time without a frame after which a viewer reconnects."""
_RETRY_S = 0.5
_LOOK_S = 0.5
"""Interval at which a viewer sends a view, which keeps its session open."""
_JOIN_S = 15.0
_ANSWER_S = 120.0


@dataclass(frozen=True)
class Seen:
    """State of one viewer at one time."""

    host: str
    """Address of its host; empty while it has none."""
    frames: int
    """Frames received since the start."""
    joined: int
    """Number of sessions so far."""
    last_frame_at: float
    """`time.monotonic()`, seconds."""


class RoamingViewers:
    """Several viewers in a separate process.

    Args:
        router: Address of the router.
        count: Number of viewers.
    """

    def __init__(self, router: str, count: int) -> None:
        self._process = PipedProcess(_run, router, count)

    def look(self) -> list[Seen]:
        """Return the state of every viewer."""
        self._process.pipe.send("look")
        if not self._process.pipe.poll(_ANSWER_S):
            raise SystemExit("benchmark: the viewers do not respond")
        found: list[Seen] = self._process.pipe.recv()
        return found

    def close(self) -> None:
        """Disconnect the viewers and end the process."""
        self._process.close()


class _RoamingViewer:
    """One viewer, which opens one session after the other."""

    def __init__(self, router: str, number: int, http: httpx2.AsyncClient) -> None:
        self._task = Task(router, "demo", number, 1, "own")
        self._number = number
        self._http = http
        self._viewer: Viewer | None = None
        self._earlier_frames = 0
        self._joined = 0
        self._last_frame_at = 0.0

    def seen(self) -> Seen:
        frames = self._viewer.frames if self._viewer else 0
        host = self._viewer.session.rpartition("/v1/")[0] if self._viewer else ""
        return Seen(host, self._earlier_frames + frames, self._joined, self._last_frame_at)

    async def watch(self) -> None:
        """Watch until cancelled."""
        while True:
            viewer = Viewer(self._task, self._number, self._http)
            try:
                async with asyncio.timeout(_JOIN_S):
                    if await viewer.join():
                        self._viewer, self._joined = viewer, self._joined + 1
                if self._viewer is not None:
                    await self._until_silent(self._viewer)
            except (TimeoutError, OSError, httpx2.HTTPError):
                pass  # the host has ended meanwhile: request another one
            finally:
                self._earlier_frames += self._viewer.frames if self._viewer else 0
                self._viewer = None
                with suppress(OSError, httpx2.HTTPError):
                    await viewer.leave()
            await asyncio.sleep(_RETRY_S)

    async def _until_silent(self, viewer: Viewer) -> None:
        frames, self._last_frame_at = viewer.frames, time.monotonic()
        looked_at = 0.0
        while not viewer.draining and time.monotonic() - self._last_frame_at < _SILENT_S:
            if time.monotonic() - looked_at >= _LOOK_S:
                viewer.turn()
                looked_at = time.monotonic()
            if viewer.frames > frames:
                frames, self._last_frame_at = viewer.frames, time.monotonic()
            await asyncio.sleep(0.05)


def _run(router: str, count: int, pipe: Connection) -> None:
    asyncio.run(_watch(router, count, pipe))


async def _watch(router: str, count: int, pipe: Connection) -> None:
    enable_loopback_fallback()
    async with httpx2.AsyncClient(base_url=router, timeout=_JOIN_S, follow_redirects=True) as http:
        viewers = [_RoamingViewer(router, number, http) for number in range(count)]
        watching = []
        for viewer in viewers:
            watching.append(asyncio.create_task(viewer.watch()))
            await asyncio.sleep(0.1)
        with suppress(EOFError):  # `close` closes the pipe
            while await asyncio.to_thread(pipe.recv):
                pipe.send([viewer.seen() for viewer in viewers])
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
