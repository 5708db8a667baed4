"""Connects a viewer with aiortc: what programs that stand in for viewers share."""

from __future__ import annotations

import httpx2
from aiortc import RTCPeerConnection, RTCSessionDescription


async def connect(connection: RTCPeerConnection, address: str) -> None:
    """Watch stream `demo` of a server by a connection with all its transceivers and channels."""
    async with httpx2.AsyncClient(base_url=address, timeout=20) as http:
        await connection.setLocalDescription(await connection.createOffer())
        answer = await http.post(
            "/v1/streams/demo/whep",
            content=connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
    answer.raise_for_status()
    await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
