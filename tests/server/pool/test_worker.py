"""The worker's loop in a thread, with a socket pair and the fake engine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from models.contract.rendition import Rendition
from server.pool.channel import WorkerChannel
from server.pool.fake import FakeEngine, FakeEngineFactory, decode_image, failing, fake_state
from server.pool.jobs import (
    AttachImage,
    AttachSlots,
    DetachSlots,
    JobDone,
    JobFailed,
    Ping,
    Pong,
    RefreshJob,
    RenderJob,
    Stop,
)
from server.pool.shared_block import SharedBlock
from server.pool.worker import serve

RENDITION = Rendition("default", 64)


class Served:
    """A worker in a thread, and the server's end of its channel."""

    def __init__(self) -> None:
        ours, self._theirs = socket.socketpair()
        self._ours = ours
        self.channel = WorkerChannel(ours)
        self.engine = FakeEngine(FakeEngineFactory())
        self.thread = threading.Thread(
            target=serve, args=(FakeEngine(FakeEngineFactory()), WorkerChannel(self._theirs))
        )
        self.thread.start()

    def run(self, job: RefreshJob | RenderJob) -> object:
        self.channel.send(job)
        return self.channel.receive()

    def close(self) -> None:
        self._ours.close()
        self.thread.join(5)
        self._theirs.close()


@pytest.fixture
def worker() -> Iterator[Served]:
    served = Served()
    yield served
    served.close()
    assert not served.thread.is_alive()


def test_a_refresh_fills_the_slot_that_the_server_has_mapped(worker: Served) -> None:
    memory = worker.engine.allocate(RENDITION)
    worker.channel.send(AttachSlots(7, RENDITION, memory.handle))
    reply = worker.run(RefreshJob(1, 7, 2, fake_state(0.25), 64))
    assert isinstance(reply, JobDone)
    assert reply.job_id == 1
    assert [memory.slot(slot)["values"][0] for slot in range(3)] == [0, 0, 0.25]
    worker.channel.send(DetachSlots(7))
    memory.close()


def test_images_of_both_modes_are_written_to_the_image_block(worker: Served) -> None:
    block = SharedBlock.create(64 * 64 * 3)
    worker.channel.send(AttachImage(block.name))

    def image(job: RenderJob) -> object:
        reply = worker.run(job)
        assert isinstance(reply, JobDone)
        assert reply.shape == (64, 64, 3)
        return decode_image(np.frombuffer(bytes(block.buffer[:12288]), np.uint8).reshape(64, 64, 3))

    state, older = fake_state(0.2), fake_state(0.8)
    full = image(RenderJob(1, "default", state, "full", None))
    assert full == image(RenderJob(2, "default", state, "warp", None))
    warped = image(RenderJob(3, "default", state, "warp", older))
    assert warped != full
    assert warped == decode_image(
        FakeEngine(FakeEngineFactory()).warp_from("default", state, older)
    )
    block.close()


def test_a_failed_job_does_not_end_the_worker(worker: Served) -> None:
    job = RenderJob(5, "default", failing(fake_state()), "full", None)
    assert worker.run(job) == JobFailed(5, "this state was made to fail")
    assert worker.run(job) == JobFailed(5, "this state was made to fail")


def test_only_jobs_of_an_avatar_that_this_worker_could_not_load_fail(worker: Served) -> None:
    # The avatar was valid when the server started and invalid when this worker did.
    memory = worker.engine.allocate(RENDITION)
    worker.channel.send(AttachSlots(1, Rendition("ghost", 64), memory.handle))
    refreshed = worker.run(RefreshJob(1, 1, 0, fake_state(), 64))
    assert refreshed == JobFailed(1, "its avatar could not be loaded by this worker")
    rendered = worker.run(RenderJob(2, "ghost", fake_state(), "full", None))
    assert rendered == JobFailed(2, "avatar 'ghost' could not be loaded by this worker")
    memory.close()


def test_a_ping_is_answered(worker: Served) -> None:
    worker.channel.send(Ping())
    assert worker.channel.receive() == Pong()


def test_a_worker_exits_after_stop(worker: Served) -> None:
    worker.channel.send(Stop())
    worker.thread.join(5)
    assert not worker.thread.is_alive()


def test_a_worker_exits_when_its_channel_closes(worker: Served) -> None:
    worker.close()
    assert not worker.thread.is_alive()
