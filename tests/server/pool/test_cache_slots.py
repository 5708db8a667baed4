"""Cache slots: the newest wins, one refresh at a time, and slots being read are not written."""

from __future__ import annotations

import time

import pytest

from models.contract.backdrop import TRANSPARENT, Backdrop
from models.contract.rendition import Rendition
from server.pool.cache_slots import CacheSlots
from server.pool.fake import FakeEngine, FakeEngineFactory, always, fake_state
from server.pool.frame import FrameSequence, Warping
from server.pool.warping import ThreadMemory

RENDITION = Rendition("default", 64)


class Owner:
    """A pool for cache slots."""

    def __init__(self) -> None:
        self.engine = FakeEngine(FakeEngineFactory())
        self.calls = 0
        self.allocated = self.engine.allocate(RENDITION)
        self.memory = ThreadMemory(self.allocated)
        self.closed_sequences: list[FrameSequence] = []
        self.slots = CacheSlots(
            1,
            RENDITION,
            "cpu",
            self.memory,
            self._changed,
            lambda *_: Warping.nothing(),
            self.closed_sequences.append,
        )

    def _changed(self, slots: CacheSlots) -> None:
        self.calls += 1

    def refresh(self) -> float:
        """Complete the pending refresh; return its generation."""
        refresh = self.slots.begin_refresh()
        self.engine.refresh(RENDITION, refresh.state, self.memory.slot(refresh.slot))
        self.slots.finish_refresh()
        ready = self.slots.ready
        assert ready is not None
        return round(float(ready.state.expression[17]), 3)


@pytest.fixture
def owner() -> Owner:
    return Owner()


def freed(owner: Owner) -> bool:
    try:
        owner.allocated.block.attach(owner.allocated.block.name).close()
    except FileNotFoundError:
        return True
    return False


def test_a_pending_request_is_replaced_by_a_newer_one(owner: Owner) -> None:
    for jaw_open in (0.1, 0.2, 0.3):
        owner.slots.request(always(fake_state(jaw_open)))
    assert owner.refresh() == 0.3
    assert not owner.slots.can_refresh
    owner.slots.close()


def test_at_most_one_refresh_is_under_way(owner: Owner) -> None:
    owner.slots.request(always(fake_state(0.1)))
    owner.slots.begin_refresh()
    owner.slots.request(always(fake_state(0.2)))
    assert not owner.slots.can_refresh
    owner.slots.finish_refresh()
    assert owner.slots.can_refresh
    owner.slots.close()


def test_the_state_is_sampled_when_the_refresh_begins(owner: Owner) -> None:
    newest = fake_state(0.1)
    owner.slots.request(lambda ahead_s: newest)
    newest = fake_state(0.9)
    assert owner.refresh() == 0.9
    owner.slots.close()


def test_the_age_of_a_cache_counts_from_when_its_state_was_sampled(owner: Owner) -> None:
    owner.slots.request(always(fake_state(0.1)))
    time.sleep(0.02)
    before = time.monotonic()
    refresh = owner.slots.begin_refresh()
    after = time.monotonic()
    time.sleep(0.02)
    owner.engine.refresh(RENDITION, refresh.state, owner.memory.slot(refresh.slot))
    owner.slots.finish_refresh()
    assert owner.slots.ready is not None
    assert before <= owner.slots.ready.made_at <= after
    assert owner.slots.ready.age_ms >= 20
    owner.slots.close()


def test_generations_count_up_and_callbacks_are_called(owner: Owner) -> None:
    notified = []
    owner.slots.on_ready.append(lambda: notified.append(owner.slots.generation))
    assert owner.slots.ready is None
    for _ in range(3):
        owner.slots.request(always(fake_state()))
        owner.refresh()
    assert notified == [1, 2, 3]
    owner.slots.close()


def test_a_refresh_whose_worker_died_is_pending_again(owner: Owner) -> None:
    owner.slots.request(always(fake_state(0.1)))
    owner.slots.begin_refresh()
    owner.slots.retry_refresh()
    assert owner.refresh() == 0.1
    owner.slots.close()


def test_a_newer_request_replaces_the_one_whose_worker_died(owner: Owner) -> None:
    owner.slots.request(always(fake_state(0.1)))
    owner.slots.begin_refresh()
    owner.slots.request(always(fake_state(0.2)))
    owner.slots.retry_refresh()
    assert owner.refresh() == 0.2
    owner.slots.close()


def test_a_refused_refresh_is_counted_and_not_repeated(owner: Owner) -> None:
    owner.slots.request(always(fake_state(0.1)))
    owner.slots.begin_refresh()
    owner.slots.fail_refresh()
    assert owner.slots.failed_refreshes == 1
    assert not owner.slots.can_refresh
    assert owner.slots.ready is None
    owner.slots.close()


def test_a_cache_being_read_keeps_its_contents(owner: Owner) -> None:
    owner.slots.request(always(fake_state(0.5)))
    owner.refresh()
    with owner.slots.reading() as cache:
        assert cache is not None
        for jaw_open in (0.6, 0.7, 0.8, 0.9):
            owner.slots.request(always(fake_state(jaw_open)))
            owner.refresh()
        assert owner.memory.slot(cache.slot)["values"][0] == 0.5
    owner.slots.close()


def test_slots_closed_during_a_warp_are_freed_afterwards(owner: Owner) -> None:
    owner.slots.request(always(fake_state(0.5)))
    owner.refresh()
    with owner.slots.reading():
        owner.slots.close()
        assert owner.slots.needs_resume
        assert not freed(owner)
    owner.slots.resume()
    assert freed(owner)
    with owner.slots.reading() as cache:
        assert cache is None


def test_slots_closed_during_a_refresh_are_freed_afterwards(owner: Owner) -> None:
    owner.slots.request(always(fake_state(0.5)))
    owner.slots.begin_refresh()
    owner.slots.close()
    owner.slots.request(always(fake_state(0.6)))
    assert not freed(owner)
    owner.slots.finish_refresh()
    assert freed(owner)


def test_viewers_with_one_backdrop_share_a_sequence_that_ends_with_the_last_of_them(
    owner: Owner,
) -> None:
    slots, green = owner.slots, Backdrop((0, 177, 64))
    first, second = slots.use_sequence(green), slots.use_sequence(green)
    clear = slots.use_sequence(TRANSPARENT)
    assert first is second
    assert [first.backdrop, clear.backdrop] == [green, TRANSPARENT]
    assert slots.use_sequence(None) is slots.sequence
    slots.release_sequence(slots.sequence)
    slots.release_sequence(first)
    assert owner.closed_sequences == []
    slots.release_sequence(second)
    assert owner.closed_sequences == [first]
    assert slots.use_sequence(green) is not first
    slots.close()
    assert {sequence.backdrop for sequence in owner.closed_sequences[1:]} == {
        None,
        green,
        TRANSPARENT,
    }
