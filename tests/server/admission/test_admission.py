"""Admission: session limit, queue and draining, with a fake clock."""

from __future__ import annotations

import pytest

from server.admission.admission import Admission, AdmissionPermit, TicketStatus
from server.admission.queue import RESERVED_S
from server.auth.grants import ANYONE, Grant, Scope
from server.errors import DrainingError, FullError, TicketNotFoundError

ANNA = Grant("anna", frozenset({Scope.VIEW}))
BERT = Grant("bert", frozenset({Scope.VIEW}))
ADMIN = Grant("root", frozenset({Scope.ADMIN}))


class Clock:
    """A clock that advances only on request."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class FullServer:
    """A server whose session slots are all in use."""

    def __init__(self, capacity: int = 1, max_length: int = 10) -> None:
        self.clock = Clock()
        self.admission = Admission(capacity, max_length, self.clock)
        self.permits = [self.admission.admit(ANYONE) for _ in range(capacity)]

    def release_one(self) -> None:
        self.admission.release(self.permits.pop(), connected=True)

    def advance(self, seconds: float, *polling: TicketStatus) -> None:
        """Advance the clock while these tickets are polled every second."""
        while seconds > 0:
            self.clock.now += min(1.0, seconds)
            seconds -= 1.0
            for status in polling:
                self.position(status)

    def position(self, status: TicketStatus) -> int:
        return self.admission.poll(status.ticket.id, ANYONE).position

    def admit(self, status: TicketStatus) -> AdmissionPermit:
        return self.admission.admit(ANYONE, status.ticket.id)

    def queue(self, count: int) -> list[TicketStatus]:
        return [self.admission.join(ANYONE) for _ in range(count)]


def test_viewers_up_to_the_session_limit_are_admitted_and_one_more_per_release() -> None:
    server = FullServer(capacity=3)
    with pytest.raises(FullError, match="all 3 session slots are in use, and 0 viewers wait"):
        server.admission.admit(ANYONE)
    server.release_one()
    server.admission.admit(ANYONE)
    assert server.admission.admitted == 3


def test_the_message_for_a_single_session_slot_is_singular() -> None:
    with pytest.raises(FullError, match="the only session slot is in use, and 0 viewers wait"):
        FullServer().admission.admit(ANYONE)


def test_the_limit_is_one_session_until_capacity_is_measured() -> None:
    admission = Admission()
    admission.admit(ANYONE)
    with pytest.raises(FullError):
        admission.admit(ANYONE)
    admission.set_capacity(2, {"encode_ms": 1})
    admission.admit(ANYONE)
    assert (admission.capacity, admission.measurement) == (2, {"encode_ms": 1})


def test_a_ticket_reports_its_queue_position_and_moves_up() -> None:
    server = FullServer(capacity=2)
    queue = server.queue(3)
    assert [status.position for status in queue] == [1, 2, 3]
    assert queue[2].queued == 3
    server.release_one()
    assert [server.position(status) for status in queue] == [0, 1, 2]
    server.admit(queue[0])
    assert [server.position(status) for status in queue[1:]] == [1, 2]
    server.admission.cancel(queue[1].ticket.id, ANYONE)
    assert server.position(queue[2]) == 1


def test_queued_viewers_are_admitted_in_order() -> None:
    server = FullServer()
    first, second = server.queue(2)
    server.release_one()
    for impatient in (None, second.ticket.id, "made up", "\N{SNOWMAN}"):
        with pytest.raises(FullError, match="and 2 viewers wait"):
            server.admission.admit(ANYONE, impatient)
    server.advance(3.5)
    permit = server.admit(first)
    assert permit.waited_s == 3.5
    with pytest.raises(FullError):
        server.admit(second)


def test_session_slots_beyond_the_queue_length_are_open_to_any_viewer() -> None:
    server = FullServer(capacity=3)
    (status,) = server.queue(1)
    server.release_one()
    server.release_one()
    server.admission.admit(ANYONE)
    with pytest.raises(FullError):
        server.admission.admit(ANYONE)
    server.admit(status)


def test_joining_the_queue_with_a_free_session_slot_reserves_it() -> None:
    server = FullServer()
    server.release_one()
    (status,) = server.queue(1)
    assert status.position == 0


def test_a_ticket_that_is_not_polled_expires_and_others_do_not() -> None:
    server = FullServer()
    first, second = server.queue(2)
    server.advance(4.5, second)
    assert server.position(second) == 2
    server.advance(1, second)
    assert server.position(second) == 1
    assert server.admission.queued == 1
    with pytest.raises(TicketNotFoundError, match="join again"):
        server.position(first)


def test_a_reservation_expires() -> None:
    server = FullServer()
    first, second = server.queue(2)
    server.release_one()
    assert server.position(first) == 0
    server.advance(RESERVED_S, first, second)
    assert (server.position(first), server.position(second)) == (0, 1)
    server.advance(0.1)
    assert server.position(second) == 0
    with pytest.raises(FullError):
        server.admit(first)  # an expired ticket gives no priority
    server.admit(second)


def test_the_end_of_a_long_queue_polls_less_often() -> None:
    server = FullServer(max_length=60)
    queue = server.queue(60)
    poll_intervals_s = [status.poll_after_s for status in queue]
    assert poll_intervals_s == sorted(poll_intervals_s)
    assert (poll_intervals_s[0], poll_intervals_s[-1]) == (1.0, 5.0)
    server.advance(8.95)  # 5 s poll interval of the last 20 tickets, and almost 4 s of grace
    assert server.admission.queued == 20
    assert server.position(queue[-1]) == 20


def test_the_queue_is_bounded() -> None:
    server = FullServer(max_length=2)
    server.queue(2)
    with pytest.raises(FullError, match="2 viewers wait already"):
        server.queue(1)
    assert server.admission.queued == 2


def test_a_ticket_is_valid_for_its_holder_only() -> None:
    server = FullServer()
    ticket = server.admission.join(ANNA).ticket
    assert len(ticket.id) >= 20
    server.release_one()
    for use in (server.admission.poll, server.admission.cancel):
        with pytest.raises(TicketNotFoundError):
            use(ticket.id, BERT)
    with pytest.raises(FullError):
        server.admission.admit(BERT, ticket.id)
    assert server.admission.poll(ticket.id, ADMIN).position == 0
    server.admission.admit(ANNA, ticket.id)


def test_a_viewer_whose_connection_failed_may_retry_before_the_others() -> None:
    server = FullServer()
    first, second = server.queue(2)
    server.release_one()
    server.admission.release(server.admit(first), connected=False)
    with pytest.raises(FullError):
        server.admit(second)
    server.admission.release(server.admit(first), connected=True)
    server.admit(second)


def test_a_viewer_whose_connection_failed_and_does_not_retry_expires() -> None:
    server = FullServer()
    first, second = server.queue(2)
    server.release_one()
    server.admission.release(server.admit(first), connected=False)
    server.advance(4.5, second)
    server.admit(second)


def test_a_draining_server_admits_nobody_and_gives_the_reason() -> None:
    server = FullServer(capacity=2)
    (status,) = server.queue(1)
    server.release_one()
    server.admission.draining = True
    for use in (
        lambda: server.admission.admit(ANYONE),
        lambda: server.admit(status),
        lambda: server.position(status),
        lambda: server.queue(1),
    ):
        with pytest.raises(DrainingError, match="shutting down; 1 viewers are left"):
            use()
