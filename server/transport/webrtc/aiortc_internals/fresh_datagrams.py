"""Drop stale datagrams: an overloaded server handles the newest ones.

Datagrams queue twice, in arrival order: in the kernel, from which asyncio reads one per iteration
of the event loop, and in aioice until aiortc reads them. A publisher sends some 60 per second.
If the loop is slower, the kernel's buffer permanently holds five seconds of them and refuses the
newest: faces and voices arrive late by that time. So several are read from the kernel per
iteration, and those that have waited too long in aioice are dropped. SCTP and RTP treat them as
lost.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator

from server.network.dropped_datagrams import count_dropped

LONGEST_WAIT_S = 0.25
"""Longest wait, seconds: by then the next face has arrived, and the listener's browser has
concealed the voice packet."""
MOST_AT_ONCE = 4
"""Datagrams of one port per iteration of the event loop, beside asyncio's one. A flood must not
delay the others; with 16 at once, so many exceeded the rate limit that the connection ended."""
_DTLS_DATA = 23
"""Content type of application data (RFC 9147, section 4.1). Handshakes and alerts are kept."""
_RTP = range(128, 192)
"""First bytes of RTP and RTCP (RFC 7983)."""

Datagram = tuple[bytes, int]
"""Payload and component; None ends the queue of a connection."""


class FreshQueue(asyncio.Queue[Datagram | None]):
    """A queue that drops items that have waited too long, but never the newest one.

    Args:
        clock: Seconds.
    """

    _queue: deque[tuple[float, Datagram | None]]

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock

    def _put(self, item: Datagram | None) -> None:
        self._queue.append((self._clock(), item))

    def _get(self) -> Datagram | None:
        late = self._clock() - LONGEST_WAIT_S
        while True:
            arrived_at, item = self._queue.popleft()
            if not self._queue or arrived_at >= late or not _may_be_lost(item):
                return item
            count_dropped("late")


def _may_be_lost(item: Datagram | None) -> bool:
    if item is None or not item[0]:
        return False
    return item[0][0] == _DTLS_DATA or item[0][0] in _RTP


class WaitingDatagrams:
    """Datagrams of one UDP port in the kernel's buffer.

    Args:
        transport: Transport of the port.
        largest: Maximum size of a datagram, bytes.
    """

    def __init__(self, transport: asyncio.BaseTransport, largest: int) -> None:
        # A separate socket object, because that of the transport cannot be read.
        self._socket: socket.socket = transport.get_extra_info("socket").dup()
        self._largest = largest

    def __iter__(self) -> Iterator[tuple[bytes, tuple[str, int]]]:
        """Yield the waiting datagrams and their senders, up to `MOST_AT_ONCE`."""
        for _ in range(MOST_AT_ONCE):
            try:
                yield self._socket.recvfrom(self._largest)
            except OSError:  # none is left; the transport gets any other error itself
                return

    def close(self) -> None:
        """Stop reading."""
        self._socket.close()
