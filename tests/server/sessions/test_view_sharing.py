"""Viewers with similar views share caches and images, and split without missing a frame."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

import numpy as np
import pytest

from models.contract.backdrop import TRANSPARENT, Backdrop
from models.contract.images import layered_rows
from server.admission.admission import Admission
from server.auth.grants import ANYONE
from server.errors import PoolBusyError
from server.pool.cache_slots import CacheSlots
from server.pool.fake import JAW_OPEN, FakeEngineFactory, decode_frame, fake_avatar
from server.pool.frame import Frame
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.protocol.states import MeshState, ViewState, neutral_mesh
from server.sessions import frame_size, load_limit
from server.sessions import view_sharing as view_sharing_module
from server.sessions.registry import Sessions
from server.sessions.session import Session
from server.sessions.viewer_channel import frame_event
from server.streams.streams import Stream, Streams
from tests.server.sessions.fake_server import settled

JOIN_S = 0.05
STEP = 2 / 255


class UnconnectedPeer:
    """A peer without a connection; tests pull the frames."""

    async def answer(self, offer_sdp: str) -> str:
        return "answer"

    async def add_candidates(self, sdp_fragment: str) -> None:
        raise AssertionError("nobody trickles here")

    def send_event(self, event: Mapping[str, Any]) -> None:
        """No viewer receives events."""

    async def close(self) -> None:
        """Nothing was opened."""


@dataclass
class Server:
    pool: RenderPool
    sessions: Sessions
    stream: Stream
    admission: Admission

    async def open(self, backdrop: Backdrop | None = None, display_px: int = 0) -> Session:
        session, _ = await self.sessions.open(
            "s",
            lambda _: UnconnectedPeer(),
            "offer",
            ANYONE,
            backdrop=backdrop,
            display_px=display_px,
        )
        return session

    @property
    def open_slots(self) -> int:
        return self.pool.status().open_slots


@pytest.fixture(autouse=True)
def quick_to_join(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view_sharing_module, "JOIN_S", JOIN_S)


@asynccontextmanager
async def running_server(
    factory: FakeEngineFactory | None = None, largest_frame: int = 320
) -> AsyncIterator[Server]:
    settings = PoolSettings(workers=1, rest=0, largest_frame=largest_frame)
    pool = RenderPool(settings, factory or FakeEngineFactory())
    await pool.start()
    streams = Streams(pool.avatars)
    admission = Admission(8)
    sessions = Sessions(streams, pool, 200.0, admission)
    try:
        yield Server(pool, sessions, streams.create("default", "s"), admission)
    finally:
        await sessions.close_all()
        assert pool.status().open_slots == 0
        await pool.close()


def view(seq: int, x: float = 0.0) -> ViewState:
    return ViewState(
        seq=seq,
        sent_at_ms=None,
        received_at=time.monotonic(),
        eye_rotation=np.array([0, 0, 0, 1], np.float32),
        eye_position=np.array([x, 0, 0.7], np.float32),
    )


def mesh(seq: int, jaw_open: float) -> MeshState:
    expression = np.zeros(52, np.float32)
    expression[JAW_OPEN] = jaw_open
    neutral = neutral_mesh(fake_avatar())
    return replace(neutral, seq=seq, expression=expression, received_at=time.monotonic())


async def frames_until_split(session: Session, other: Session) -> None:
    """Pull frames until the session uses its own caches."""
    async with asyncio.timeout(20):
        while session.slots is other.slots:
            await session.next_frame()


async def frames_until_open(server: Server, count: int, sessions: list[Session]) -> list[Frame]:
    """Pull frames of a moving face until `count` sets of cache slots are open."""
    frames: list[Frame] = []
    async with asyncio.timeout(20):
        while server.open_slots != count:
            server.stream.publish(mesh(server.stream.counters.accepted + 1, 0.5))
            frames += await asyncio.gather(*(session.next_frame() for session in sessions))
    return frames


async def test_viewers_with_equal_views_share_caches_and_images() -> None:
    async with running_server(FakeEngineFactory(warp_s=0.01, refresh_s=0.05)) as server:
        crowd = [await server.open() for _ in range(4)]
        await asyncio.gather(*(session.next_frame() for session in crowd))
        assert server.open_slots == 1
        generation, drawn = crowd[0].slots.generation, 0
        for seq in range(1, 6):
            server.stream.publish(mesh(seq, seq / 10))
            for frame in await asyncio.gather(*(session.next_frame() for session in crowd)):
                assert frame.mesh_seq == seq
                assert decode_frame(frame.nv12).jaw_open == pytest.approx(seq / 10, abs=STEP)
                drawn += frame.stages_ms["warp"] > 0
        assert 5 <= drawn <= 5 + crowd[0].slots.generation - generation


async def test_viewers_with_similar_views_share_caches_but_not_images() -> None:
    async with running_server() as server:
        one, other = await server.open(), await server.open()
        await one.next_frame()
        other.set_view(view(1, x=0.009))
        shown = decode_frame((await other.next_frame()).nv12)
        assert shown.eye_x == pytest.approx(0.009, abs=STEP)
        assert server.open_slots == 1


async def test_a_viewer_who_moves_away_gets_a_frame_immediately_and_then_its_own_caches() -> None:
    async with running_server(FakeEngineFactory(refresh_s=0.1)) as server:
        stays, leaves = await server.open(), await server.open()
        await asyncio.gather(stays.next_frame(), leaves.next_frame())
        leaves.set_view(view(1, x=0.5))
        began = time.monotonic()
        first = decode_frame((await leaves.next_frame()).nv12)
        assert time.monotonic() - began < 0.09, "the frame waited for a cache of its own"
        assert first.eye_x == pytest.approx(0.5, abs=STEP)
        assert first.cached_eye_x == pytest.approx(0, abs=STEP)
        async with asyncio.timeout(20):
            while decode_frame((await leaves.next_frame()).nv12).cached_eye_x < 0.4:
                assert decode_frame((await stays.next_frame()).nv12).eye_x == pytest.approx(
                    0, abs=STEP
                )
        assert server.open_slots == 2
        assert leaves.slots is not stays.slots


@contextmanager
def without_memory(pool: RenderPool, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Refuse to open cache slots meanwhile."""

    def refuse(avatar_id: str, size: int) -> CacheSlots:
        raise PoolBusyError("no shared memory for 32.5 MB more")

    with monkeypatch.context() as patch:
        patch.setattr(pool, "open_slots", refuse)
        yield


