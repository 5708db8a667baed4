"""The order in which the scheduler assigns jobs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from models.contract.rendition import Rendition
from server.errors import PoolBusyError
from server.pool.cache_slots import CacheSlots
from server.pool.fake import FakeEngine, FakeEngineFactory, always, fake_state
from server.pool.frame import Warping
from server.pool.jobs import RenderJob
from server.pool.scheduler import MOST_BEFORE_LOW_PRIORITY, PendingRender, Scheduler
from server.pool.warping import ThreadMemory

RENDITION = Rendition("default", 64)


class Setup:
    """A scheduler and the slots of three viewers."""

    def __init__(self) -> None:
        engine = FakeEngine(FakeEngineFactory())
        self.scheduler = Scheduler(max_pending=3)
        self.loop = asyncio.new_event_loop()
        self.all_slots = [
            CacheSlots(
                index,
                RENDITION,
                "cpu",
                ThreadMemory(engine.allocate(RENDITION)),
                lambda slots: None,
                lambda *_: Warping.nothing(),
                lambda _: None,
            )
            for index in range(3)
        ]

    def render(self, avatar_id: str, low_priority: bool = False) -> PendingRender:
        """Return a request for an image, identified by its avatar."""
        job = RenderJob(0, avatar_id, fake_state(), "full", None)
        return PendingRender(job, self.loop.create_future(), low_priority)

    def queue_refresh(self, *indices: int) -> None:
        for index in indices:
            self.all_slots[index].request(always(fake_state()))
            self.scheduler.queue_refresh(self.all_slots[index])

    def next_job(self) -> int | str | None:
        """Complete the next job; return the index of its slots or the avatar of its image."""
        job = self.scheduler.next_job("cpu")
        if isinstance(job, CacheSlots):
            job.begin_refresh()
            job.finish_refresh()
            return job.id
        return job.job.avatar_id if job else None

    def close(self) -> None:
        for slots in self.all_slots:
            slots.close()
        self.loop.close()


@pytest.fixture
def three() -> Iterator[Setup]:
    setup = Setup()
    yield setup
    setup.close()


def test_refreshes_rotate_even_if_one_viewer_requests_more_often(three: Setup) -> None:
    order = []
    three.queue_refresh(0, 1, 2)
    for _ in range(6):
        order.append(three.next_job())
        three.queue_refresh(0, 0)
        three.queue_refresh(1, 2)
    assert order == [0, 1, 2, 0, 1, 2]


def test_images_and_refreshes_alternate(three: Setup) -> None:
    three.queue_refresh(0, 1, 2)
    for name in "abc":
        three.scheduler.queue_render(three.render(name))
    assert [three.next_job() for _ in range(7)] == [0, "a", 1, "b", 2, "c", None]


def test_more_images_than_the_limit_are_refused(three: Setup) -> None:
    for name in "abc":
        three.scheduler.queue_render(three.render(name))
    with pytest.raises(PoolBusyError, match="3 images are waiting"):
        three.scheduler.queue_render(three.render("d"))
    three.scheduler.requeue_render(three.render("e"))  # the limit does not apply to a retry
    assert three.next_job() == "e"


def test_discarded_images_and_removed_refreshes_are_not_served(three: Setup) -> None:
    three.queue_refresh(0, 1)
    discarded = three.render("a")
    three.scheduler.queue_render(discarded)
    three.scheduler.discard_render(discarded)
    three.scheduler.discard_render(three.render("never queued"))
    three.scheduler.remove_refresh(three.all_slots[0])
    assert [three.next_job(), three.next_job()] == [1, None]


def test_slots_that_cannot_be_refreshed_are_skipped(three: Setup) -> None:
    three.queue_refresh(0, 1)
    three.all_slots[0].begin_refresh()
    assert three.next_job() == 1
    three.all_slots[0].close()
    three.all_slots[0].finish_refresh()


def test_slots_of_other_devices_wait_for_their_own_workers(three: Setup) -> None:
    three.queue_refresh(0)
    assert three.scheduler.next_job("cuda:0") is None
    assert three.scheduler.pending_refreshes == 1


def test_low_priority_images_wait_until_there_is_no_other_job(three: Setup) -> None:
    three.scheduler.queue_render(three.render("low_priority", low_priority=True))
    three.queue_refresh(0)
    three.scheduler.queue_render(three.render("image"))
    three.queue_refresh(1)
    assert [three.next_job() for _ in range(5)] == [0, "image", 1, "low_priority", None]


def test_a_viewer_who_keeps_moving_does_not_block_low_priority_images(three: Setup) -> None:
    order = []
    for name in ("first", "second"):
        three.scheduler.queue_render(three.render(name, low_priority=True))
    for _ in range(2 * MOST_BEFORE_LOW_PRIORITY + 2):
        three.queue_refresh(0)
        order.append(three.next_job())
    refreshes = [0] * MOST_BEFORE_LOW_PRIORITY
    assert order == [*refreshes, "first", *refreshes, "second"]


def test_a_low_priority_image_can_be_discarded_and_put_back(three: Setup) -> None:
    first, second = (
        three.render("first", low_priority=True),
        three.render("second", low_priority=True),
    )
    for render in (first, second):
        three.scheduler.queue_render(render)
    three.scheduler.discard_render(first)
    assert three.scheduler.pending_renders == 1
    three.scheduler.requeue_render(first)
    assert [three.next_job() for _ in range(3)] == ["first", "second", None]
