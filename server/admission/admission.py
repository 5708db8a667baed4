"""Who gets in: as many viewers as there are places, the others in turn, nobody while it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from server.admission.queue import Ticket, ViewerQueue
from server.auth.grants import Grant
from server.errors import DrainingError, FullError, TicketNotFoundError

_UNTIL_MEASURED = 1
"""Places before it is known how many there are, a moment after the first worker is ready."""


@dataclass(frozen=True)
class AdmissionPermit:
    """A viewer's, from `Admission.enter` to `Admission.leave`."""

    ticket: Ticket | None
    """What it waited in the line with."""
    waited_s: float


@dataclass(frozen=True)
class Turn:
    """How a ticket stands."""

    ticket: Ticket
    place: int
    """1 for the next one; 0 where its turn has come."""
    waiting: int
    """Tickets in the line."""
    ask_after_s: float


class Admission:
    """Counts places and keeps the waiting line. Nobody overtakes: places go to the line first.

    Args:
        max_sessions: How many places there are; None until they are measured.
        max_waiting: How many viewers may wait.
        clock: Seconds, never going back.
    """

    def __init__(
        self,
        max_sessions: int | None = None,
        max_waiting: int = 100,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.max_sessions = max_sessions
        self.inside = 0
        """Viewers who have a place."""
        self.figures: dict[str, object] | None = None
        """What the number of places was found from, as JSON values; None where it was set."""
        self.draining = False
        """Whether the server ends once they have left."""
        self._line = ViewerQueue(max_waiting, clock)
        self._clock = clock

    @property
    def capacity(self) -> int:
        """How many viewers may be inside."""
        return _UNTIL_MEASURED if self.max_sessions is None else self.max_sessions

    @property
    def waiting(self) -> int:
        """How many viewers wait in the line."""
        self._tidy()
        return len(self._line)

    def measured(self, places: int, figures: dict[str, object]) -> None:
        """Have so many places from now on, as these figures allow."""
        self.max_sessions, self.figures = places, figures

    def enter(self, viewer: Grant, ticket_id: str | None = None) -> AdmissionPermit:
        """Take a place: one that nobody waits for, or one that is kept for this ticket.

        A ticket that is lost, or somebody else's, is as good as none.

        Raises:
            FullError: If there is no place for this viewer yet.
            DrainingError: If nobody is let in any more.
        """
        self.check_open()
        self._tidy()
        ticket = self._find(viewer, ticket_id)
        if ticket is not None and ticket.called_at is not None:
            self._line.leave(ticket)
        elif len(self._line) >= self._free:
            raise FullError(f"{self._all_taken()}, and {len(self._line)} viewers wait")
        self.inside += 1
        return AdmissionPermit(ticket, self._clock() - ticket.joined_at if ticket else 0.0)

    def leave(self, place: AdmissionPermit, watched: bool) -> None:
        """Give a place back.

        Args:
            place: From `enter`.
            watched: Whether the viewer got through. One that did not may try another way with the
                same ticket: its place is kept for a moment.
        """
        self.inside -= 1
        if place.ticket is not None and not watched:
            self._line.put_back(place.ticket)

    def join(self, viewer: Grant) -> Turn:
        """Wait in the line.

        Raises:
            FullError: If too many wait already.
            DrainingError: If nobody is let in any more.
        """
        self.check_open()
        self._tidy()
        ticket = self._line.join(viewer)
        self._tidy()
        return self._turn(ticket)

    def ask(self, ticket_id: str, viewer: Grant) -> Turn:
        """How a ticket stands now; keeps its place.

        Raises:
            TicketNotFoundError: If there is none, or it was not asked for in time.
            DrainingError: If nobody is let in any more.
        """
        self.check_open()
        self._tidy()
        return self._turn(self._line.find(ticket_id, viewer))

    def give_up(self, ticket_id: str, viewer: Grant) -> None:
        """Leave the line.

        Raises:
            TicketNotFoundError: If there is no such ticket.
        """
        self._line.leave(self._line.find(ticket_id, viewer))

    def check_open(self) -> None:
        """Refuse whoever comes while the server ends.

        Raises:
            DrainingError: If it does.
        """
        if self.draining:
            raise DrainingError(f"the server is going down; {self.inside} viewers are left")

    @property
    def _free(self) -> int:
        return max(0, self.capacity - self.inside)

    def _tidy(self) -> None:
        self._line.tidy(self._free)

    def _find(self, viewer: Grant, ticket_id: str | None) -> Ticket | None:
        try:
            return self._line.find(ticket_id, viewer) if ticket_id is not None else None
        except TicketNotFoundError:
            return None

    def _turn(self, ticket: Ticket) -> Turn:
        place, ask_after_s = self._line.place(ticket), self._line.pace_s(ticket)
        return Turn(ticket, place, len(self._line), ask_after_s)

    def _all_taken(self) -> str:
        if self.capacity == 1:
            return "the only place for a viewer is taken"
        return f"all {self.capacity} places for viewers are taken"
