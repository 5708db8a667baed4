"""A viewer with aiortc that sends views as fast as possible; argument: the server's address.

Prints a line when its data channel is open and the flood starts; runs until it is ended.
"""

from __future__ import annotations

import asyncio
import json
import sys
from itertools import count

from aiortc import RTCConfiguration, RTCPeerConnection

from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from tests.server.network.whep_offer import connect

_AT_ONCE = 50
"""Messages per iteration of its event loop, which must also read acknowledgements."""
_NO_LIMIT = 1 << 30
"""Congestion window, bytes: a flooder does not slow down when packets are lost."""


async def flood(address: str) -> None:
    """Connect, and send until the process is ended."""
    enable_loopback_fallback()
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("video", direction="recvonly")
    views = connection.createDataChannel("view", ordered=False, maxRetransmits=0)
    opened = asyncio.Event()
    views.on("open", opened.set)
    await connect(connection, address)
    await opened.wait()
    sys.stdout.write("flooding\n")
    sys.stdout.flush()
    for number in count(1):
        eye = {"position": [number % 60 / 300 - 0.1, 0, 0.7]}
        views.send(json.dumps({"type": "view", "seq": number, "eye": eye}))
        if number % _AT_ONCE == 0:
            assert connection.sctp is not None
            connection.sctp._cwnd = _NO_LIMIT
            await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(flood(sys.argv[1]))
