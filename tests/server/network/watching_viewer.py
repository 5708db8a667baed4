"""A viewer with aiortc that moves and decodes; argument: the server's address.

Prints the time of decoding of every frame, by `time.monotonic()`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from contextlib import suppress

from aiortc import (
    RTCConfiguration,
    RTCDataChannel,
    RTCPeerConnection,
)
from aiortc.mediastreams import MediaStreamError

from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from tests.server.network.whep_offer import connect

_VIEW_S = 1 / 30


async def watch(address: str) -> None:
    """Watch until the server ends the session or the process is ended."""
    enable_loopback_fallback()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    receiver = connection.addTransceiver("video", direction="recvonly").receiver
    views = connection.createDataChannel("view", ordered=False, maxRetransmits=0)
    await connect(connection, address)
    looking = asyncio.create_task(_move(views))
    with suppress(MediaStreamError):
        while True:
            await receiver.track.recv()
            sys.stdout.write(f"{time.monotonic()}\n")
            sys.stdout.flush()
    looking.cancel()


async def _move(views: RTCDataChannel) -> None:
    seq = 0
    while True:
        await asyncio.sleep(_VIEW_S)
        if views.readyState == "open":
            seq += 1
            eye = {"rotation": [0, 0, 0, 1], "position": [seq % 60 / 300 - 0.1, 0, 0.7]}
            views.send(json.dumps({"type": "view", "seq": seq, "sent_at_ms": 1.0, "eye": eye}))


if __name__ == "__main__":
    asyncio.run(watch(sys.argv[1]))
