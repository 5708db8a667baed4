"""Registry of all hosts and streams, which picks the host for each viewer. Uses no network.

Every host reports its load once a second, so a restarted registry is complete again after a second.
A host whose lease runs out counts as lost, and its streams move to another host.

A stream lives on one host, its home, because its frames must reach the process that renders them;
its viewers are sent there too. The demo is on every host, so its viewers are sent to the least
loaded one.

A call and its streams are on one host as well. When that host is lost, the call is lost too: its
participants reconnect through the router, together on another host, where they get new streams.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from server.cluster.call_hosts import CallHosts
from server.errors import NotReadyError, PoolBusyError, StreamNotFoundError
from server.protocol.host_load import HeldStream, HostLoad, call_of

LEASE_S = 3.0
"""Seconds until a host without a report counts as lost; hosts report every second."""
RESERVED_S = 5.0
"""Seconds within which a host must report a stream whose publisher was sent there, or a call."""
ORPHANED_S = 60.0
"""Seconds for which the streams of a lost host are kept while there is no other host."""
ARRIVE_S = 5.0
"""Seconds after which a redirected viewer that has not arrived no longer counts."""
ON_EVERY_HOST = frozenset({"demo"})


@dataclass(eq=False)
class _Host:
    address: str
    load: HostLoad
    until: float
    sent: deque[float] = field(default_factory=deque)
    """Times of redirects of viewers that have not arrived yet."""

    @property
    def open(self) -> bool:
        return self.load.ready and not self.load.draining

    @property
    def viewers(self) -> int:
        return self.load.sessions + len(self.sent)

    @property
    def full(self) -> bool:
        return self.viewers >= self.load.capacity

    def update(self, load: HostLoad, now: float) -> None:
        arrived = max(0, load.asked - self.load.asked)
        for _ in range(min(arrived, len(self.sent))):
            self.sent.popleft()
        while self.sent and self.sent[0] < now - ARRIVE_S:
            self.sent.popleft()
        self.load = load


@dataclass(eq=False)
class _Home:
    """The host of a stream, or the one that was chosen for it."""

    host: str | None
    """None while its host is lost and no other is open."""
    avatar: str | None = None
    """None until the host has reported the stream."""
    seen: bool = False
    """Whether the host has reported it."""
    until: float = 0.0
    """Time at which it is removed, unless it is seen."""


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
        clock: Monotonic time, seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._hosts: dict[str, _Host] = {}
        self._homes: dict[str, _Home] = {}
        self._calls = CallHosts()

    def renew(self, address: str, load: HostLoad) -> tuple[HeldStream, ...]:
        """Store the load of a host and renew its lease for `LEASE_S`.

        Returns:
            Streams that it must create, because their host was lost.
        """
        now = self._clock()
        host = self._hosts.get(address)
        if host is not None and host.load.run != load.run:
            host.until = float("-inf")  # the host has restarted and lost its streams
            self._remove_lost(now)
            host = None
        if host is None:
            host = self._hosts[address] = _Host(address, load, now)
        host.update(load, now)
        host.until = now + LEASE_S
        self._note_streams(address, load.streams)
        self._remove_lost(now)
        return tuple(
            HeldStream(id=stream_id, avatar=home.avatar)
            for stream_id, home in self._homes.items()
            if home.host == address and not home.seen and home.avatar is not None
        )

    def place_viewer(self, stream_id: str) -> str:
        """Return the address of the host for one more viewer of a stream.

        Raises:
            StreamNotFoundError: If no host has it.
            NotReadyError: If no host accepts viewers of it at present.
            PoolBusyError: If there is no room.
        """
        holders = self._holders(stream_id)
        open_hosts = [host for host in holders if host.open]
        if not open_hosts:
            raise NotReadyError(f"no host shows stream {stream_id!r} at present; try again")
        host = _emptiest(open_hosts)
        if host.full:
            raise PoolBusyError(f"every host that shows stream {stream_id!r} is full")
        host.sent.append(self._clock())
        return host.address

    def find_stream(self, stream_id: str) -> str:
        """Return the address of the host where a stream is.

        Raises:
            StreamNotFoundError: If no host has it.
            NotReadyError: If its host was lost and no other has it yet.
        """
        return _emptiest(self._holders(stream_id)).address

    def place_stream(self, stream_id: str | None = None) -> str:
        """Return the address of the host for a new stream, or of the one that already has it.

        Raises:
            NotReadyError: If there is no host.
        """
        self._remove_lost(self._clock())
        home = self._homes.get(stream_id) if stream_id is not None else None
        if home is not None and home.host is not None:
            return home.host
        address = self._emptiest_of_all().address
        if stream_id is not None and home is None and stream_id not in ON_EVERY_HOST:
            self._homes[stream_id] = _Home(address, until=self._clock() + RESERVED_S)
        return address

    def place_call(self, call: str) -> str:
        """Return the address of the host where a call is, or is to begin.

        Raises:
            NotReadyError: If there is no host.
        """
        now = self._clock()
        self._remove_lost(now)
        address = self._calls.find(call, self._loads()) or self._emptiest_for_call().address
        self._calls.reserve(call, address, now + RESERVED_S)
        return address

    def hosts(self) -> tuple[HostStatus, ...]:
        """Return all hosts that are not lost, by address."""
        self._remove_lost(self._clock())
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
        """Return all streams, each once."""
        self._remove_lost(self._clock())
        held = (stream for host in self._hosts.values() for stream in host.load.streams)
        return tuple({stream.id: stream for stream in held}.values())

    def _holders(self, stream_id: str) -> list[_Host]:
        self._remove_lost(self._clock())
        call = call_of(stream_id)
        if call is not None:
            address = self._calls.find(call, self._loads())
            if address is None:
                raise StreamNotFoundError(f"no stream {stream_id!r}")
            found = [self._hosts[address]]  # this host knows whether it has this stream of the call
        elif stream_id in ON_EVERY_HOST:
            found = [h for h in self._hosts.values() if stream_id in _ids(h.load.streams)]
        else:
            home = self._homes.get(stream_id)
            if home is None:
                raise StreamNotFoundError(f"no stream {stream_id!r}")
            found = [self._hosts[home.host]] if home.host is not None else []
            if home.avatar is not None and not home.seen:
                found = []  # the stream is being created there
        if not found:
            raise NotReadyError(f"stream {stream_id!r} has no host yet; try again")
        return found

    def _note_streams(self, address: str, held: Iterable[HeldStream]) -> None:
        reported = {stream.id: stream for stream in held if _has_home(stream.id)}
        for stream in reported.values():
            home = self._homes.setdefault(stream.id, _Home(address))
            if home.host == address or not home.seen:
                # Also if another host was chosen: the old one returned before that one got the
                # stream.
                home.host, home.avatar, home.seen = address, stream.avatar, True
        ended = [
            i for i, h in self._homes.items() if h.host == address and h.seen and i not in reported
        ]
        for stream_id in ended:
            del self._homes[stream_id]

    def _remove_lost(self, now: float) -> None:
        self._calls.forget_old(now)
        lost = [address for address, host in self._hosts.items() if host.until < now]
        for address in lost:
            del self._hosts[address]
        for stream_id, home in list(self._homes.items()):
            if home.avatar is not None and home.host in lost:
                home.host, home.seen, home.until = None, False, now + ORPHANED_S
            if not home.seen and home.until < now:
                del self._homes[stream_id]
            elif home.host is None and self._open_hosts():
                home.host = self._emptiest_of_all().address

    def _open_hosts(self) -> list[_Host]:
        return [host for host in self._hosts.values() if host.open]

    def _emptiest_of_all(self) -> _Host:
        return min(
            self._some_open_hosts(),
            key=lambda host: (self._homes_on(host.address), *_fullness(host)),
        )

    def _emptiest_for_call(self) -> _Host:
        def fullness(host: _Host) -> tuple[float, str]:
            expected = self._calls.expected_viewers(host.address)
            return (host.viewers + expected) / max(1, host.load.capacity), host.address

        return min(self._some_open_hosts(), key=fullness)

    def _some_open_hosts(self) -> list[_Host]:
        open_hosts = self._open_hosts()
        if not open_hosts:
            raise NotReadyError("no host is ready; try again")
        return open_hosts

    def _loads(self) -> dict[str, HostLoad]:
        return {address: host.load for address, host in self._hosts.items()}

    def _homes_on(self, address: str) -> int:
        return sum(home.host == address for home in self._homes.values())


def _has_home(stream_id: str) -> bool:
    return stream_id not in ON_EVERY_HOST and call_of(stream_id) is None


def _ids(streams: Iterable[HeldStream]) -> set[str]:
    return {stream.id for stream in streams}


def _emptiest(hosts: Iterable[_Host]) -> _Host:
    return min(hosts, key=_fullness)


def _fullness(host: _Host) -> tuple[float, str]:
    return host.viewers / max(1, host.load.capacity), host.address
