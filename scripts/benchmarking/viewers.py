"""Viewers in a separate process: aiortc clients that move the view and count received frames.

They do not decode video, so that they leave most of the machine to the server.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from math import sin
from multiprocessing.connection import Connection
from typing import Any, Literal

import httpx2
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtpPacket

from scripts.benchmarking.piped_process import PipedProcess
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback

Motion = Literal["own", "still"]
"""own: each viewer moves independently; still: all use the same view."""

_VIEWS_PER_S = 30
"""Rate at which a viewer sends views."""
_RESPONSE_TIMEOUT_S = 60.0
"""Timeout for a response of the process, in addition to the measured time."""
_HISTORY_S = 10.0
"""Time for which sent views and received frames are kept to compute latencies."""


@dataclass(frozen=True)
class Task:
    """Configuration of the viewers of one process."""

    address: str
    """URL of the server."""
    stream: str
    """Id of the stream."""
    first: int
    """Number of the first viewer; it selects the motion."""
    count: int
    """Number of viewers."""
    motion: Motion


@dataclass(frozen=True)
class ViewerResult:
    """Measurement of one viewer."""

    fps: float
    """Frames received per second."""
    latencies_ms: list[float]
    """Time from sending a view to the last packet of the first frame rendered for it or a later
    one."""
    server: dict[str, Any]
    """Statistics of the session, from the server."""


class ViewerProcess:
    """Process of viewers, which run until `close`; `connected` must be called first.

    Args:
        task: Configuration of the viewers.
    """

    def __init__(self, task: Task) -> None:
        self._process = PipedProcess(_run, task)

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def connected(self) -> bool:
        """Wait until all viewers receive frames. Return False if the server refused one."""
        return bool(self._receive(_RESPONSE_TIMEOUT_S))

    def measure(self, seconds: float) -> None:
        """Start a measurement; `result` returns it."""
        self._process.pipe.send(seconds)

    def result(self, seconds: float) -> list[ViewerResult]:
        """Wait for the measurements of all viewers, `seconds` after `measure`."""
        results = self._receive(seconds + _RESPONSE_TIMEOUT_S)
        assert isinstance(results, list)
        return results

    def close(self) -> None:
        """Disconnect the viewers and end the process."""
        self._process.close()

    def _receive(self, timeout_s: float) -> object:
        try:
            if self._process.pipe.poll(timeout_s):
                return self._process.pipe.recv()
        except EOFError:
            raise SystemExit("benchmark: a process of viewers ended unexpectedly") from None
        raise SystemExit("benchmark: a process of viewers does not respond")


@dataclass
class Viewer:
    """One aiortc client."""

    task: Task
    number: int
    http: httpx2.AsyncClient
    sent_at: dict[int, float] = field(default_factory=dict)
    """Times at which views were sent, by `seq`."""
    received_at: dict[int, float] = field(default_factory=dict)
    """Times at which the last packet of a frame was received, by RTP timestamp."""
    frames: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    session: str = ""
    """URL of the session."""
    draining: bool = False
    """Whether the server has announced its end."""

    def __post_init__(self) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        receiver = self.connection.addTransceiver("video", direction="recvonly").receiver
        # Replaces the jitter buffer and decoder of this receiver.
        receiver._handle_rtp_packet = self._on_packet  # type: ignore[method-assign]  # as intended
        self._views = self.connection.createDataChannel("view", ordered=False, maxRetransmits=0)
        self.connection.createDataChannel("events").on("message", self._on_event)
        self._seq = 0

    async def join(self) -> bool:
        """Connect and wait for a frame. Return False if the server refuses the viewer."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        response = await self.http.post(
            f"/v1/streams/{self.task.stream}/whep",
            content=self.connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
        if response.status_code != 201:
            return False
        self.session = str(response.url.join(response.headers["location"]))
        answer = RTCSessionDescription(response.text, "answer")
        await self.connection.setRemoteDescription(answer)
        async with asyncio.timeout(_RESPONSE_TIMEOUT_S / 2):
            while not self.frames or self._views.readyState != "open":
                await asyncio.sleep(0.02)
        return True

    def turn(self) -> None:
        """Send one view."""
        self._send_view()

    async def move(self) -> None:
        """Send views until cancelled."""
        loop = asyncio.get_running_loop()
        due_at = loop.time() + self.number / _VIEWS_PER_S / 8  # viewers start at different times
        while True:
            await asyncio.sleep(due_at - loop.time())
            due_at = max(due_at + 1 / _VIEWS_PER_S, loop.time())
            self._send_view()

    async def measure(self, seconds: float) -> ViewerResult:
        """Count frames and latencies for `seconds`."""
        frames, began = self.frames, time.perf_counter()
        self.latencies_ms.clear()
        await asyncio.sleep(seconds)
        fps = (self.frames - frames) / (time.perf_counter() - began)
        latencies_ms = list(self.latencies_ms)
        server = (await self.http.get(self.session)).json()
        return ViewerResult(round(fps, 2), latencies_ms, server)

    async def leave(self) -> None:
        """End the session and close the connection."""
        if self.session:
            await self.http.delete(self.session)
        await self.connection.close()

    def _send_view(self) -> None:
        self._seq += 1
        phase = 0.0 if self.task.motion == "still" else time.perf_counter() * 2 + self.number
        eye = {"rotation": [0, 0, 0, 1], "position": [0.1 * sin(phase), 0, 0.7]}
        now = time.perf_counter()
        self.sent_at[self._seq] = now
        self.sent_at.pop(self._seq - round(_HISTORY_S * _VIEWS_PER_S), None)
        view = {"type": "view", "seq": self._seq, "sent_at_ms": now * 1e3, "eye": eye}
        self._views.send(json.dumps(view))

    async def _on_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        # The marker is on the last packet of a frame.
        if packet.marker:
            self.frames += 1
            self.received_at[packet.timestamp] = time.perf_counter()
            if len(self.received_at) > _HISTORY_S * 60:
                del self.received_at[next(iter(self.received_at))]

    def _on_event(self, text: str) -> None:
        event = json.loads(text)
        self.draining |= event["type"] == "draining"
        if event["type"] != "frame" or event["view_seq"] is None:
            return
        received_at = self.received_at.get(event["rtp_timestamp"])
        sent_at = self.sent_at.pop(
            event["view_seq"], None
        )  # later frames of the same view do not count
        if received_at is not None and sent_at is not None:
            self.latencies_ms.append((received_at - sent_at) * 1e3)


def _run(task: Task, pipe: Connection) -> None:
    asyncio.run(_watch(task, pipe))


async def _watch(task: Task, pipe: Connection) -> None:
    enable_loopback_fallback()
    async with httpx2.AsyncClient(base_url=task.address, timeout=_RESPONSE_TIMEOUT_S / 2) as http:
        viewers = [Viewer(task, task.first + index, http) for index in range(task.count)]
        moving = []
        try:
            accepted = [await viewer.join() for viewer in viewers]
            moving = [asyncio.create_task(viewer.move()) for viewer in viewers]
            pipe.send(all(accepted))
            while True:
                seconds = await asyncio.to_thread(pipe.recv)
                pipe.send(await asyncio.gather(*(viewer.measure(seconds) for viewer in viewers)))
        except EOFError:
            return  # `ViewerProcess.close` closed the pipe
        finally:
            for task_ in moving:
                task_.cancel()
            await asyncio.gather(*(viewer.leave() for viewer in viewers))
