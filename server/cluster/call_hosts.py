"""The host of a call: all participants must be on one, because each host has its own calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from server.protocol.host_load import HostLoad, call_of

_VIEWERS = 2
"""Minimum number of viewers of a call: each of two people watches the other."""


@dataclass(frozen=True, slots=True)
class _Reservation:
    host: str
    until: float


class CallHosts:
    """Finds calls by the streams that hosts report, and remembers recent redirects."""

    def __init__(self) -> None:
        self._reserved: dict[str, _Reservation] = {}

    def find(self, call: str, loads: Mapping[str, HostLoad]) -> str | None:
        """Return the host of a call; None if none of `loads`, by address, has it.

        If two hosts have it, because one was lost and has returned, the one with more people.
        """
        people = {address: _people(load)[call] for address, load in loads.items()}
        found = max(people, key=lambda address: (people[address], address), default=None)
        if found is not None and people[found]:
            return found
        reserved = self._reserved.get(call)
        return reserved.host if reserved is not None and reserved.host in loads else None

    def reserve(self, call: str, host: str, until: float) -> None:
        """Remember that a participant was sent to a host, which reports their stream later."""
        self._reserved[call] = _Reservation(host, until)

    def expected_viewers(self, host: str) -> int:
        """Return the number of viewers of the calls that were just redirected to a host."""
        return _VIEWERS * sum(reserved.host == host for reserved in self._reserved.values())

    def forget_old(self, now: float) -> None:
        """Forget people who have not arrived in time."""
        kept = {call: r for call, r in self._reserved.items() if r.until >= now}
        self._reserved = kept


def _people(load: HostLoad) -> Counter[str]:
    """Count the people of each call: everybody has one stream."""
    calls = (call_of(stream.id) for stream in load.streams)
    return Counter(call for call in calls if call is not None)
