"""A viewer and a server whose inbound packets are limited, connected in one process."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from aioice import Connection
from aiortc import RTCConfiguration, RTCDataChannel, RTCPeerConnection, RTCSctpTransport

from server.transport.webrtc.aiortc_internals.inbound_limits import (
    VIEWER_DATAGRAMS_PER_S,
    ice_connections,
    limit_inbound,
)
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback

SOON_S = 10.0


class Pair:
    """Connections of a viewer and of a server with limits."""

    def __init__(self) -> None:
        enable_loopback_fallback()
        self.viewer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.server = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.channels: list[RTCDataChannel] = []
        self.messages: list[str] = []
        self.server.on("datachannel", self._take)

    async def connect(self) -> RTCDataChannel:
        channel = self.viewer.createDataChannel("view")
        await self.viewer.setLocalDescription(await self.viewer.createOffer())
        await self.server.setRemoteDescription(self.viewer.localDescription)
        limit_inbound(self.server, VIEWER_DATAGRAMS_PER_S)
        await self.server.setLocalDescription(await self.server.createAnswer())
        await self.viewer.setRemoteDescription(self.server.localDescription)
        await self.until(lambda: bool(self.channels) and channel.readyState == "open")
        return channel

    async def until(self, condition: Any) -> None:
        deadline = time.monotonic() + SOON_S
        while not condition():
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)

    def _take(self, channel: RTCDataChannel) -> None:
        self.channels.append(channel)
        channel.on("message", self.messages.append)

    @property
    def sctp(self) -> RTCSctpTransport:
        assert self.server.sctp is not None
        return self.server.sctp

    @property
    def ice(self) -> Connection:
        (found,) = ice_connections(self.server)
        return found
