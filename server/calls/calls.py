"""All calls, by name: their participants, seats and lost connections.

A call exists while at least one participant has a seat. Each has a stream of their own, which ends
when they leave. Independent of messages, HTTP and the renderer; used from the event loop only.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from server.errors import CallFullError, LimitError, SeatResumedError, StreamClosedError
from server.protocol.call_messages import SEATS, Direction, Join, PersonState
from server.streams.streams import Stream, Streams, check_id

logger = logging.getLogger(__name__)

_CHECKS_PER_GRACE = 20
_LONGEST_CHECK_S = 1.0
_SHORTEST_CHECK_S = 0.01


@dataclass(eq=False)
class Connection:
    """The connection of a seated participant."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the roster must be sent, and when the connection must end."""
    ended: SeatResumedError | StreamClosedError | None = None
    """Why it must end; None while it continues."""

    def end(self, why: SeatResumedError | StreamClosedError) -> None:
        """Request its end."""
        self.ended = why
        self.changed.set()


@dataclass(eq=False)
class Person:
    """A participant, who has a seat."""

    call: str
    seat: int
    """0 to `SEATS` - 1, clockwise around the table."""
    name: str
    stream: Stream
    connection: Connection | None = field(default_factory=Connection)
    """None while the connection is lost."""
    muted: bool = False
    directions: tuple[Direction, ...] = ()
    disconnected_at: float | None = None
    """When the connection was lost; None while there is one."""
    resume: str = field(default_factory=lambda: secrets.token_urlsafe(18))
    """Secret with which another connection gets the same seat."""

    def describe(self) -> dict[str, Any]:
        """Return what is sent to the others."""
        return {
            "seat": self.seat,
            "name": self.name,
            "avatar": self.stream.avatar.id,
            "stream": self.stream.id,
            "present": self.connection is not None,
            "muted": self.muted,
            "directions": [direction.model_dump() for direction in self.directions],
        }


class Calls:
    """Assigns and frees the seats of all calls.

    Args:
        streams: Contain a stream for each participant.
        most: Maximum number of calls.
        grace_s: Time for which a lost connection keeps its seat, seconds.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        streams: Streams,
        most: int,
        grace_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._streams = streams
        self._most = most
        self._grace_s = grace_s
        self._clock = clock
        self._calls: dict[str, dict[int, Person]] = {}

    @property
    def number(self) -> int:
        """Number of calls."""
        return len(self._calls)

    @property
    def people(self) -> int:
        """Number of people with a seat, in all calls."""
        return sum(map(len, self._calls.values()))

    def roster(self, call: str) -> list[Person]:
        """Return the participants of a call, by seat; empty if it does not exist.

        Raises:
            BadMessageError: If the name is invalid.
        """
        check_id(call, "name of a call")
        return [person for _, person in sorted(self._calls.get(call, {}).items())]

    def join(self, call: str, wanted: Join) -> Person:
        """Assign a seat to a participant, or return the one that they had.

        Raises:
            BadMessageError: If the name of the call is invalid.
            AvatarNotFoundError: If there is no such avatar.
            CallFullError: If every seat is taken.
            LimitError: If there are too many calls or streams.
        """
        former = self._former(call, wanted.resume)
        if former is not None and former.stream.avatar.id == wanted.avatar:
            return self._resume(former, wanted.name)
        if former is not None:
            self.leave(former)
        seat = self._free_seat(call, None if former is None else former.seat)
        person = Person(call, seat, wanted.name, self._streams.create_of_call(wanted.avatar, call))
        person.stream.on_deleted.append(lambda: self._remove(person))
        self._calls.setdefault(call, {})[seat] = person
        logger.info("call %s: seat %d is taken", call, seat)
        self._notify(call)
        return person

    def update(self, person: Person, state: PersonState) -> None:
        """Change the published state of a person, and notify the others."""
        if state.muted is not None:
            person.muted = state.muted
        if state.directions is not None:
            person.directions = state.directions
        self._notify(person.call)

    def disconnect(self, person: Person, connection: Connection) -> None:
        """Keep the seat for a while after a connection has ended, unless another one uses it."""
        if person.connection is not connection or person.stream.deleted:
            return
        person.connection = None
        person.disconnected_at = self._clock()
        self._notify(person.call)

    def leave(self, person: Person) -> None:
        """Free a seat, and delete its stream."""
        if not person.stream.deleted:
            self._streams.delete(person.stream.id)  # calls `_remove`

    async def free_abandoned_seats(self) -> None:
        """Free the seats whose connections stay lost; runs until cancelled."""
        pause_s = min(max(self._grace_s / _CHECKS_PER_GRACE, _SHORTEST_CHECK_S), _LONGEST_CHECK_S)
        while True:
            for person in [p for people in self._calls.values() for p in people.values()]:
                ended_at = person.disconnected_at
                if ended_at is not None and self._clock() - ended_at > self._grace_s:
                    self.leave(person)
            await asyncio.sleep(pause_s)

    def _former(self, call: str, secret: str | None) -> Person | None:
        for person in self.roster(call):
            if secret is not None and secrets.compare_digest(
                person.resume.encode(), secret.encode()
            ):
                return person
        return None

    def _resume(self, person: Person, name: str) -> Person:
        if person.connection is not None:
            person.connection.end(SeatResumedError("you have come back in another page"))
        person.name, person.disconnected_at = name, None
        person.connection = Connection()
        self._notify(person.call)
        return person

    def _free_seat(self, call: str, preferred: int | None) -> int:
        taken = self._calls.get(call, {})
        if not taken and len(self._calls) >= self._most:
            raise LimitError(f"at most {self._most} calls, all are in use")
        free = [seat for seat in range(SEATS) if seat not in taken]
        if not free:
            raise CallFullError(f"expected a free seat, got a call of {SEATS} people: it is full")
        return preferred if preferred in free else free[0]

    def _remove(self, person: Person) -> None:
        """Remove a participant whose stream was deleted."""
        people = self._calls[person.call]
        del people[person.seat]
        if not people:
            del self._calls[person.call]
        if person.connection is not None:
            person.connection.end(StreamClosedError("your seat was given up"))
        logger.info("call %s: seat %d is free", person.call, person.seat)
        self._notify(person.call)

    def _notify(self, call: str) -> None:
        for person in self._calls.get(call, {}).values():
            if person.connection is not None:
                person.connection.changed.set()
