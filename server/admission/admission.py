"""Admission control: limits the number of sessions and lets queued viewers in first."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from server.admission.queue import Ticket, ViewerQueue
from server.admission.shares import UNLIMITED, Shares
from server.auth.grants import Grant
from server.errors import DrainingError, FullError, TicketNotFoundError

_CAPACITY_UNTIL_MEASURED = 1
"""Session limit until the capacity is measured, shortly after the first worker is ready."""


@dataclass(frozen=True, eq=False)
class AdmissionPermit:
    """A session slot in use, from `Admission.admit` to `Admission.release`."""

    viewer: Grant
    """The viewer that uses it."""
    ticket: Ticket | None
    """The ticket that the viewer had in the queue; None if it did not queue."""
    waited_s: float
    """Time in the queue, seconds."""


@dataclass(frozen=True)
class TicketStatus:
    """State of a ticket in the queue."""

    ticket: Ticket
    position: int
    """1 for the next viewer; 0 if a session slot is reserved for the ticket."""
    queued: int
    """Number of tickets in the queue."""
    poll_after_s: float
    """When the client should poll again, seconds from now."""


class Admission:
    """Counts sessions and keeps the queue. Free session slots go to queued viewers first.

    Args:
        max_sessions: Maximum number of sessions; None until the capacity is measured.
        max_queued: Maximum number of tickets in the queue.
        clock: Returns monotonic time, seconds.
        shares: Shares of both that one viewer may have.
    """

    def __init__(
        self,
        max_sessions: int | None = None,
        max_queued: int = 100,
        clock: Callable[[], float] = time.monotonic,
        shares: Shares = UNLIMITED,
    ) -> None:
        self.max_sessions = max_sessions
        self._permits: set[AdmissionPermit] = set()
        self.measurement: dict[str, object] | None = None
        """The measurement behind the session limit, as JSON values; None if the limit was set."""
        self.draining = False
        """Whether the server is shutting down and admits no viewers."""
        self._queue = ViewerQueue(max_queued, clock, shares)
        self._clock = clock
        self._shares = shares

    @property
    def admitted(self) -> int:
        """Number of session slots in use."""
        return len(self._permits)

    @property
    def capacity(self) -> int:
        """Maximum number of sessions."""
        return _CAPACITY_UNTIL_MEASURED if self.max_sessions is None else self.max_sessions

    @property
    def queued(self) -> int:
        """Number of queued viewers."""
        self._update_queue()
        return len(self._queue)

    def set_capacity(self, capacity: int, measurement: dict[str, object]) -> None:
        """Set the session limit and the measurement behind it."""
        self.max_sessions, self.measurement = capacity, measurement

    def admit(self, viewer: Grant, ticket_id: str | None = None) -> AdmissionPermit:
        """Assign the session slot reserved for a ticket, or one that no queued viewer waits for.

        Unknown and expired tickets, and those of other viewers, are ignored.

        Raises:
            FullError: If no session slot is free for this viewer, or it has its share of them.
            DrainingError: If the server is shutting down.
        """
        self.check_open()
        self._update_queue()
        ticket = self._find(viewer, ticket_id)
        if ticket is not None and ticket.reserved_at is not None:
            self._queue.remove(ticket)
        elif len(self._queue.reserved) >= self._free_slots:
            raise FullError(f"{self._full_message()}, and {len(self._queue)} viewers wait")
        elif (excess := self._excess(viewer)) is not None:
            raise FullError(f"session slots: {excess}")
        waited_s = self._clock() - ticket.joined_at if ticket else 0.0
        permit = AdmissionPermit(viewer, ticket, waited_s)
        self._permits.add(permit)
        return permit

    def release(self, permit: AdmissionPermit, connected: bool) -> None:
        """Free a session slot.

        Args:
            permit: The result of `admit`.
            connected: Whether the viewer's connection worked. If not, the slot stays reserved for
                its ticket for `RESERVED_S`, so that it can try another transport.
        """
        # First: the slot that is reserved again below is this one.
        self._permits.remove(permit)
        if permit.ticket is not None and not connected:
            self._queue.requeue(permit.ticket)

    def join(self, viewer: Grant) -> TicketStatus:
        """Add a viewer to the queue.

        Raises:
            FullError: If the queue is full, or the viewer has its share of it.
            DrainingError: If the server is shutting down.
        """
        self.check_open()
        self._update_queue()
        ticket = self._queue.join(viewer)
        self._update_queue()  # again, because a slot may be free for the new ticket at once
        return self._status(ticket)

    def poll(self, ticket_id: str, viewer: Grant) -> TicketStatus:
        """Return the state of a ticket and keep it from expiring.

        Raises:
            TicketNotFoundError: If there is no such ticket, or it has expired.
            DrainingError: If the server is shutting down.
        """
        self.check_open()
        self._update_queue()
        return self._status(self._queue.find(ticket_id, viewer))

    def cancel(self, ticket_id: str, viewer: Grant) -> None:
        """Remove a ticket from the queue.

        Raises:
            TicketNotFoundError: If there is no such ticket.
        """
        self._queue.remove(self._queue.find(ticket_id, viewer))

    def check_open(self) -> None:
        """Refuse new viewers during shutdown.

        Raises:
            DrainingError: If the server is shutting down.
        """
        if self.draining:
            raise DrainingError(f"the server is shutting down; {self.admitted} viewers are left")

    @property
    def _free_slots(self) -> int:
        return max(0, self.capacity - self.admitted)

    def _update_queue(self) -> None:
        self._queue.update(self._free_slots, lambda viewer: self._excess(viewer) is None)

    def _excess(self, viewer: Grant) -> str | None:
        """Return why a viewer may have no further session slot, None if it may."""
        present = [*(permit.viewer for permit in self._permits), *self._queue.reserved]
        return self._shares.excess(viewer, present, self.capacity)

    def _find(self, viewer: Grant, ticket_id: str | None) -> Ticket | None:
        try:
            return self._queue.find(ticket_id, viewer) if ticket_id is not None else None
        except TicketNotFoundError:
            return None

    def _status(self, ticket: Ticket) -> TicketStatus:
        position, poll_after_s = self._queue.position(ticket), self._queue.schedule_poll(ticket)
        return TicketStatus(ticket, position, len(self._queue), poll_after_s)

    def _full_message(self) -> str:
        if self.capacity == 1:
            return "the only session slot is in use"
        return f"all {self.capacity} session slots are in use"
