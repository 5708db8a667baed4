"""Seats of calls: assignment, grace time after a disconnect, and deletion of streams."""

from __future__ import annotations

import asyncio
import re

import pytest

from server.calls.calls import Calls, Person
from server.errors import (
    AvatarNotFoundError,
    BadMessageError,
    CallFullError,
    LimitError,
    SeatResumedError,
    StreamClosedError,
)
from server.pool.fake import fake_avatar
from server.protocol.call_messages import Direction, Join, PersonState
from server.streams.streams import Streams

NAMES = ("Ada", "Bo", "Cy", "Di")


class Table:
    """Calls with a clock that the test sets."""

    def __init__(self, most: int = 2, max_streams: int = 8) -> None:
        self.now = 0.0
        self.streams = Streams({id: fake_avatar(id) for id in ("default", "other")}, max_streams)
        self.calls = Calls(self.streams, most, 20.0, lambda: self.now)

    def join(self, name: str = "Ada", call: str = "us", resume: str | None = None) -> Person:
        return self.calls.join(call, Join(type="join", name=name, resume=resume))

    def seats(self, call: str = "us") -> list[tuple[int, str]]:
        return [(person.seat, person.name) for person in self.calls.roster(call)]

    def disconnect(self, person: Person) -> None:
        assert person.connection is not None
        self.calls.disconnect(person, person.connection)

    async def pass_s(self, seconds: float) -> None:
        """Advance the clock, and let the calls check it once."""
        self.now += seconds
        task = asyncio.create_task(self.calls.free_abandoned_seats())
        await asyncio.sleep(0)
        task.cancel()


def told(person: Person) -> bool:
    """Whether a person was notified of a change since the last call of this function."""
    assert person.connection is not None
    was = person.connection.changed.is_set()
    person.connection.changed.clear()
    return was


async def test_each_person_gets_a_free_seat_and_an_unlisted_stream_of_their_own() -> None:
    table = Table()
    people = [table.join(name) for name in NAMES]
    assert table.seats() == list(enumerate(NAMES))
    ids = [person.stream.id for person in people]
    assert len(set(ids)) == 4
    assert all(re.fullmatch(r"us:[\w-]{12}", stream_id) for stream_id in ids)
    assert all(person.stream.is_of_call and person.stream.permanent for person in people)


async def test_a_fifth_person_is_refused_and_changes_nothing() -> None:
    table = Table()
    for name in NAMES:
        table.join(name)
    with pytest.raises(CallFullError, match="it is full"):
        table.join("Ed")
    assert len(table.streams.list()) == 4


async def test_leaving_frees_the_seat_and_deletes_the_stream() -> None:
    table = Table()
    ada, bo = table.join("Ada"), table.join("Bo")
    told(bo)
    table.calls.leave(ada)
    table.calls.leave(ada)
    assert ada.stream.deleted
    assert table.seats() == [(1, "Bo")]
    assert told(bo)
    assert table.join("Cy").seat == 0


async def test_a_call_ends_with_its_last_person_and_another_can_begin() -> None:
    table = Table(most=1)
    ada = table.join(call="us")
    with pytest.raises(LimitError, match="at most 1 calls"):
        table.join(call="them")
    table.calls.leave(ada)
    assert (table.calls.number, table.calls.people, table.streams.list()) == (0, 0, ())
    table.join(call="them")
    assert (table.calls.number, table.calls.people) == (1, 1)


async def test_a_disconnected_person_resumes_seat_and_stream_within_the_grace_time() -> None:
    table = Table()
    ada, bo = table.join("Ada"), table.join("Bo")
    told(bo)
    table.disconnect(ada)
    assert told(bo)
    assert [person.describe()["present"] for person in table.calls.roster("us")] == [False, True]
    await table.pass_s(19)
    back = table.join("Ada L.", resume=ada.resume)
    assert (back.seat, back.name, back.stream) == (0, "Ada L.", ada.stream)
    await table.pass_s(100)
    assert table.seats() == [(0, "Ada L."), (1, "Bo")]


async def test_after_the_grace_time_the_seat_is_free_and_the_secret_invalid() -> None:
    table = Table()
    ada, bo = table.join("Ada"), table.join("Bo")
    table.disconnect(ada)
    told(bo)
    await table.pass_s(21)
    assert table.seats() == [(1, "Bo")]
    assert told(bo)
    assert ada.stream.deleted
    assert table.join("Cy").seat == 0
    assert table.join("Ada", resume=ada.resume).seat == 2


async def test_a_guessed_secret_resumes_nothing() -> None:
    table = Table()
    ada = table.join("Ada")
    assert table.join("Eve", resume="guessed").seat == 1
    assert table.join("Eve", call="them", resume=ada.resume).stream is not ada.stream


async def test_a_newer_connection_ends_the_older_one_without_freeing_the_seat() -> None:
    table = Table()
    ada = table.join("Ada")
    older = ada.connection
    assert older is not None
    table.join("Ada", resume=ada.resume)
    assert isinstance(older.ended, SeatResumedError)
    assert older.changed.is_set()
    table.calls.disconnect(ada, older)
    assert ada.describe()["present"] is True


async def test_a_person_who_returns_with_another_avatar_keeps_the_seat() -> None:
    table = Table()
    ada, bo = table.join("Ada"), table.join("Bo")
    table.disconnect(bo)
    wanted = Join(type="join", name="Bo", avatar="other", resume=bo.resume)
    back = table.calls.join("us", wanted)
    assert (back.seat, back.stream.deleted, bo.stream.deleted) == (1, False, True)
    assert table.seats() == [(0, "Ada"), (1, "Bo")]
    assert ada.connection is not None


async def test_deleting_a_stream_removes_its_person_from_the_call() -> None:
    table = Table()
    ada = table.join("Ada")
    table.streams.delete(ada.stream.id)
    assert table.calls.number == 0
    assert ada.connection is not None
    assert isinstance(ada.connection.ended, StreamClosedError)


async def test_a_state_reaches_the_others_and_omitted_fields_are_kept() -> None:
    table = Table()
    ada, bo = table.join("Ada"), table.join("Bo")
    told(bo)
    direction = Direction(seat=1, yaw_rad=0.2, pitch_rad=0.0)
    table.calls.update(ada, PersonState(type="state", directions=(direction,)))
    table.calls.update(ada, PersonState(type="state", muted=True))
    assert told(bo)
    described = ada.describe()
    assert described["muted"] is True
    assert described["directions"] == [{"seat": 1, "yaw_rad": 0.2, "pitch_rad": 0.0}]
    assert ada.resume not in str(described)


async def test_a_wrong_name_or_avatar_and_too_many_streams_are_refused() -> None:
    table = Table(max_streams=1)
    for name in ("", ".hidden", "a b", "a:b", "x" * 65):
        with pytest.raises(BadMessageError, match="name of a call must be"):
            table.join(call=name)
    with pytest.raises(AvatarNotFoundError):
        table.calls.join("us", Join(type="join", name="Ada", avatar="nobody"))
    table.join("Ada")
    with pytest.raises(LimitError, match="at most 1 streams"):
        table.join("Bo")
    assert table.seats() == [(0, "Ada")]
