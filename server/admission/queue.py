"""The waiting line: first come, first served, and whoever no longer asks loses its place.

Pure bookkeeping: knows no sessions, no web, and no clock but the one it is given.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from server.auth.grants import Grant
from server.errors import FullError, TicketNotFoundError

KEPT_S = 10.0
"""A free place is kept so long for the ticket whose turn it is; pages need about a second."""
_GRACE_S = 4.0
"""A ticket may be asked for this much later than it was told to."""
_FASTEST_S, _SLOWEST_S = 1.0, 5.0
"""How often tickets are to ask: the front every second, the tenth every two."""


@dataclass(eq=False)
class Ticket:
    """One viewer's place in the line."""

    id: str
    """Not to be guessed."""
    holder: Grant
    """Who may use it."""
    joined_at: float
    due_at: float
    """When it is to ask again."""
    called_at: float | None = None
    """When its turn came."""


class ViewerQueue:
    """Tickets in the order they came.

    Args:
        longest: More tickets are refused.
        clock: Seconds, never going back.
    """

    def __init__(self, longest: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest = longest
        self._clock = clock
        self._tickets: list[Ticket] = []

    def __len__(self) -> int:
        return len(self._tickets)

    def tidy(self, free: int) -> None:
        """Drop the tickets nobody asks for any more, and call as many as there are free places."""
        now = self._clock()
        self._tickets = [ticket for ticket in self._tickets if not _lost(ticket, now)]
        for ticket in self._tickets[:free]:
            if ticket.called_at is None:
                ticket.called_at = now

    def join(self, holder: Grant) -> Ticket:
        """Stand at the end.

        Raises:
            FullError: If the line is as long as it may be.
        """
        if len(self._tickets) >= self._longest:
            raise FullError(f"all places are taken, and {self._longest} viewers wait already")
        now = self._clock()
        ticket = Ticket(secrets.token_urlsafe(16), holder, now, now)
        self._tickets.append(ticket)
        self.pace_s(ticket)
        return ticket

    def find(self, ticket_id: str, asking: Grant) -> Ticket:
        """The ticket of this id.

        Raises:
            TicketNotFoundError: If there is none, or it is somebody else's.
        """
        for ticket in self._tickets:
            if secrets.compare_digest(ticket.id.encode(), ticket_id.encode()):
                if asking.may_touch(ticket.holder):
                    return ticket
                break  # whoever has found it out is not told that there is one
        raise TicketNotFoundError("no such ticket, or its place in the line is lost: join again")

    def pace_s(self, ticket: Ticket) -> float:
        """Note that a ticket was asked for; says after how long it is to ask again."""
        wait_s = min(_FASTEST_S + self._index(ticket) / 10, _SLOWEST_S)
        ticket.due_at = self._clock() + wait_s
        return wait_s

    def place(self, ticket: Ticket) -> int:
        """0 where its turn has come, else how many viewers come before and with it: 1 is next."""
        if ticket.called_at is not None:
            return 0
        return 1 + sum(other.called_at is None for other in self._tickets[: self._index(ticket)])

    def leave(self, ticket: Ticket) -> None:
        """Take a ticket out of the line: it was used, or given back."""
        self._tickets.remove(ticket)

    def put_back(self, ticket: Ticket) -> None:
        """Put a ticket that was used in vain in front of all, called once more."""
        ticket.called_at = ticket.due_at = self._clock()
        self._tickets.insert(0, ticket)

    def _index(self, ticket: Ticket) -> int:
        return self._tickets.index(ticket)


def _lost(ticket: Ticket, now: float) -> bool:
    if ticket.called_at is not None and now - ticket.called_at > KEPT_S:
        return True
    return now - ticket.due_at > _GRACE_S
