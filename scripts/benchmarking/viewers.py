"""Viewers in a process of their own: aiortc clients that watch, move, and count what comes.

They do not decode: what a browser's machine has to do is not taken from the server's.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import time
from dataclasses import dataclass, field
from math import sin
from multiprocessing.connection import Connection
from typing import Any, Literal

import httpx2
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket

from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback

Motion = Literal["own", "still"]
"""Each viewer moves in its own way, or all of them look from the avatar's own viewpoint."""

_VIEWS_PER_S = 30
_ANSWER_S = 60.0
"""So long a process may take for an answer, beyond the time it was told to measure."""
_REMEMBERED_S = 10.0


@dataclass(frozen=True)
class Task:
    """What the viewers of one process do."""

    address: str
    """Of the server."""
    stream: str
    first: int
    """Number of the first viewer; motions differ by it."""
    count: int
    motion: Motion


@dataclass(frozen=True)
class Seen:
    """What one viewer saw in a while."""

    fps: float
    latencies_ms: list[float]
    """From sending a view until the last packet of the first frame drawn for it, or a later one."""
    server: dict[str, Any]
    """The session's own figures."""


class ViewerProcess:
    """Viewers that run until `close`; `connected` must be called first.

    Args:
        task: What they do.
    """

    def __init__(self, task: Task) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_run, args=(task, theirs), daemon=True)
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid is not None
        return self._process.pid

    def connected(self) -> bool:
        """Wait until all viewers have a picture; False where the server refused one."""
        return bool(self._answer(_ANSWER_S))

    def measure(self, seconds: float) -> None:
        """Begin to count; `result` has what came."""
        self._pipe.send(seconds)

    def result(self, seconds: float) -> list[Seen]:
        """What each viewer saw in the `seconds` since `measure`."""
        seen = self._answer(seconds + _ANSWER_S)
        assert isinstance(seen, list)
        return seen

    def close(self) -> None:
        """Let the viewers leave."""
        self._pipe.close()
        self._process.join(10)
        if self._process.is_alive():
            self._process.kill()
            self._process.join()

    def _answer(self, timeout_s: float) -> object:
        try:
            if self._pipe.poll(timeout_s):
                return self._pipe.recv()
        except EOFError:
            raise SystemExit("benchmark: a process of viewers died") from None
        raise SystemExit("benchmark: a process of viewers does not answer")


@dataclass
class _Viewer:
    """One aiortc client."""

    task: Task
    number: int
    http: httpx2.AsyncClient
    sent_at: dict[int, float] = field(default_factory=dict)
    """By `seq` of the view."""
    came_at: dict[int, float] = field(default_factory=dict)
    """By RTP timestamp of the frame: when its last packet came."""
    frames: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    session: str = ""

    def __post_init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        receiver = self.connection.addTransceiver("video", direction="recvonly").receiver
        receiver._handle_rtp_packet = self._take  # type: ignore[method-assign]
        self._views = self.connection.createDataChannel("view", ordered=False, maxRetransmits=0)
        self.connection.createDataChannel("events").on("message", self._told)
        self._seq = 0

    async def join(self) -> bool:
        """Connect and wait for a picture; False where the server refuses."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        response = await self.http.post(
            f"/v1/streams/{self.task.stream}/whep",
            content=self.connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
        if response.status_code != 201:
            return False
        self.session = response.headers["location"]
        answer = RTCSessionDescription(response.text, "answer")
        await self.connection.setRemoteDescription(answer)
        async with asyncio.timeout(_ANSWER_S / 2):
            while not self.frames or self._views.readyState != "open":
                await asyncio.sleep(0.02)
        return True

    async def move(self) -> None:
        """Send views for ever."""
        loop = asyncio.get_running_loop()
        due_at = loop.time() + self.number / _VIEWS_PER_S / 8  # not all at the same moment
        while True:
            await asyncio.sleep(due_at - loop.time())
            due_at = max(due_at + 1 / _VIEWS_PER_S, loop.time())
            self._send_view()

    async def seen(self, seconds: float) -> Seen:
        """Count for a while."""
        frames, began = self.frames, time.perf_counter()
        self.latencies_ms.clear()
        await asyncio.sleep(seconds)
        fps = (self.frames - frames) / (time.perf_counter() - began)
        latencies_ms = list(self.latencies_ms)
        server = (await self.http.get(self.session)).json()
        return Seen(round(fps, 2), latencies_ms, server)

    async def leave(self) -> None:
        if self.session:
            await self.http.delete(self.session)
        await self.connection.close()

    def _send_view(self) -> None:
        self._seq += 1
        turn = 0.0 if self.task.motion == "still" else time.perf_counter() * 2 + self.number
        eye = {"rotation": [0, 0, 0, 1], "position": [0.1 * sin(turn), 0, 0.7]}
        now = time.perf_counter()
        self.sent_at[self._seq] = now
        self.sent_at.pop(self._seq - round(_REMEMBERED_S * _VIEWS_PER_S), None)
        view = {"type": "view", "seq": self._seq, "sent_at_ms": now * 1e3, "eye": eye}
        self._views.send(json.dumps(view))

    async def _take(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        if packet.marker:
            self.frames += 1
            self.came_at[packet.timestamp] = time.perf_counter()
            if len(self.came_at) > _REMEMBERED_S * 60:
                del self.came_at[next(iter(self.came_at))]

    def _told(self, text: str) -> None:
        event = json.loads(text)
        if event["type"] != "frame" or event["view_seq"] is None:
            return
        came_at = self.came_at.get(event["rtp_timestamp"])
        sent_at = self.sent_at.pop(event["view_seq"], None)  # only its first frame counts
        if came_at is not None and sent_at is not None:
            self.latencies_ms.append((came_at - sent_at) * 1e3)


def _run(task: Task, pipe: Connection) -> None:
    asyncio.run(_watch(task, pipe))


async def _watch(task: Task, pipe: Connection) -> None:
    enable_loopback_fallback()
    async with httpx2.AsyncClient(base_url=task.address, timeout=_ANSWER_S / 2) as http:
        viewers = [_Viewer(task, task.first + index, http) for index in range(task.count)]
        moving = []
        try:
            welcome = [await viewer.join() for viewer in viewers]
            moving = [asyncio.create_task(viewer.move()) for viewer in viewers]
            pipe.send(all(welcome))
            while True:
                seconds = await asyncio.to_thread(pipe.recv)
                pipe.send(await asyncio.gather(*(viewer.seen(seconds) for viewer in viewers)))
        except EOFError:
            return  # told to leave
        finally:
            for task_ in moving:
                task_.cancel()
            await asyncio.gather(*(viewer.leave() for viewer in viewers))