@pytest.mark.parametrize("how", ["moves away", "sends its own mesh"])
async def test_a_viewer_without_memory_for_its_own_caches_keeps_its_video_and_splits_later(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_sharing_module, "SPLIT_RETRY_S", 0.05)
    async with running_server() as server:
        stays, leaves = await server.open(), await server.open()
        await asyncio.gather(stays.next_frame(), leaves.next_frame())
        with without_memory(server.pool, monkeypatch):
            for seq in range(1, 4):
                if how == "moves away":
                    leaves.set_view(view(seq, x=0.5))
                else:
                    leaves.set_mesh(mesh(seq, 0.5))
                shown = decode_frame((await leaves.next_frame()).nv12)
                assert (shown.eye_x, shown.jaw_open) == pytest.approx(
                    (0.5, 0) if how == "moves away" else (0, 0.5), abs=STEP
                )
                await asyncio.sleep(0.06)
            assert leaves.slots is stays.slots
            assert leaves.stats()["failed_splits"] == 3
        await frames_until_open(server, 2, [stays, leaves])
        await frames_until_split(leaves, stays)
        await server.sessions.close(leaves.id)
        assert not server.sessions.list()[0].closed
    assert server.admission.admitted == 0


async def test_a_split_that_failed_is_repeated_although_nothing_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view_sharing_module, "SPLIT_RETRY_S", 0.3)
    async with running_server() as server:
        stays, leaves = await server.open(), await server.open()
        await asyncio.gather(stays.next_frame(), leaves.next_frame())
        with without_memory(server.pool, monkeypatch):
            leaves.set_view(view(1, x=0.5))
            await settled(leaves)
            assert leaves.slots is stays.slots
            assert leaves.stats()["failed_splits"] >= 1
        await frames_until_split(leaves, stays)


async def test_a_viewer_who_returns_joins_again_without_missing_a_frame() -> None:
    async with running_server() as server:
        one, other = await server.open(), await server.open()
        await asyncio.gather(one.next_frame(), other.next_frame())
        other.set_view(view(1, x=0.5))
        await frames_until_open(server, 2, [one, other])
        other.set_view(view(2, x=0.0))
        began = time.monotonic()
        frames = await frames_until_open(server, 1, [one, other])
        assert time.monotonic() - began >= JOIN_S
        assert other.slots is one.slots
        assert len(frames) > 2
        assert not other.closed


async def test_a_viewer_that_passes_a_shared_view_does_not_join_it() -> None:
    async with running_server() as server:
        stays, walker = await server.open(), await server.open()
        walker.set_view(view(1, x=0.4))
        await asyncio.gather(stays.next_frame(), walker.next_frame())
        await frames_until_split(walker, stays)
        before = stays.slots, walker.slots
        for seq, x in enumerate((0.3, 0.01, 0.0, -0.01, -0.3), start=2):
            walker.set_view(view(seq, x=x))
            shown = decode_frame((await walker.next_frame()).nv12)
            assert shown.eye_x == pytest.approx(x, abs=STEP)
            assert (stays.slots, walker.slots) == before
        assert server.open_slots == 2


