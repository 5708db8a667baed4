"""Knows all hosts and streams, and picks the host for each viewer. Pure bookkeeping: no network.

All it knows comes with the hosts' own words, once a second; a registry that starts anew knows
everything again after that long. A host that is silent for a lease's time counts as lost, and what
it held is given to another.

A stream lives on one host, its home, for its frames must reach whoever draws them; its viewers go
there too. The demo is on every host, so its viewers go wherever there is room.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from server.errors import NotReadyError, PoolBusyError, StreamNotFoundError
from server.protocol.host_load import HeldStream, HostLoad

LEASE_S = 3.0
"""A host says something every second."""
RESERVED_S = 5.0
"""Until when a host must have told of a stream whose publisher was sent there."""
ORPHANED_S = 60.0
"""So long a lost host's streams are kept while there is no other host."""
ARRIVE_S = 5.0
"""A viewer who was sent to a host and has not asked there by then went elsewhere."""
EVERYWHERE = frozenset({"demo"})


@dataclass(eq=False)
class _Host:
    address: str
    load: HostLoad
    until: float
    sent: deque[float] = field(default_factory=deque)
    """When viewers were sent there who have not asked there yet."""

    @property
    def open(self) -> bool:
        return self.load.ready and not self.load.draining

    @property
    def viewers(self) -> int:
        return self.load.sessions + len(self.sent)

    @property
    def full(self) -> bool:
        return self.viewers >= self.load.capacity

    def hear(self, load: HostLoad, now: float) -> None:
        arrived = max(0, load.asked - self.load.asked)
        for _ in range(min(arrived, len(self.sent))):
            self.sent.popleft()
        while self.sent and self.sent[0] < now - ARRIVE_S:
            self.sent.popleft()
        self.load = load


@dataclass(eq=False)
class _Home:
    """Where a stream is, or is going to be."""

    host: str | None
    """None while its host is lost and there is no other."""
    avatar: str | None = None
    """Unknown as long as its publisher only was sent there."""
    seen: bool = False
    """Whether the host has told of it."""
    until: float = 0.0
    """Given up then, unless it is seen."""


@dataclass(frozen=True)
class HostStatus:
    """One host, as seen now."""

    address: str
    ready: bool
    draining: bool
    sessions: int
    capacity: int
    streams: int


