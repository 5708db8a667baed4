"""Who gets in, and when: places, the waiting line, the end. With a clock of the tests' own."""

from __future__ import annotations

import pytest

from server.admission.admission import Admission, AdmissionPermit, Turn
from server.admission.queue import KEPT_S
from server.auth.grants import ANYONE, Grant, Scope
from server.errors import DrainingError, FullError, TicketNotFoundError

ANNA = Grant("anna", frozenset({Scope.VIEW}))
BERT = Grant("bert", frozenset({Scope.VIEW}))
ADMIN = Grant("root", frozenset({Scope.ADMIN}))


class Clock:
    """Goes on only when told to."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class House:
    """So many places, all taken, and whoever waits for them."""

    def __init__(self, places: int = 1, longest: int = 10) -> None:
        self.clock = Clock()
        self.admission = Admission(places, longest, self.clock)
        self.places = [self.admission.enter(ANYONE) for _ in range(places)]

    def one_leaves(self) -> None:
        self.admission.leave(self.places.pop(), watched=True)

    def passes(self, seconds: float, *asking: Turn) -> None:
        """Time in which these tickets are asked for every second."""
        while seconds > 0:
            self.clock.now += min(1.0, seconds)
            seconds -= 1.0
            for turn in asking:
                self.place(turn)

    def place(self, turn: Turn) -> int:
        return self.admission.ask(turn.ticket.id, ANYONE).place

    def enter(self, turn: Turn) -> AdmissionPermit:
        return self.admission.enter(ANYONE, turn.ticket.id)

    def line(self, count: int) -> list[Turn]:
        return [self.admission.join(ANYONE) for _ in range(count)]


def test_so_many_are_let_in_and_one_more_when_one_leaves() -> None:
    house = House(places=3)
    with pytest.raises(FullError, match="all 3 places for viewers are taken, and 0 viewers wait"):
        house.admission.enter(ANYONE)
    house.one_leaves()
    house.admission.enter(ANYONE)
    assert house.admission.inside == 3


def test_the_only_place_is_not_called_all_1_places() -> None:
    with pytest.raises(FullError, match="the only place for a viewer is taken, and 0 viewers wait"):
        House().admission.enter(ANYONE)


def test_until_it_is_measured_there_is_one_place() -> None:
    admission = Admission()
    admission.enter(ANYONE)
    with pytest.raises(FullError):
        admission.enter(ANYONE)
    admission.measured(2, {"encode_ms": 1})
    admission.enter(ANYONE)
    assert (admission.capacity, admission.figures) == (2, {"encode_ms": 1})


def test_a_ticket_tells_its_place_and_moves_up() -> None:
    house = House(places=2)
    line = house.line(3)
    assert [turn.place for turn in line] == [1, 2, 3]
    assert line[2].waiting == 3
    house.one_leaves()
    assert [house.place(turn) for turn in line] == [0, 1, 2]
    house.enter(line[0])
    assert [house.place(turn) for turn in line[1:]] == [1, 2]
    house.admission.give_up(line[1].ticket.id, ANYONE)
    assert house.place(line[2]) == 1


def test_nobody_overtakes() -> None:
    house = House()
    first, second = house.line(2)
    house.one_leaves()
    for impatient in (None, second.ticket.id, "made up", "\N{SNOWMAN}"):
        with pytest.raises(FullError, match="and 2 viewers wait"):
            house.admission.enter(ANYONE, impatient)
    house.passes(3.5)
    place = house.enter(first)
    assert place.waited_s == 3.5
    with pytest.raises(FullError):
        house.enter(second)


def test_more_free_places_than_waiting_viewers_are_for_anyone() -> None:
    house = House(places=3)
    (turn,) = house.line(1)
    house.one_leaves()
    house.one_leaves()
    house.admission.enter(ANYONE)
    with pytest.raises(FullError):
        house.admission.enter(ANYONE)
    house.enter(turn)


def test_a_line_is_joined_even_where_a_place_is_free() -> None:
    house = House()
    house.one_leaves()
    (turn,) = house.line(1)
    assert turn.place == 0


def test_a_ticket_nobody_asks_for_loses_its_place_and_the_others_do_not() -> None:
    house = House()
    first, second = house.line(2)
    house.passes(4.5, second)
    assert house.place(second) == 2
    house.passes(1, second)
    assert house.place(second) == 1
    assert house.admission.waiting == 1
    with pytest.raises(TicketNotFoundError, match="join again"):
        house.place(first)


def test_a_place_is_kept_for_a_moment_only() -> None:
    house = House()
    first, second = house.line(2)
    house.one_leaves()
    assert house.place(first) == 0
    house.passes(KEPT_S, first, second)
    assert (house.place(first), house.place(second)) == (0, 1)
    house.passes(0.1)
    assert house.place(second) == 0
    with pytest.raises(FullError):
        house.enter(first)  # as good as no ticket
    house.enter(second)


def test_the_end_of_a_long_line_is_asked_to_ask_less_often() -> None:
    house = House(longest=60)
    line = house.line(60)
    paces = [turn.ask_after_s for turn in line]
    assert paces == sorted(paces)
    assert (paces[0], paces[-1]) == (1.0, 5.0)
    house.passes(8.95)  # five seconds for the last twenty, and four more
    assert house.admission.waiting == 20
    assert house.place(line[-1]) == 20


def test_the_line_is_bounded() -> None:
    house = House(longest=2)
    house.line(2)
    with pytest.raises(FullError, match="2 viewers wait already"):
        house.line(1)
    assert house.admission.waiting == 2


def test_a_ticket_is_good_for_its_holder_only() -> None:
    house = House()
    ticket = house.admission.join(ANNA).ticket
    assert len(ticket.id) >= 20
    house.one_leaves()
    for use in (house.admission.ask, house.admission.give_up):
        with pytest.raises(TicketNotFoundError):
            use(ticket.id, BERT)
    with pytest.raises(FullError):
        house.admission.enter(BERT, ticket.id)
    assert house.admission.ask(ticket.id, ADMIN).place == 0
    house.admission.enter(ANNA, ticket.id)


def test_who_came_in_vain_may_try_another_way_before_the_others() -> None:
    house = House()
    first, second = house.line(2)
    house.one_leaves()
    house.admission.leave(house.enter(first), watched=False)
    with pytest.raises(FullError):
        house.enter(second)
    house.admission.leave(house.enter(first), watched=True)
    house.enter(second)


def test_who_came_in_vain_and_stays_away_gives_way() -> None:
    house = House()
    first, second = house.line(2)
    house.one_leaves()
    house.admission.leave(house.enter(first), watched=False)
    house.passes(4.5, second)
    house.enter(second)


def test_a_server_that_ends_lets_nobody_in_and_says_so() -> None:
    house = House(places=2)
    (turn,) = house.line(1)
    house.one_leaves()
    house.admission.draining = True
    for use in (
        lambda: house.admission.enter(ANYONE),
        lambda: house.enter(turn),
        lambda: house.place(turn),
        lambda: house.line(1),
    ):
        with pytest.raises(DrainingError, match="going down; 1 viewers are left"):
            use()