async def test_a_viewers_own_mesh_frames_are_not_shown_to_others() -> None:
    async with running_server() as server:
        one, other = await server.open(), await server.open()
        await asyncio.gather(one.next_frame(), other.next_frame())
        other.set_mesh(mesh(1, 0.9))
        assert decode_frame((await other.next_frame()).nv12).jaw_open == pytest.approx(
            0.9, abs=STEP
        )
        async with asyncio.timeout(20):
            while decode_frame((await other.next_frame()).nv12).cached_jaw_open < 0.8:
                pass
        assert server.open_slots == 2
        server.stream.publish(mesh(1, 0.1))
        seen = decode_frame((await one.next_frame()).nv12)
        assert (seen.jaw_open, seen.cached_jaw_open) < (0.2, 0.2)


@pytest.mark.parametrize("first", [0, 1])
async def test_after_either_viewer_disconnects_the_other_keeps_its_frames(first: int) -> None:
    async with running_server() as server:
        crowd = [await server.open(), await server.open()]
        await asyncio.gather(*(session.next_frame() for session in crowd))
        crowd[1].set_view(view(1, x=0.5))
        await crowd[1].next_frame()  # warped from the shared caches
        await server.sessions.close(crowd[first].id)
        left = crowd[1 - first]
        server.stream.publish(mesh(1, 0.4))
        shown = decode_frame((await left.next_frame()).nv12)
        assert shown.jaw_open == pytest.approx(0.4, abs=STEP)
        await frames_until_open(server, 1, [left])


async def test_a_viewer_whose_shared_caches_close_before_its_queued_warp_keeps_its_video() -> None:
    async with running_server(FakeEngineFactory(warp_s=0.3, refresh_s=0.1)) as server:
        stays, leaves, other = [await server.open() for _ in range(3)]
        other.set_view(view(1, x=-0.5))
        await asyncio.gather(*(session.next_frame() for session in (stays, leaves, other)))
        await frames_until_split(other, stays)
        other.set_view(view(2, x=-0.6))
        busy = asyncio.create_task(other.next_frame())  # the next warp waits for this one
        await asyncio.sleep(0.02)
        leaves.set_view(view(1, x=0.5))
        shown = asyncio.create_task(leaves.next_frame())
        await asyncio.sleep(0.02)
        shared = stays.slots
        assert leaves.slots is shared
        await server.sessions.close(stays.id)
        assert not shared.closed
        async with asyncio.timeout(20):
            frame = await shown
        assert shared.closed
        assert decode_frame(frame.nv12).eye_x == pytest.approx(0.5, abs=STEP)
        await busy


async def test_every_frame_of_a_crossfade_is_warped() -> None:
    async with running_server(FakeEngineFactory(fade_s=1.0)) as server:
        session = await server.open()
        await session.next_frame()
        generation = session.slots.generation
        server.stream.publish(mesh(1, 0.3))
        async with asyncio.timeout(20):
            while session.slots.generation == generation:
                await session.next_frame()
        one = await session.next_frame()
        await asyncio.sleep(0.02)
        other = await session.next_frame()
        assert not one.repeated
        assert not other.repeated
        assert other.nv12 is not one.nv12


