"""Watch a stream by WHEP: count the received frames and save the last one.

.venv/bin/python scripts/examples/watch_whep.py --stream demo --frames 90 --save last.png
"""

import asyncio
import os
import time

import httpx2
import tyro
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame

URL = "http://127.0.0.1:8000"
HEADERS = {"Content-Type": "application/sdp"}
if "TELEWARP_TOKEN" in os.environ:  # with scope `view`, for a server that asks for a token
    HEADERS["Authorization"] = f"Bearer {os.environ['TELEWARP_TOKEN']}"


async def watch(url: str = URL, stream: str = "demo", frames: int = 90, save: str = "") -> None:
    # No STUN servers: enough for a server that has a public address or is in the same network.
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("video", direction="recvonly").receiver
    await connection.setLocalDescription(await connection.createOffer())
    # A router answers 307 and names the host in Location.
    async with httpx2.AsyncClient(headers=HEADERS, timeout=30, follow_redirects=True) as client:
        offer = connection.localDescription.sdp
        answer = await client.post(f"{url}/v1/streams/{stream}/whep", content=offer)
        session = answer.raise_for_status().url.join(answer.headers["Location"])
        try:
            await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            frame, started = await receiver.track.recv(), time.monotonic()
            for _ in range(frames - 1):
                frame = await receiver.track.recv()
            assert isinstance(frame, VideoFrame)
            seconds = time.monotonic() - started
            print(f"{frames} frames of {frame.width}x{frame.height} in {seconds:.1f} s")
            if save:
                frame.to_image().save(save)  # type: ignore[no-untyped-call]  # PyAV has no types for it
        finally:
            await client.delete(session)
            await connection.close()


if __name__ == "__main__":
    asyncio.run(tyro.cli(watch))
