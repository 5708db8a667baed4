"""Watch a stream by WHEP from Python: count the received frames and save the last one.

    .venv/bin/python scripts/examples/watch_whep.py --stream demo --frames 90 --save last.png

Needs aiortc and httpx2. A server that asks for a token gets the one in TELEWARP_TOKEN (scope
`view`).
"""

import argparse
import asyncio
import os
import time

import httpx2
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av import VideoFrame


async def watch(url: str, stream: str, count: int, file: str | None) -> None:
    token = os.environ.get("TELEWARP_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    # No STUN servers: enough for a server that has a public address or is in the same network.
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("video", direction="recvonly").receiver
    await connection.setLocalDescription(await connection.createOffer())
    # A router answers 307 and names the host in Location.
    async with httpx2.AsyncClient(headers=headers, timeout=30, follow_redirects=True) as client:
        answer = await client.post(
            f"{url}/v1/streams/{stream}/whep",
            content=connection.localDescription.sdp,
            headers={"Content-Type": "application/sdp"},
        )
        answer.raise_for_status()
        session = answer.url.join(answer.headers["Location"])
        try:
            await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
            video = receiver.track  # exists from here on
            frame, started = await video.recv(), time.monotonic()
            for _ in range(count - 1):
                frame = await video.recv()
            seconds = time.monotonic() - started
            assert isinstance(frame, VideoFrame)
            print(f"{count} frames of {frame.width}x{frame.height} in {seconds:.1f} s")
            if file is not None:
                # PyAV leaves `to_image` untyped.
                frame.to_image().save(file)  # type: ignore[no-untyped-call]  # PyAV has no types for it
        finally:
            await client.delete(session)
            await connection.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Watch a stream and count its frames.")
    parser.add_argument("--url", default="http://127.0.0.1:8000")
    parser.add_argument("--stream", default="demo")
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--save", help="image file for the last frame")
    options = parser.parse_args()
    asyncio.run(watch(options.url, options.stream, options.frames, options.save))