async def test_viewers_with_different_backdrops_share_caches_but_not_frames() -> None:
    green = Backdrop((0, 177, 64))
    async with running_server() as server:
        own = await server.open()
        over = [await server.open(green), await server.open(green)]
        clear = await server.open(TRANSPARENT)
        assert server.open_slots == 1
        plain = await own.next_frame()
        first, second = [await session.next_frame() for session in over]
        layered = await clear.next_frame()
        assert first.nv12 is second.nv12
        assert first.nv12.shape == plain.nv12.shape
        assert (first.nv12 != plain.nv12).any()
        assert layered.nv12.shape == (layered_rows(64) * 3 // 2, 64)
        for session in over:
            await server.sessions.close(session.id)
        assert (await own.next_frame()).nv12.shape == plain.nv12.shape


async def test_only_viewers_with_equal_frame_sizes_share_caches() -> None:
    async with running_server() as server:
        own, small, other = [await server.open(display_px=px) for px in (0, 200, 256)]
        assert server.open_slots == 2
        assert small.slots is other.slots
        frames = await asyncio.gather(*(s.next_frame() for s in (own, small, other)))
        assert [frame.nv12.shape[1] for frame in frames] == [64, 256, 256]
        assert frames[1].nv12 is frames[2].nv12
        # A viewer who moves away and back keeps its size, and joins viewers of that size only.
        other.set_view(view(1, x=0.5))
        await frames_until_open(server, 3, [own, small, other])
        other.set_view(view(2, x=0.0))
        frames = await frames_until_open(server, 2, [own, small, other])
        assert small.slots is other.slots
        assert {frame.nv12.shape[1] for frame in frames[2::3]} == {256}


async def widths_until(width: int, session: Session) -> list[int]:
    """Pull frames until one is `width` wide; return their widths, pixels."""
    widths: list[int] = []
    async with asyncio.timeout(20):
        while not widths or widths[-1] != width:
            widths.append((await session.next_frame()).nv12.shape[1])
    return widths


async def test_a_viewer_whose_display_changes_gets_frames_of_the_old_size_until_there_is_a_cache(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_size, "CHANGE_INTERVAL_S", 0.05)
    async with running_server(FakeEngineFactory(refresh_s=0.1, fade_s=0.2)) as server:
        stays, resized = [await server.open(display_px=200) for _ in range(2)]
        await asyncio.gather(stays.next_frame(), resized.next_frame())
        assert server.open_slots == 1
        resized.set_display(300)
        resized.set_view(view(1, x=0.004))
        widths = await widths_until(320, resized)
        assert set(widths[:-1]) == {256}, "no frame was shown while the first cache was made"
        assert (resized.size, stays.size, server.open_slots) == (320, 256, 2)
        stays.set_view(view(1, x=0.002))
        assert (await stays.next_frame()).nv12.shape[1] == 256
        # Existing caches are used immediately, also while nothing else changes.
        resized.set_display(256)
        assert set(await widths_until(256, resized)) <= {256, 320}
        assert resized.slots is stays.slots
        assert server.open_slots == 1
        frame = await resized.next_frame()
        assert decode_frame(frame.nv12).eye_x == pytest.approx(0.004, abs=STEP)


async def test_a_viewer_without_memory_for_larger_frames_keeps_the_old_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view_sharing_module, "SPLIT_RETRY_S", 0.05)
    async with running_server() as server:
        session = await server.open(display_px=200)
        await session.next_frame()
        with without_memory(server.pool, monkeypatch):
            session.set_display(300)
            async with asyncio.timeout(20):
                while not session.stats()["failed_splits"]:
                    assert (await session.next_frame()).nv12.shape[1] == 256
        assert set((await widths_until(320, session))[:-1]) <= {256}
        assert server.open_slots == 1


async def test_a_viewer_keeps_its_backdrop_when_it_splits_and_joins() -> None:
    async with running_server() as server:
        own, clear = await server.open(), await server.open(TRANSPARENT)
        await asyncio.gather(own.next_frame(), clear.next_frame())
        clear.set_view(view(1, x=0.5))
        frames = await frames_until_open(server, 2, [own, clear])
        clear.set_view(view(2, x=0.0))
        frames += await frames_until_open(server, 1, [own, clear])
        assert clear.slots is own.slots
        frames += await asyncio.gather(own.next_frame(), clear.next_frame())
        rows = layered_rows(64) * 3 // 2
        assert {len(frame.nv12) for frame in frames[::2]} == {96}
        assert {len(frame.nv12) for frame in frames[1::2]} == {rows}


async def test_frames_become_smaller_while_they_take_longer_than_the_changes_they_show(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_size, "CHANGE_INTERVAL_S", 0.05)
    monkeypatch.setattr(frame_size, "_SPAN_S", 0.1)
    monkeypatch.setattr(load_limit, "_FEWEST_PER_S", 0.0)
    monkeypatch.setattr(load_limit, "_SLOW_S", 0.2)
    monkeypatch.setattr(load_limit, "_PATIENCE_S", 0.2)
    async with running_server(FakeEngineFactory(warp_s=0.02), largest_frame=384) as server:
        session = await server.open(display_px=384)
        frame, seqs = await session.next_frame(), count(1)

        def move() -> None:
            session.set_view(view(seq := next(seqs), x=0.001 * (seq % 9)))

        async with asyncio.timeout(40):
            while frame.nv12.shape[1] != 320:
                move()  # before the next frame is requested, so that it is late
                frame = await session.next_frame()
            assert session.stats()["lowered_from"] == frame_event(frame)["lowered_from"] == 384
            while frame.nv12.shape[1] != 384:
                pulled = asyncio.ensure_future(session.next_frame())
                # In proportion to this machine's speed, so that there is time for larger frames on
                # a busy machine, too.
                await asyncio.sleep(4 * sum(frame.stages_ms.values()) / 1e3)
                move()
                frame = await pulled
        assert session.stats()["lowered_from"] is None
        assert "lowered_from" not in frame_event(frame)
