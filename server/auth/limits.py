"""Limits per client: request rate, and simultaneous requests and WebSockets."""

from __future__ import annotations

import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from server.errors import TooManyRequestsError
from server.network.addresses import client_address
from server.protocol.message_rate import TokenBucket

BURST_S = 2.0
"""Size of the burst that an idle client may send, in seconds of the average rate."""
MOST_CLIENTS = 10_000
"""Clients stored at a time, about 200 bytes each; the least recent one is dropped."""


class Limits:
    """Limits of all clients, each identified by a key.

    Args:
        requests_per_s: Average number of requests per second.
        connections: Requests and sockets of one client that are open at a time.
        clock: Monotonic time, seconds.
    """

    def __init__(
        self,
        requests_per_s: float,
        connections: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate = requests_per_s
        self._burst = max(1.0, requests_per_s * BURST_S)
        self._connections = connections
        self._clock = clock
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        """Remaining requests of each client, the least recent client first."""
        self._open: Counter[str] = Counter()  # only those that have something open

    @property
    def clients(self) -> int:
        """Number of clients that are remembered."""
        return len(self._buckets)

    @contextmanager
    def request(self, client: str) -> Iterator[None]:
        """Count a request for as long as it is open.

        Raises:
            TooManyRequestsError: If the client exceeds a limit.
        """
        self._take(client)
        if self._open[client] >= self._connections:
            raise TooManyRequestsError(
                f"expected at most {self._connections} requests and sockets open at a time", 1
            )
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def _take(self, client: str) -> None:
        now = self._clock()
        bucket = self._buckets.setdefault(client, TokenBucket(self._rate, self._burst, now))
        self._buckets.move_to_end(client)
        if len(self._buckets) > MOST_CLIENTS:
            self._buckets.popitem(last=False)
        if not bucket.take(now):
            raise TooManyRequestsError(
                f"expected at most {self._rate:g} requests a second, got more",
                math.ceil(bucket.wait_s(now)),
            )


def client_key(address: str, holder: str | None) -> str:
    """Return the key of a client: its address, and its token if that is valid.

    Both, because many clients may share one address (a proxy, an office) or one token (a shared
    link). For IPv6 the /64 network counts, because its owner has all addresses in it.
    """
    return f"{client_address(address)} {holder or ''}"
