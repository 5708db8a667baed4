"""Keep datagrams from waiting: an overloaded server handles the newest ones, not those before.

Datagrams queue twice, in arrival order: in the kernel, from which asyncio takes one at each turn of
the event loop, and in aioice until aiortc takes them. A publisher sends some 60 per second. Where
the loop turns more slowly, the kernel's buffer holds five seconds of them for good, and refuses the
newest: faces and voices come that much late. So several are taken from the kernel at each turn,
and what has waited too long in aioice is dropped. To SCTP and RTP it was lost.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Iterator

from server.network.dropped_datagrams import count_dropped

LONGEST_WAIT_S = 0.25
"""By then the next face has come, and the listener's browser has concealed the voice packet."""
MOST_AT_ONCE = 4
"""Datagrams of one port per turn of the event loop, beside asyncio's one. A flood must not keep the
others waiting; of 16 at once, so many met the limit of the rate that its connection ended."""
_DTLS_DATA = 23
"""Content type of application data (RFC 9147, section 4.1). Handshakes and alerts are kept."""
_RTP = range(128, 192)
"""First bytes of RTP and RTCP (RFC 7983)."""

Datagram = tuple[bytes, int]
"""Payload and component; None ends the queue of a connection."""


class FreshQueue(asyncio.Queue[Datagram | None]):
    """A queue that leaves out what has waited too long, but never the newest item.

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
    """The datagrams that wait in the kernel for one UDP port.

    Args:
        transport: Of the port.
        largest: Bytes that are read of a datagram.
    """

    def __init__(self, transport: asyncio.BaseTransport, largest: int) -> None:
        # A socket object of our own: that of the transport cannot be read from.
        self._socket: socket.socket = transport.get_extra_info("socket").dup()
        self._largest = largest

    def __iter__(self) -> Iterator[tuple[bytes, tuple[str, int]]]:
        """Take those that have come, with their senders, up to `MOST_AT_ONCE`."""
        for _ in range(MOST_AT_ONCE):
            try:
                yield self._socket.recvfrom(self._largest)
            except OSError:  # none is left; the transport meets any other error itself
                return

    def close(self) -> None:
        """Take no more."""
        self._socket.close()
