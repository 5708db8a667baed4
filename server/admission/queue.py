"""The queue of a full server: it alternates between holders; tickets that are not polled expire.

This is start-time fair queueing (Goyal, Vin and Cheng 1996). Each ticket gets a start tag when it
joins, and the lowest is next. The first ticket of a holder gets the virtual time, which is the tag
of the ticket served last; each further one gets the tag after that of the one before it. So holders
alternate whatever number of tickets each has, and no ticket waits for ever. Tickets of one holder
keep their order.

Independent of sessions and HTTP, with an injected clock.
"""

from __future__ import annotations

import secrets
import time
from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass

from server.admission.shares import UNLIMITED, Shares
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
    start_tag: int
    """Its number in the order of service; of equal ones the older ticket is first."""
    reserved_at: float | None = None
    """When a session slot was reserved for it; None before."""
    retried: bool = False
    """Whether a connection that was made with it has failed already."""


class ViewerQueue:
    """Tickets in the order in which they are served.

    Args:
        max_length: Maximum number of tickets.
        clock: Returns monotonic time, seconds.
        shares: Limits of the tickets of one holder, and what counts as one holder.
    """

    def __init__(
        self,
        max_length: int,
        clock: Callable[[], float] = time.monotonic,
        shares: Shares = UNLIMITED,
    ) -> None:
        self._max_length = max_length
        self._clock = clock
        self._shares = shares
        self._tickets: list[Ticket] = []
        self._virtual_time = 0
        """`start_tag` of the ticket served last; no ticket that joins gets a lower one."""
        self._next: dict[str, int] = {}
        """The next `start_tag` of each holder whose last one is not served yet."""

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def reserved(self) -> tuple[Grant, ...]:
        """Holders of the tickets that a session slot is reserved for."""
        return tuple(t.holder for t in self._tickets if t.reserved_at is not None)

    def update(self, free_slots: int, is_eligible: Callable[[Grant], bool]) -> None:
        """Remove expired tickets, and reserve free session slots for the first ones.

        Args:
            free_slots: Session slots that are not in use; some may be reserved already.
            is_eligible: Whether a holder may have one more session slot. The tickets of others keep
                their start tags, and later ones are served first.
        """
        now = self._clock()
        self._tickets = [ticket for ticket in self._tickets if not _expired(ticket, now)]
        left = free_slots - len(self.reserved)
        for ticket in self._tickets:
            if left <= 0:
                return
            if ticket.reserved_at is None and is_eligible(ticket.holder):
                ticket.reserved_at, left = now, left - 1
                self._virtual_time = max(self._virtual_time, ticket.start_tag)

    def join(self, holder: Grant) -> Ticket:
        """Add a ticket.

        Raises:
            FullError: If the queue is full, or the holder has its share of it.
        """
        if len(self._tickets) >= self._max_length:
            raise FullError(
                f"all session slots are in use, and {self._max_length} viewers wait already"
            )
        present = (ticket.holder for ticket in self._tickets)
        excess = self._shares.excess(holder, present, self._max_length)
        if excess is not None:
            raise FullError(f"all session slots are in use, and in the queue {excess}")
        now = self._clock()
        ticket = Ticket(secrets.token_urlsafe(16), holder, now, now, self._next_start_tag(holder))
        insort(self._tickets, ticket, key=lambda other: other.start_tag)
        self.schedule_poll(ticket)
        return ticket

    def _next_start_tag(self, holder: Grant) -> int:
        self._next = {key: tag for key, tag in self._next.items() if tag > self._virtual_time}
        key = self._shares.queue_key(holder)
        tag = self._next.get(key, self._virtual_time)
        self._next[key] = tag + 1
        return tag

    def find(self, ticket_id: str, requester: Grant) -> Ticket:
        """Return a ticket by id.

        Raises:
            TicketNotFoundError: If there is no such ticket, or `requester` may not use it.
        """
        for ticket in self._tickets:
            if secrets.compare_digest(ticket.id.encode(), ticket_id.encode()):
                if requester.may_access(ticket.holder):
                    return ticket
                break  # the same answer as for an unknown id, which does not confirm a guess
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
        """Put a ticket whose connection failed at the front and reserve a slot for it again.

        Once only: a viewer has two transports to try, and a slot must not stay reserved for one
        who never connects.
        """
        if ticket.retried:
            return
        ticket.retried = True
        ticket.reserved_at = ticket.poll_due_at = self._clock()
        self._tickets.insert(0, ticket)

    def _index(self, ticket: Ticket) -> int:
        return self._tickets.index(ticket)


def _expired(ticket: Ticket, now: float) -> bool:
    if ticket.reserved_at is not None and now - ticket.reserved_at > RESERVED_S:
        return True
    return now - ticket.poll_due_at > _GRACE_S
