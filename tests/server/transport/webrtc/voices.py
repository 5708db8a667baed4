"""A publisher of voice and a listening viewer, both with aiortc."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx2
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.rtp import RtcpSdesPacket, RtcpSrPacket, RtpPacket

from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from server.transport.webrtc.aiortc_internals.voice_receiver import take_packets
from server.transport.webrtc.aiortc_internals.voice_sender import OutgoingPacket, send_packets

SDP = {"Content-Type": "application/sdp"}
SOON_S = 10.0


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SOON_S
    while not condition():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.01)


class Speaker:
    """A WHIP client that sends given packets."""

    def __init__(self, http: httpx2.AsyncClient, headers: dict[str, str] | None = None) -> None:
        enable_loopback_fallback()
        self.http = http
        self.headers = headers or {}
        self.address = ""
        self.answers: list[dict[str, Any]] = []
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._outgoing: asyncio.Queue[OutgoingPacket] = asyncio.Queue()
        self.sender = self.connection.addTransceiver("audio", direction="sendonly").sender
        send_packets(self.sender, self._outgoing.get)
        self.mesh = self.connection.createDataChannel("mesh", ordered=False, maxRetransmits=0)
        self.mesh.on("message", lambda text: self.answers.append(json.loads(text)))

    async def offer(self, stream: str) -> httpx2.Response:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp, headers = self.connection.localDescription.sdp, SDP | self.headers
        response = await self.http.post(f"/v1/streams/{stream}/whip", content=sdp, headers=headers)
        self.address = response.headers.get("location", "")
        return response

    async def join(self, stream: str) -> httpx2.Response:
        response = await self.offer(stream)
        if response.status_code == 201:
            description = RTCSessionDescription(response.text, "answer")
            await self.connection.setRemoteDescription(description)
        return response

    async def speak(self, stream: str) -> None:
        response = await self.join(stream)
        assert response.status_code == 201, response.text
        await until(lambda: self.mesh.readyState == "open", "the publisher has not connected")

    def say(self, payload: bytes, number: int, timestamp: int, marker: bool = False) -> None:
        outgoing = OutgoingPacket(payload, number & 0xFFFF, timestamp & 0xFFFFFFFF, marker)
        self._outgoing.put_nowait(outgoing)

    async def leave(self) -> None:
        await self.connection.close()


class Listener:
    """A WHEP client that stores voice packets and the sender reports of both tracks."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        enable_loopback_fallback()
        self.http = http
        self.heard: list[RtpPacket] = []
        self.seen: list[RtpPacket] = []
        self.arrivals: defaultdict[int, list[tuple[int, float]]] = defaultdict(list)
        """By SSRC: RTP timestamp and arrival, seconds of the loop's clock, of each packet."""
        self.reports: list[RtcpSrPacket] = []
        self.names: dict[int, str] = {}
        self.answer = ""
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        audio = self.connection.addTransceiver("audio", direction="recvonly").receiver
        video = self.connection.addTransceiver("video", direction="recvonly").receiver
        take_packets(audio, partial(self._keep, self.heard), lambda: None)
        take_packets(video, partial(self._keep, self.seen), lambda: None)

    async def watch(self, stream: str) -> None:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        sdp = self.connection.localDescription.sdp
        response = await self.http.post(f"/v1/streams/{stream}/whep", content=sdp, headers=SDP)
        assert response.status_code == 201, response.text
        self.answer = response.text
        description = RTCSessionDescription(response.text, "answer")
        await self.connection.setRemoteDescription(description)
        self._keep_reports()
        await until(lambda: bool(self.seen), "no video")

    async def leave(self) -> None:
        await self.connection.close()

    def _keep(self, packets: list[RtpPacket], packet: RtpPacket) -> None:
        packets.append(packet)
        arrived_at = asyncio.get_running_loop().time()
        self.arrivals[packet.ssrc].append((packet.timestamp, arrived_at))

    def _keep_reports(self) -> None:
        router = self.connection.getTransceivers()[0].receiver.transport._rtp_router
        route = router.route_rtcp

        def keep(packet: Any) -> Any:
            if isinstance(packet, RtcpSrPacket):
                self.reports.append(packet)
            elif isinstance(packet, RtcpSdesPacket):
                for chunk in packet.chunks:
                    self.names[chunk.ssrc] = str(chunk.items)
            return route(packet)

        router.route_rtcp = keep  # type: ignore[method-assign]  # counts reports
