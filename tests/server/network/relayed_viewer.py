"""A viewer with aiortc that connects as the page does; argument: the server's address.

Prints one line of JSON: the candidates in use, and the view of a received frame.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from typing import Any

import httpx2
from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCSessionDescription

from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback

_SERVER = re.compile(r'<([^>]+)>; rel="ice-server"(?:; username="([^"]*)"; credential="([^"]*)")?')
_SOON_S = 15.0
_EYE = {"rotation": [0, 0, 0, 1], "position": [0.1, 0, 0.7]}


async def watch(address: str) -> dict[str, Any]:
    async with httpx2.AsyncClient(base_url=address, timeout=10) as http:
        whep = "/v1/streams/demo/whep"
        links = (await http.options(whep)).headers.get_list("link")
        found = [match.groups() for link in links if (match := _SERVER.match(link))]
        servers = [RTCIceServer(*facts) for facts in found]
        enable_loopback_fallback()
        connection = RTCPeerConnection(RTCConfiguration(iceServers=servers))
        try:
            return await _watch(connection, http, whep) | {"servers": found}
        finally:
            await connection.close()


async def _watch(
    connection: RTCPeerConnection, http: httpx2.AsyncClient, whep: str
) -> dict[str, Any]:
    receiver = connection.addTransceiver("video", direction="recvonly").receiver
    view = connection.createDataChannel("view", ordered=False, maxRetransmits=0)
    shown: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def hear(text: str) -> None:
        event = json.loads(text)
        if event.get("view_seq") is not None and not shown.done():
            shown.set_result(event["view_seq"])

    connection.createDataChannel("events").on("message", hear)
    message = json.dumps({"type": "view", "seq": 1, "sent_at_ms": 1.0, "eye": _EYE})
    view.on("open", lambda: view.send(message))
    await connection.setLocalDescription(await connection.createOffer())
    answer = await http.post(
        whep,
        content=connection.localDescription.sdp,
        headers={"Content-Type": "application/sdp"},
    )
    answer.raise_for_status()
    await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    try:
        async with asyncio.timeout(_SOON_S):
            await receiver.track.recv()
            view_seq = await shown
    except TimeoutError:
        return {"connected": False}
    pair = next(iter(receiver.transport.transport._connection._nominated.values()))
    await http.delete(answer.headers["location"])
    return {
        "connected": True,
        "local": pair.local_candidate.type,
        "remote": pair.remote_candidate.type,
        "view_seq": view_seq,
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(watch(sys.argv[1]))))
