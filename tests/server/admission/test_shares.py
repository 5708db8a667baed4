"""Shares: no token or address holds all session slots; the queue serves holders in turn."""

from __future__ import annotations

import pytest

from server.admission.admission import Admission
from server.admission.shares import UNLIMITED, Shares, part_of
from server.auth.grants import Grant, Scope
from server.errors import FullError

SHARES = Shares(token=0.75, address=0.5)


def viewer(token: str, address: str = "192.0.2.1") -> Grant:
    return Grant(token, frozenset({Scope.VIEW}), address=address)


@pytest.mark.parametrize(
    ("share", "slots", "most"), [(0.75, 1, 1), (0.75, 2, 1), (0.75, 3, 2), (0.5, 16, 8), (1, 3, 3)]
)
def test_a_share_leaves_one_slot_to_others_where_there_are_two_or_more(
    share: float, slots: int, most: int
) -> None:
    assert part_of(share, slots) == most


def test_a_token_is_limited_to_its_share_and_another_at_the_same_address_is_admitted() -> None:
    admission = Admission(4, shares=SHARES)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        admission.admit(viewer("greedy", address))
    with pytest.raises(FullError, match="your token holds 3 of 4"):
        admission.admit(viewer("greedy", "192.0.2.4"))
    admission.admit(viewer("honest", "192.0.2.1"))
    assert admission.admitted == 4


def test_one_address_holds_at_most_half_of_a_server_without_tokens() -> None:
    admission = Admission(4, shares=Shares(None, 0.5))
    for _ in range(2):
        admission.admit(viewer("anyone"))
    with pytest.raises(FullError, match="your address holds 2 of 4"):
        admission.admit(viewer("anyone"))
    admission.admit(viewer("anyone", "192.0.2.2"))


def test_loopback_clients_may_hold_every_slot() -> None:
    admission = Admission(3, shares=UNLIMITED)
    for _ in range(3):
        admission.admit(viewer("anyone"))
    assert admission.admitted == 3


def test_one_token_cannot_fill_the_queue() -> None:
    admission = Admission(1, 8, shares=Shares(0.75, 1))
    admission.admit(viewer("other"))
    for _ in range(6):
        admission.join(viewer("greedy"))
    with pytest.raises(FullError, match="in the queue your token holds 6 of 8"):
        admission.join(viewer("greedy"))
    assert admission.join(viewer("honest")).position == 2


def test_holders_are_admitted_in_turn_as_slots_become_free() -> None:
    admission = Admission(1, 100, shares=Shares(1, 1))
    permit = admission.admit(viewer("other"))
    greedy = [admission.join(viewer("greedy")).ticket for _ in range(50)]
    served = []
    for _ in range(3):
        honest = admission.join(viewer("honest")).ticket
        for _ in range(2):
            admission.release(permit, connected=True)
            for ticket in (*greedy, honest):
                try:
                    permit = admission.admit(ticket.holder, ticket.id)
                except FullError:
                    continue
                served.append(ticket.holder.holder)
                break
    assert served.count("honest") == 3


def test_a_slot_is_not_reserved_for_a_ticket_that_failed_to_connect_twice() -> None:
    admission = Admission(1, 10)
    admission.admit(viewer("a"))
    ticket = admission.join(viewer("b")).ticket
    admission.release(next(iter(admission._permits)), connected=True)
    for queued in (1, 0):
        permit = admission.admit(viewer("b"), ticket.id)
        admission.release(permit, connected=False)
        assert admission.queued == queued
