"""Whose turn it is."""

from __future__ import annotations

import pytest

from server.errors import PoolBusyError
from server.pool.cache_slots import CacheSlots
from server.pool.fake import FakeEngine, FakeEngineFactory, always, fake_state
from server.pool.scheduler import Scheduler


class Lines:
    """Three lines that always want the next refresh."""

    def __init__(self) -> None:
        engine = FakeEngine(FakeEngineFactory())
        self.scheduler: Scheduler[str] = Scheduler(max_waiting=3)
        self.lines = [
            CacheSlots(index, "default", "cpu", engine.allocate("default"), lambda line: None)
            for index in range(3)
        ]

    def want(self, *indices: int) -> None:
        for index in indices:
            self.lines[index].request(always(fake_state()))
            self.scheduler.want(self.lines[index])

    def next(self) -> int | str | None:
        """Do what is next at once; gives the line's index or the picture."""
        job = self.scheduler.next("cpu")
        if isinstance(job, CacheSlots):
            job.begin_refresh()
            job.finish_refresh()
            return job.id
        return job

    def close(self) -> None:
        for line in self.lines:
            line.close()


@pytest.fixture
def three() -> Lines:
    return Lines()


def test_lines_are_served_in_rotation_even_if_one_asks_more_often(three: Lines) -> None:
    order = []
    three.want(0, 1, 2)
    for _ in range(6):
        order.append(three.next())
        three.want(0, 0)
        three.want(1, 2)
    assert order == [0, 1, 2, 0, 1, 2]
    three.close()


def test_pictures_and_refreshes_alternate(three: Lines) -> None:
    three.want(0, 1, 2)
    for picture in "abc":
        three.scheduler.put(picture)
    assert [three.next() for _ in range(7)] == [0, "a", 1, "b", 2, "c", None]
    three.close()


def test_more_pictures_than_may_wait_are_refused(three: Lines) -> None:
    for picture in "abc":
        three.scheduler.put(picture)
    with pytest.raises(PoolBusyError, match="3 pictures are waiting"):
        three.scheduler.put("d")
    three.scheduler.put_back("e")  # its worker died: it had its place already
    assert three.next() == "e"
    three.close()


def test_a_discarded_picture_and_a_forgotten_line_are_not_served(three: Lines) -> None:
    three.want(0, 1)
    three.scheduler.put("a")
    three.scheduler.discard("a")
    three.scheduler.discard("never put")
    three.scheduler.forget(three.lines[0])
    assert [three.next(), three.next()] == [1, None]
    three.close()


def test_a_line_that_cannot_be_refreshed_gives_way(three: Lines) -> None:
    three.want(0, 1)
    three.lines[0].begin_refresh()
    assert three.next() == 1
    three.close()
    three.lines[0].finish_refresh()


def test_lines_of_other_devices_wait_for_their_own_workers(three: Lines) -> None:
    three.want(0)
    assert three.scheduler.next("cuda:0") is None
    assert three.scheduler.waiting_lines == 1
    three.close()
