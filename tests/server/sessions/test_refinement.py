"""RefinedViewer stills of unchanged images: when they are rendered, their size, and sharing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from io import BytesIO
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from models.contract.frame_state import FrameState
from models.contract.images import RgbImage
from server.admission.admission import Admission
from server.auth.grants import ANYONE
from server.errors import (
    PoolBusyError,
    RenderError,
    SessionClosedError,
    StillNotFoundError,
    TelewarpError,
)
from server.pool.fake import FakeEngineFactory, decode_image, fake_avatar, fake_state
from server.pool.frame import Frame
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.sessions import refinement
from server.sessions.refinement import STILL_AFTER_S, Refinement
from server.sessions.registry import Sessions
from server.sessions.session import Session
from server.sessions.stills import LONGEST_RENDER_MS, Stills
from server.streams.streams import Stream, Streams
from tests.server.sessions.fake_server import FakePeer, mesh, until, view

LARGEST = 512
AVATAR = replace(fake_avatar(), resolution=320)


@dataclass
class FakeRenders:
    """A fake pool: records requests, and completes them once `may_finish` is set."""

    refresh_ms: float | None = 1.0
    refresh_px: int = 320
    error: TelewarpError | None = None
    requests: list[tuple[FrameState, int]] = field(default_factory=list)
    may_finish: asyncio.Event = field(default_factory=asyncio.Event)

    def status(self) -> SimpleNamespace:
        worker = SimpleNamespace(last_refresh_ms=self.refresh_ms, last_refresh_size=self.refresh_px)
        return SimpleNamespace(workers=[worker])

    async def render_low_priority(self, avatar_id: str, state: FrameState, size: int) -> RgbImage:
        self.requests.append((state, size))
        await self.may_finish.wait()
        if self.error is not None:
            raise self.error
        return np.full((size, size, 3), 90, np.uint8)


class RefinedViewer:
    """The refinement of one viewer, and its reports."""

    def __init__(self, stills: Stills, display_px: int = 300) -> None:
        self.ready = 0
        self.frame_px = AVATAR.resolution
        self.failures: list[TelewarpError] = []
        self.refinement = Refinement(
            AVATAR, lambda: self.frame_px, stills, self._note_ready, self.failures.append
        )
        self.refinement.display_px = display_px

    def _note_ready(self) -> None:
        self.ready += 1


def stills_from(images: FakeRenders) -> Stills:
    return Stills(images, LARGEST)  # type: ignore[arg-type]  # only these two methods are called


def decoded(jpeg: bytes) -> RgbImage:
    with Image.open(BytesIO(jpeg)) as image:
        return np.array(image)


async def test_an_unchanged_image_is_refined_once() -> None:
    images = FakeRenders()
    images.may_finish.set()
    viewer, state = RefinedViewer(stills_from(images)), fake_state(0.2)
    assert viewer.refinement.frame_shows(state) is None
    await until(lambda: viewer.ready == 1)
    # Repeated equal views make different state objects of the same image.
    assert viewer.refinement.frame_shows(replace(state)) == 1
    assert viewer.refinement.frame_shows(state) == 1
    assert images.requests == [(state, 320)]
    still = viewer.refinement.still
    assert still is not None
    assert decoded(still.jpeg).shape == (still.size, still.size, 3) == (320, 320, 3)


async def test_a_movement_drops_the_still_and_any_pending_one() -> None:
    images = FakeRenders()
    viewer = RefinedViewer(stills_from(images))
    viewer.refinement.frame_shows(fake_state(0.1))
    await until(lambda: len(images.requests) == 1)
    viewer.refinement.frame_shows(fake_state(0.2))
    images.may_finish.set()
    await until(lambda: viewer.ready == 1)
    newest = fake_state(0.3)
    assert viewer.refinement.frame_shows(newest) is None
    assert viewer.refinement.still is None
    await until(lambda: viewer.ready == 2)
    assert viewer.refinement.frame_shows(newest) == 2
    assert len(images.requests) == 3


async def test_a_continuously_moving_face_is_never_refined(monkeypatch: pytest.MonkeyPatch) -> None:
    began = 0

    def begin(refinement: Refinement) -> None:
        nonlocal began
        began += 1

    monkeypatch.setattr(Refinement, "_begin", begin)
    viewer = RefinedViewer(stills_from(FakeRenders()))
    for index in range(50):
        viewer.refinement.frame_shows(fake_state(index / 50))
        await asyncio.sleep(0)
    assert began == 0
    await until(lambda: began == 1)


async def test_viewers_of_the_same_image_share_one_render_until_the_last_one_moves() -> None:
    images = FakeRenders()
    stills, state = stills_from(images), fake_state(0.4)
    one, other, larger = (
        RefinedViewer(stills),
        RefinedViewer(stills),
        RefinedViewer(stills, display_px=500),
    )
    for viewer in (one, other, larger):
        viewer.refinement.frame_shows(state)
    await until(lambda: len(images.requests) == 2)
    assert sorted(size for _, size in images.requests) == [320, 512]
    one.refinement.close()
    images.may_finish.set()
    await until(lambda: other.ready == larger.ready == 1)
    assert one.ready == 0


async def test_a_failed_still_is_reported_and_the_next_one_is_rendered() -> None:
    images = FakeRenders(error=RenderError("this state was made to fail"))
    images.may_finish.set()
    viewer = RefinedViewer(stills_from(images))
    viewer.refinement.frame_shows(fake_state(0.1))
    await until(lambda: viewer.failures == [images.error])
    images.error = None
    viewer.refinement.frame_shows(fake_state(0.2))
    await until(lambda: viewer.ready == 1)


async def test_a_still_without_a_free_worker_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(refinement, "RETRY_S", 0.01)
    images = FakeRenders(error=PoolBusyError("expected a free worker, got none"))
    images.may_finish.set()
    viewer, state = RefinedViewer(stills_from(images)), fake_state(0.1)
    viewer.refinement.frame_shows(state)
    await until(lambda: len(viewer.failures) == 2)
    images.error = None
    await until(lambda: viewer.ready == 1)
    assert viewer.refinement.frame_shows(state) == 1


@pytest.mark.parametrize(
    ("display_px", "refresh_ms", "expected"),
    [
        (300, 10.0, 320),
        (100, 10.0, 256),
        (4000, 10.0, 512),
        (4000, LONGEST_RENDER_MS / 1.5, 384),
        (4000, LONGEST_RENDER_MS * 100, 320),
        (300, LONGEST_RENDER_MS * 100, 320),
        (4000, None, 320),
    ],
)
async def test_the_size_depends_on_the_display_the_limit_and_the_time_of_a_refresh(
    display_px: int, refresh_ms: float | None, expected: int
) -> None:
    assert stills_from(FakeRenders(refresh_ms)).size_for(AVATAR, 320, display_px) == expected


async def test_the_time_of_a_still_is_predicted_from_a_refresh_of_smaller_frames() -> None:
    # A quarter of the pixels of a still of 512, in a quarter of the allowed time.
    stills = stills_from(FakeRenders(LONGEST_RENDER_MS / 4, refresh_px=256))
    assert stills.size_for(AVATAR, 256, 4000) == 512


async def test_no_still_is_smaller_than_the_frames() -> None:
    stills, sharp = stills_from(FakeRenders()), replace(AVATAR, resolution=LARGEST + 32)
    assert stills.size_for(sharp, LARGEST + 32, display_px=800) is None
    assert stills.size_for(sharp, LARGEST + 32, display_px=400) == 416
    assert stills.size_for(AVATAR, 768, display_px=800) is None


class Watching(NamedTuple):
    """A session of a running server, and its stream."""

    session: Session
    stream: Stream
    pool: RenderPool

    async def frame_with_still(self) -> Frame:
        """Return the first frame with a still."""
        async with asyncio.timeout(20):
            while (frame := await self.session.next_frame()).still is None:
                pass
        return frame


@asynccontextmanager
async def watching(largest: int) -> AsyncIterator[Watching]:
    # The avatar is as large as the stills, so that their size does not depend on the machine.
    factory = FakeEngineFactory((replace(fake_avatar(), resolution=LARGEST),))
    pool = RenderPool(PoolSettings(workers=1, rest=0, largest_image=largest), factory)
    await pool.start()
    streams = Streams(pool.avatars)
    stills = Stills(pool, largest) if largest else None
    sessions = Sessions(streams, pool, 200.0, Admission(4), stills)
    stream = streams.create("default", "s")
    try:
        session, _ = await sessions.open("s", FakePeer, "offer", ANYONE)
        yield Watching(session, stream, pool)
    finally:
        await sessions.close_all()
        await pool.close()


async def test_frames_refer_to_a_still_of_the_displays_size_while_they_show_the_same_image() -> (
    None
):
    async with watching(LARGEST) as viewer:
        session = viewer.session
        for _ in range(3):  # before the viewer has sent its size
            assert (await session.next_frame()).still is None
        session.set_view(view(1, x=0.5))
        session.set_display(390)
        frame = await viewer.frame_with_still()
        assert (frame.view_seq, frame.repeated, frame.still) == (1, True, 1)
        rgb = decoded(session.take_still(1).jpeg)
        assert rgb.shape == (416, 416, 3)
        assert decode_image(rgb).eye_x == pytest.approx(0.5, abs=0.03)

        viewer.stream.publish(mesh(1, jaw_open=0.5))
        moved = await session.next_frame()
        assert (moved.mesh_seq, moved.still) == (1, None)
        with pytest.raises(StillNotFoundError, match="no still 1, or the face has moved"):
            session.take_still(1)
        assert (await viewer.frame_with_still()).still == 2

        session.set_display(5000)
        while (await viewer.frame_with_still()).still == 2:
            pass
        assert session.take_still(3).size == LARGEST
        assert session.stats()["stills"] == {"sent": 2, "failed": 0}


async def test_a_frame_that_is_finished_after_the_session_has_ended_starts_no_still() -> None:
    async with watching(LARGEST) as viewer:
        session = viewer.session
        session.set_display(300)
        last = await session.next_frame()
        session.set_view(view(1, x=0.5))
        frame = asyncio.ensure_future(session.next_frame())
        await asyncio.sleep(0)
        session.close()
        with suppress(SessionClosedError):
            assert (await frame).still is None
        assert last.still is None
        await asyncio.sleep(2 * STILL_AFTER_S)
        assert viewer.pool.status().renders == 0


async def test_no_still_is_rendered_if_stills_are_disabled() -> None:
    async with watching(largest=0) as viewer:
        viewer.session.set_display(300)
        for _ in range(4):
            assert (await viewer.session.next_frame()).still is None
        assert viewer.pool.status().renders == 0
