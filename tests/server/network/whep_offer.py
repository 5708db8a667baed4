"""Connects a viewer with aiortc; shared by the programs that act as viewers."""

from __future__ import annotations

import httpx2
from aiortc import RTCPeerConnection, RTCSessionDescription


async def connect(connection: RTCPeerConnection, address: str) -> None:
    """Connect to stream `demo` of a server; transceivers and channels must have been added."""
    async with httpx2.AsyncClient(base_url=address, timeout=20) as http:
        await connection.setLocalDescription(await connection.createOffer())
        answer = await http.post(
            "/v1/streams/demo/whep",
            content=connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
    answer.raise_for_status()
    await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