class Registry:
    """All hosts, by their public address.

    Args:
        clock: Seconds, never going back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hosts: dict[str, _Host] = {}
        self._homes: dict[str, _Home] = {}

    def renew(self, address: str, load: HostLoad) -> tuple[HeldStream, ...]:
        """Hear a host, and count on it for another `LEASE_S`.

        Returns:
            Streams that it is to make: their host was lost.
        """
        now = self._clock()
        host = self._hosts.get(address)
        if host is not None and host.load.run != load.run:
            host.until = float("-inf")  # started anew: what it held is gone
            self._forget_lost(now)
            host = None
        if host is None:
            host = self._hosts[address] = _Host(address, load, now)
        host.hear(load, now)
        host.until = now + LEASE_S
        self._note_streams(address, load.streams)
        self._forget_lost(now)
        return tuple(
            HeldStream(id=stream_id, avatar=home.avatar)
            for stream_id, home in self._homes.items()
            if home.host == address and not home.seen and home.avatar is not None
        )

    def place_viewer(self, stream_id: str) -> str:
        """The host for one more viewer of a stream.

        Raises:
            StreamNotFoundError: If no host has it.
            NotReadyError: If its host takes nobody at present.
            PoolBusyError: If there is no room.
        """
        holders = self._holders(stream_id)
        takers = [host for host in holders if host.open]
        if not takers:
            raise NotReadyError(f"no host shows stream {stream_id!r} at present; try again")
        host = _emptiest(takers)
        if host.full:
            raise PoolBusyError(f"every host that shows stream {stream_id!r} is full")
        host.sent.append(self._clock())
        return host.address

    def find_stream(self, stream_id: str) -> str:
        """The host where a stream is.

        Raises:
            StreamNotFoundError: If no host has it.
            NotReadyError: If its host was lost and no other has it yet.
        """
        return _emptiest(self._holders(stream_id)).address

    def place_stream(self, stream_id: str | None = None) -> str:
        """The host for a new stream; for one that exists, the host that will say so.

        Raises:
            NotReadyError: If there is no host.
        """
        self._forget_lost(self._clock())
        home = self._homes.get(stream_id) if stream_id is not None else None
        if home is not None and home.host is not None:
            return home.host
        address = self._emptiest_of_all().address
        if stream_id is not None and home is None and stream_id not in EVERYWHERE:
            self._homes[stream_id] = _Home(address, until=self._clock() + RESERVED_S)
        return address

    def hosts(self) -> tuple[HostStatus, ...]:
        """All hosts that are not lost, by address."""
        self._forget_lost(self._clock())
        return tuple(
            HostStatus(
                address,
                host.load.ready,
                host.load.draining,
                host.load.sessions,
                host.load.capacity,
                len(host.load.streams),
            )
            for address, host in sorted(self._hosts.items())
        )

    def streams(self) -> tuple[HeldStream, ...]:
        """All streams, each once."""
        self._forget_lost(self._clock())
        held = (stream for host in self._hosts.values() for stream in host.load.streams)
        return tuple({stream.id: stream for stream in held}.values())

    def _holders(self, stream_id: str) -> list[_Host]:
        self._forget_lost(self._clock())
        if stream_id in EVERYWHERE:
            found = [h for h in self._hosts.values() if stream_id in _ids(h.load.streams)]
        else:
            home = self._homes.get(stream_id)
            if home is None:
                raise StreamNotFoundError(f"no stream {stream_id!r}")
            found = [self._hosts[home.host]] if home.host is not None else []
            if home.avatar is not None and not home.seen:
                found = []  # it is being made there
        if not found:
            raise NotReadyError(f"stream {stream_id!r} has no host yet; try again")
        return found

    def _note_streams(self, address: str, held: Iterable[HeldStream]) -> None:
        told = {stream.id: stream for stream in held if stream.id not in EVERYWHERE}
        for stream in told.values():
            home = self._homes.setdefault(stream.id, _Home(address))
            if home.host == address or not home.seen:
                # Also if another was to have it: its old host is back before that one got it.
                home.host, home.avatar, home.seen = address, stream.avatar, True
        gone = [i for i, h in self._homes.items() if h.host == address and h.seen and i not in told]
        for stream_id in gone:
            del self._homes[stream_id]

    def _forget_lost(self, now: float) -> None:
        lost = [address for address, host in self._hosts.items() if host.until < now]
        for address in lost:
            del self._hosts[address]
        for stream_id, home in list(self._homes.items()):
            if home.avatar is not None and home.host in lost:
                home.host, home.seen, home.until = None, False, now + ORPHANED_S
            if not home.seen and home.until < now:
                del self._homes[stream_id]
            elif home.host is None and self._takers():
                home.host = self._emptiest_of_all().address

    def _takers(self) -> list[_Host]:
        return [host for host in self._hosts.values() if host.open]

    def _emptiest_of_all(self) -> _Host:
        takers = self._takers()
        if not takers:
            raise NotReadyError("no host is ready; try again")
        return min(takers, key=lambda host: (self._homes_on(host.address), *_fullness(host)))

    def _homes_on(self, address: str) -> int:
        return sum(home.host == address for home in self._homes.values())


def _ids(streams: Iterable[HeldStream]) -> set[str]:
    return {stream.id for stream in streams}


def _emptiest(hosts: Iterable[_Host]) -> _Host:
    return min(hosts, key=_fullness)


def _fullness(host: _Host) -> tuple[float, str]:
    return host.viewers / max(1, host.load.capacity), host.address
