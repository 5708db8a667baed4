"""The queue of a full server: first come, first served; tickets that are not polled expire.

Pure bookkeeping: independent of sessions and HTTP, with an injected clock.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from server.auth.grants import Grant
from server.errors import FullError, TicketNotFoundError

RESERVED_S = 10.0
"""How long a session slot stays reserved for a ticket; clients take about one second."""
_GRACE_S = 4.0
"""How much later than requested a ticket may be polled before it expires."""
_MIN_POLL_S, _MAX_POLL_S = 1.0, 5.0
"""Poll interval: 1 s for the first ticket, 0.1 s more for each further one."""


@dataclass(eq=False)
class Ticket:
    """One queued viewer."""

    id: str
    """Random, because it authorizes its use together with `holder`."""
    holder: Grant
    """The identity that may use the ticket."""
    joined_at: float
    poll_due_at: float
    """When the client should poll again."""
    reserved_at: float | None = None
    """When a session slot was reserved for it; None before."""


class ViewerQueue:
    """Tickets in order of arrival.

    Args:
        max_length: Maximum number of tickets.
        clock: Returns monotonic time, seconds.
    """

    def __init__(self, max_length: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_length = max_length
        self._clock = clock
        self._tickets: list[Ticket] = []

    def __len__(self) -> int:
        return len(self._tickets)

    def update(self, free_slots: int) -> None:
        """Remove expired tickets, and reserve `free_slots` session slots for the first ones."""
        now = self._clock()
        self._tickets = [ticket for ticket in self._tickets if not _expired(ticket, now)]
        for ticket in self._tickets[:free_slots]:
            if ticket.reserved_at is None:
                ticket.reserved_at = now

    def join(self, holder: Grant) -> Ticket:
        """Append a ticket.

        Raises:
            FullError: If the queue is full.
        """
        if len(self._tickets) >= self._max_length:
            raise FullError(f"all places are taken, and {self._max_length} viewers wait already")
        now = self._clock()
        ticket = Ticket(secrets.token_urlsafe(16), holder, now, now)
        self._tickets.append(ticket)
        self.schedule_poll(ticket)
        return ticket

    def find(self, ticket_id: str, requester: Grant) -> Ticket:
        """Return a ticket by id.

        Raises:
            TicketNotFoundError: If there is no such ticket, or `requester` may not use it.
        """
        for ticket in self._tickets:
            if secrets.compare_digest(ticket.id.encode(), ticket_id.encode()):
                if requester.may_touch(ticket.holder):
                    return ticket
                break  # answer as for an unknown id, which does not confirm a guess
        raise TicketNotFoundError("no such ticket, or it has expired: join again")

    def schedule_poll(self, ticket: Ticket) -> float:
        """Record a poll of a ticket and return the time until the next one, seconds."""
        wait_s = min(_MIN_POLL_S + self._index(ticket) / 10, _MAX_POLL_S)
        ticket.poll_due_at = self._clock() + wait_s
        return wait_s

    def position(self, ticket: Ticket) -> int:
        """Return the position of a ticket: 0 with a reserved slot, 1 for the next one."""
        if ticket.reserved_at is not None:
            return 0
        return 1 + sum(other.reserved_at is None for other in self._tickets[: self._index(ticket)])

    def remove(self, ticket: Ticket) -> None:
        """Remove a ticket that was used or cancelled."""
        self._tickets.remove(ticket)

    def requeue(self, ticket: Ticket) -> None:
        """Put a ticket whose connection failed at the front and reserve a slot for it again."""
        ticket.reserved_at = ticket.poll_due_at = self._clock()
        self._tickets.insert(0, ticket)

    def _index(self, ticket: Ticket) -> int:
        return self._tickets.index(ticket)


def _expired(ticket: Ticket, now: float) -> bool:
    if ticket.reserved_at is not None and now - ticket.reserved_at > RESERVED_S:
        return True
    return now - ticket.poll_due_at > _GRACE_S
