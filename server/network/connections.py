"""Limits of open TCP connections, in total and per address, applied before a request is read.

A connection above a limit replaces the oldest one that has not sent a request. Silent connections
can therefore not block others, because they only replace each other.
"""

from __future__ import annotations

import logging
import resource
import time
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from server.network.addresses import client_address

logger = logging.getLogger(__name__)

LOG_INTERVAL_S = 30.0
_WANTED_DESCRIPTORS = 65_536
"""More is not useful for one process; some systems have no limit."""


class IdleConnection(Protocol):
    """A connection without a request."""

    def abort(self) -> None:
        """Close it at once."""


class Connections:
    """Counts the open connections of a server.

    Args:
        most: Maximum in total.
        per_address: Maximum of one address; of IPv6, of one /64 network.
        is_proxy: Whether an address is a trusted proxy, which has the connections of many clients.
        clock: Monotonic time, seconds.
    """

    def __init__(
        self,
        most: int,
        per_address: int,
        is_proxy: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.refused = 0
        """Connections that were closed when they were accepted."""
        self.replaced = 0
        """Idle connections that were closed in favour of a newer one."""
        self._most = most
        self._per_address = min(per_address, most)
        self._is_proxy = is_proxy
        self._clock = clock
        self._open: Counter[str] = Counter()
        self._idle: dict[IdleConnection, str] = {}
        """The networks of connections without a request, oldest first."""
        self._logged_at = float("-inf")
        self._unlogged = 0

    @property
    def open(self) -> int:
        """Number of open connections."""
        return self._open.total()

    def admit(self, address: str) -> bool:
        """Count a new connection; call `ended` for it later.

        Returns:
            Whether it is accepted; a refused one is not counted.
        """
        network = client_address(address)
        if self._open[network] >= self._per_address and not self._is_proxy(address):
            admitted = self._replace_idle(network)
        else:
            admitted = self.open < self._most or self._replace_idle(None)
        if admitted:
            self._open[network] += 1
        else:
            self.refuse()
        return admitted

    def ended(self, address: str) -> None:
        """Stop counting a connection."""
        network = client_address(address)
        self._open[network] -= 1
        if not self._open[network]:
            del self._open[network]

    def begin_idle(self, connection: IdleConnection, address: str) -> None:
        """Record that a connection waits for a request, and may be replaced."""
        self._idle.setdefault(connection, client_address(address))

    def end_idle(self, connection: IdleConnection) -> None:
        """Record that a connection has a request, or has ended."""
        self._idle.pop(connection, None)

    def refuse(self) -> None:
        """Count a refused connection; log at most one line per `LOG_INTERVAL_S`."""
        self.refused += 1
        self._unlogged += 1
        now = self._clock()
        if now - self._logged_at >= LOG_INTERVAL_S:
            self._logged_at = now
            logger.warning(
                "%d new connections refused: %d are open, at most %d may be, %d of one address",
                *(self._unlogged, self.open, self._most, self._per_address),
            )
            self._unlogged = 0

    def _replace_idle(self, network: str | None) -> bool:
        """Close the oldest idle connection, of a network if one is given."""
        found = (idle for idle, of in self._idle.items() if network is None or of == network)
        oldest = next(found, None)
        if oldest is None:
            return False
        self.end_idle(oldest)
        self.replaced += 1
        oldest.abort()
        return True


def raise_descriptor_limit() -> int:
    """Raise the soft limit of open files to the hard one.

    Returns:
        The limit.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    unlimited = hard == resource.RLIM_INFINITY
    wanted = _WANTED_DESCRIPTORS if unlimited else min(hard, _WANTED_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        return wanted
    return wanted if soft == resource.RLIM_INFINITY else soft


def most_connections(descriptors: int) -> int:
    """Return the number of connections that leaves descriptors for video, workers and files."""
    return max(16, descriptors - max(64, descriptors // 4))


def limit_connections(
    per_address: int, is_proxy: Callable[[str], bool] = lambda _: False
) -> Connections:
    """Return the limits of this process, whose limit of descriptors is raised.

    Args:
        per_address: Maximum of one address.
        is_proxy: Whether an address is a trusted proxy, which has the connections of many clients.
    """
    return Connections(most_connections(raise_descriptor_limit()), per_address, is_proxy)
