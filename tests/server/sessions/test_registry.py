"""Sessions over a real pool with the fake engine: pacing, newest wins, the first frame, the end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import ANY

import numpy as np
import pytest

from server.admission.admission import Admission
from server.auth.grants import ANYONE
from server.errors import (
    AvatarNotFoundError,
    BadOfferError,
    FullError,
    NotReadyError,
    SessionClosedError,
    SessionNotFoundError,
    StreamNotFoundError,
    TicketNotFoundError,
)
from server.pool.fake import (
    FOV_FAILS,
    JAW_OPEN,
    FakeEngineFactory,
    decode_image,
    fake_avatar,
)
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.pool.supervisor import Timeouts
from server.protocol.states import MeshState, ViewState, neutral_mesh
from server.sessions import frame_loop
from server.sessions.registry import Sessions
from server.sessions.session import Session
from server.streams.streams import Stream, Streams

STEP = 2 / 255
"""Accuracy of the numbers in an image."""


class FakePeer:
    """The WebRTC side, without WebRTC."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.fragments: list[str] = []
        self.closed = 0
        self.events: list[Mapping[str, Any]] = []

    async def answer(self, offer_sdp: str) -> str:
        await asyncio.sleep(0)
        if not offer_sdp:
            raise BadOfferError("expected SDP, got nothing")
        return f"answer to {offer_sdp}"

    async def add_candidates(self, sdp_fragment: str) -> None:
        self.fragments.append(sdp_fragment)

    def send_event(self, event: Mapping[str, Any]) -> None:
        assert not self.closed
        self.events.append(event)

    async def close(self) -> None:
        self.closed += 1


@dataclass
class Server:
    """Everything a session needs."""

    pool: RenderPool
    streams: Streams
    sessions: Sessions
    admission: Admission
    stream: Stream

    async def open(self) -> Session:
        session, _ = await self.sessions.open("s", FakePeer, "offer", ANYONE)
        return session


@asynccontextmanager
async def running_server(
    factory: FakeEngineFactory | None = None,
    fps: float = 200.0,
    max_sessions: int = 4,
    timeouts: Timeouts | None = None,
) -> AsyncIterator[Server]:
    settings = PoolSettings(workers=1, timeouts=timeouts or Timeouts())
    pool = RenderPool(settings, factory or FakeEngineFactory())
    await pool.start()
    streams = Streams(pool.avatars)
    admission = Admission(max_sessions)
    sessions = Sessions(streams, pool, fps, admission)
    try:
        yield Server(pool, streams, sessions, admission, streams.create("default", "s"))
    finally:
        await sessions.close_all()
        await pool.close()


def view(seq: int, x: float = 0.0, fov_y_rad: float | None = None) -> ViewState:
    return ViewState(
        seq=seq,
        sent_at_ms=1.5 * seq,
        received_at=time.monotonic(),
        eye_rotation=np.array([0, 0, 0, 1], np.float32),
        eye_position=np.array([x, 0, 0.7], np.float32),
        fov_y_rad=fov_y_rad,
    )


def mesh(seq: int, jaw_open: float = 0.0) -> MeshState:
    expression = np.zeros(52, np.float32)
    expression[JAW_OPEN] = jaw_open
    neutral = neutral_mesh(fake_avatar())
    return replace(neutral, seq=seq, expression=expression, received_at=time.monotonic())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.002)


async def settled(session: Session) -> None:
    """Pull frames until nothing is new any more."""
    async with asyncio.timeout(20):
        while not (await session.next_frame()).repeated:
            pass


async def test_the_first_frame_comes_as_soon_as_the_first_cache_is_there() -> None:
    async with running_server() as server:  # the worker is still starting
        session = await server.open()
        began = time.monotonic()
        frame = await session.next_frame()
        ready = session.slots.ready
        assert ready is not None
        assert time.monotonic() - began < 10
        assert not frame.repeated
        assert (frame.view_seq, frame.mesh_seq, frame.view_sent_at_ms) == (None, None, None)
        assert frame.cache_age_ms == 0.0
        assert frame.rgb.shape == (64, 64, 3)


async def test_the_first_frame_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_loop, "FIRST_CACHE_TIMEOUT_S", 0.1)
    async with running_server(FakeEngineFactory(refresh_s=1.0)) as server:
        session = await server.open()
        with pytest.raises(NotReadyError, match=r"no frame within 0\.1 s"):
            await session.next_frame()


async def test_a_frame_shows_the_newest_view_and_face_and_names_them() -> None:
    async with running_server() as server:
        session = await server.open()
        await session.next_frame()
        for seq in range(1, 6):
            session.set_view(view(seq, x=seq / 10))
            server.stream.publish(mesh(10 + seq, seq / 10))
        frame = await session.next_frame()
        assert (frame.view_seq, frame.view_sent_at_ms, frame.mesh_seq) == (5, 7.5, 15)
        shown = decode_image(frame.rgb)
        assert shown.eye_x == pytest.approx(0.5, abs=STEP)
        assert shown.jaw_open == pytest.approx(0.5, abs=STEP)


async def test_a_change_wakes_a_waiting_session_at_once() -> None:
    async with running_server() as server:
        session = await server.open()
        await settled(session)
        delays = []
        for seq in range(1, 8):
            waiting = asyncio.ensure_future(session.next_frame())
            await asyncio.sleep(0.02)
            began = time.monotonic()
            session.set_view(view(seq, x=0.01 * seq))
            frame = await waiting
            delays.append(time.monotonic() - began)
            assert frame.view_seq == seq
            await settled(session)
        assert sorted(delays)[len(delays) // 2] < 0.01


async def test_the_view_is_sampled_when_the_warp_begins_not_when_it_was_requested() -> None:
    async with running_server(FakeEngineFactory(warp_s=0.15)) as server:
        first, second = await server.open(), await server.open()
        await until(lambda: first.slots.generation > 0 and second.slots.generation > 0)
        ahead = asyncio.ensure_future(first.next_frame())
        await asyncio.sleep(0.01)
        behind = asyncio.ensure_future(second.next_frame())
        await asyncio.sleep(0.01)
        second.set_view(view(1, x=0.5))  # while the other one's warp has the thread
        await ahead
        frame = await behind
        assert frame.view_seq == 1
        assert frame.stages_ms["queue"] > 50


async def test_the_frame_rate_does_not_exceed_its_maximum() -> None:
    async with running_server(fps=50) as server:
        session = await server.open()
        await session.next_frame()
        began, frames, seq = time.monotonic(), 0, 0

        async def update() -> None:
            nonlocal seq
            while True:
                seq += 1
                session.set_view(view(seq, x=0.001 * (seq % 100)))
                await asyncio.sleep(0.002)

        moving = asyncio.ensure_future(update())
        while time.monotonic() - began < 1.0:
            await session.next_frame()
            frames += 1
        moving.cancel()
        assert 35 <= frames <= 56


async def test_mesh_frames_do_not_delay_the_frames_of_new_views() -> None:
    async with running_server(fps=20) as server:
        session = await server.open()
        await settled(session)
        waits_ms = []
        for seq in range(1, 12):
            waiting = asyncio.ensure_future(session.next_frame())
            session.set_view(view(seq, x=0.01 * seq))
            frame = await waiting
            assert frame.view_seq == seq
            waits_ms.append(frame.stages_ms["wait"])
            await asyncio.sleep(0.025)
            server.stream.publish(mesh(seq, 0.05 * seq))
            await asyncio.sleep(0.025)
        assert np.median(waits_ms[1:]) < 5


async def test_an_unchanged_frame_is_repeated_every_100_ms_without_a_warp() -> None:
    async with running_server() as server:
        session = await server.open()
        await settled(session)
        began = time.monotonic()
        one, other = await session.next_frame(), await session.next_frame()
        assert 0.15 < time.monotonic() - began < 0.5
        assert one.repeated
        assert other.rgb is one.rgb
        assert other.stages_ms == {}
        assert server.pool.status().refreshes == 1, (
            "a state that is cached already was cached again"
        )


async def test_a_new_cache_is_shown_although_nothing_moves() -> None:
    async with running_server(FakeEngineFactory(refresh_s=0.15)) as server:
        session = await server.open()
        await session.next_frame()
        server.stream.publish(mesh(1, 0.8))
        early = await session.next_frame()
        assert decode_image(early.rgb).cached_jaw_open == pytest.approx(0.0, abs=STEP)
        assert early.cache_age_ms > 0
        late = await session.next_frame()
        while late.repeated:
            assert late.cache_age_ms > early.cache_age_ms
            late = await session.next_frame()
        assert decode_image(late.rgb).cached_jaw_open == pytest.approx(0.8, abs=STEP)
        assert late.cache_age_ms == 0.0


async def test_stages_report_the_time_of_each_step() -> None:
    async with running_server(FakeEngineFactory(warp_s=0.03)) as server:
        session = await server.open()
        await session.next_frame()
        session.set_view(view(1, x=0.3))
        began = time.monotonic()
        frame = await session.next_frame()
        elapsed_ms = (time.monotonic() - began) * 1e3
        assert set(frame.stages_ms) == {"wait", "queue", "raster", "warp", "hand_over"}
        assert 30 <= frame.stages_ms["warp"] <= elapsed_ms
        assert min(frame.stages_ms.values()) >= 0
        assert sum(frame.stages_ms.values()) == pytest.approx(elapsed_ms, abs=15)


async def test_a_viewer_may_drive_the_face() -> None:
    async with running_server() as server:
        session, other = await server.open(), await server.open()
        server.stream.publish(mesh(1, 0.2))
        assert session.set_mesh(mesh(7, 0.9))
        driven, watched = await session.next_frame(), await other.next_frame()
        assert driven.mesh_seq == 7
        assert decode_image(driven.rgb).jaw_open == pytest.approx(0.9, abs=STEP)
        assert decode_image(watched.rgb).jaw_open == pytest.approx(0.2, abs=STEP)


async def test_video_goes_on_while_the_worker_is_killed_and_comes_back() -> None:
    async with running_server() as server:
        session = await server.open()
        await session.next_frame()
        worker = server.pool.status().workers[0].pid
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        generation, seq, longest = session.slots.generation, 0, 0.0
        began = time.monotonic()
        while session.slots.generation < generation + 3 and time.monotonic() - began < 20:
            seq += 1
            session.set_view(view(seq, x=0.001 * (seq % 500)))
            before = time.monotonic()
            frame = await session.next_frame()
            longest = max(longest, time.monotonic() - before)
            assert frame.view_seq == seq
        assert session.slots.generation >= generation + 3
        assert longest < 0.3
        assert server.pool.status().workers[0].restarts == 1


async def test_a_state_the_renderer_refuses_does_not_end_the_session() -> None:
    async with running_server() as server:
        session = await server.open()
        await session.next_frame()
        session.set_view(view(1, fov_y_rad=FOV_FAILS))
        waiting = asyncio.ensure_future(session.next_frame())
        await until(lambda: session.stats()["failed_frames"] > 0)
        session.set_view(view(2, x=0.3))
        frame = await waiting
        if frame.repeated:  # the image before, sent again meanwhile
            frame = await session.next_frame()
        assert frame.view_seq == 2


async def test_statistics_are_of_this_session() -> None:
    async with running_server() as server:
        session = await server.open()
        assert session.stats()["state"] == "starting"
        await session.next_frame()
        for seq in (1, 2, 2, 1, 3):
            session.set_view(view(seq))
            await session.next_frame()
        session.note_stage("encode", 1.5)
        stats = session.stats()
        assert (stats["state"], stats["stream"], stats["avatar"]) == ("running", "s", "default")
        assert stats["views"] == {"accepted": 3, "dropped": 2}
        assert stats["frames"] >= 4
        assert stats["fps"] > 0
        assert stats["cache_age_ms"]["p95"] >= stats["cache_age_ms"]["p50"] >= 0
        assert stats["stages_ms"]["encode"] == {"p50": 1.5, "p95": 1.5}
        assert stats["refreshes"]["done"] == session.slots.generation
        assert stats["refreshes"]["failed"] == 0


async def test_opening_answers_the_offer_and_closing_closes_the_peer_and_the_slots() -> None:
    async with running_server() as server:
        session, answer = await server.sessions.open("s", FakePeer, "offer", ANYONE)
        assert answer == "answer to offer"
        assert server.sessions.get(session.id) is session
        await server.sessions.add_candidates(session.id, "a=candidate")
        peer = session.peer
        assert isinstance(peer, FakePeer)
        assert peer.fragments == ["a=candidate"]
        await session.next_frame()
        waiting = asyncio.ensure_future(session.next_frame())
        await asyncio.sleep(0)
        await server.sessions.close(session.id)
        with pytest.raises(SessionClosedError):
            await waiting
        with pytest.raises(SessionClosedError):
            await session.next_frame()
        with pytest.raises(SessionNotFoundError):
            server.sessions.get(session.id)
        assert peer.closed == 1
        assert server.pool.status().open_slots == 0
        assert server.stream.watchers == []
        assert server.stream.on_deleted == []
        assert session.stats()["state"] == "closed"


async def test_a_bad_offer_leaves_nothing_behind() -> None:
    async with running_server() as server:
        with pytest.raises(BadOfferError):
            await server.sessions.open("s", FakePeer, "", ANYONE)
        with pytest.raises(StreamNotFoundError):
            await server.sessions.open("unknown", FakePeer, "offer", ANYONE)
        assert server.sessions.list() == ()
        assert server.pool.status().open_slots == 0


def fail() -> None:
    raise OSError("a part that fails")


async def fail_later() -> None:
    fail()


@pytest.mark.parametrize("part", ["peer", "viewer state", "membership", "end of the stream"])
async def test_a_part_that_fails_to_close_leaves_no_session_slot_or_memory_in_use(
    part: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running_server() as server:
        session = await server.open()
        await session.next_frame()
        peer = session.peer
        assert isinstance(peer, FakePeer)
        if part == "peer":
            monkeypatch.setattr(peer, "close", fail_later)
        elif part == "viewer state":
            monkeypatch.setattr(session._viewer_state, "close", fail)
        elif part == "membership":
            monkeypatch.setattr(session._membership, "_transition", "not a group")
        else:
            session.stream.on_deleted.clear()
        await server.sessions.close(session.id)
        assert server.admission.admitted == 0
        assert server.pool.status().open_slots == 0
        assert server.sessions.list() == ()
        assert peer.closed == (part != "peer")
        assert session.stream.watchers == ([] if part != "viewer state" else [ANY])
        (record,) = (r for r in caplog.records if r.levelname == "ERROR")
        assert record.exc_info is not None
        assert "a part did not close" in record.message


async def test_a_session_is_closed_completely_if_its_caller_is_cancelled() -> None:
    async with running_server() as server:
        session = await server.open()
        closing = asyncio.create_task(server.sessions.close(session.id))
        await asyncio.sleep(0)
        closing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing
        await server.sessions.close_all()
        assert isinstance(session.peer, FakePeer)
        assert session.peer.closed == 1
        assert server.admission.admitted == 0


async def test_more_sessions_than_the_limit_are_refused() -> None:
    async with running_server(max_sessions=2) as server:
        first = await server.open()
        await server.open()
        with pytest.raises(FullError, match="all 2 places for viewers are taken"):
            await server.open()
        await server.sessions.close(first.id)
        await server.open()


async def test_a_session_slot_is_freed_if_its_session_cannot_be_opened() -> None:
    async with running_server(max_sessions=1) as server:
        with pytest.raises(BadOfferError):
            await server.sessions.open("s", FakePeer, "", ANYONE)
        server.stream.avatar = fake_avatar("unknown")
        watchers = len(server.stream.watchers)
        with pytest.raises(AvatarNotFoundError):
            await server.open()
        assert len(server.stream.watchers) == watchers
        server.stream.avatar = fake_avatar()
        await server.open()


async def test_a_ticket_stays_valid_only_if_the_connection_failed() -> None:
    async with running_server(max_sessions=1) as server:
        first = await server.open()
        ticket = server.admission.join(ANYONE).ticket
        await server.sessions.close(first.id)
        for watched in (False, True):
            assert server.admission.poll(ticket.id, ANYONE).position == 0
            session, _ = await server.sessions.open("s", FakePeer, "offer", ANYONE, ticket.id)
            if watched:
                session.set_view(view(1))
            await server.sessions.close(session.id)
        with pytest.raises(TicketNotFoundError):
            server.admission.poll(ticket.id, ANYONE)


async def test_a_peer_that_ends_and_a_deleted_stream_end_their_sessions() -> None:
    async with running_server() as server:
        first, second = await server.open(), await server.open()
        first.end()
        first.end()
        await until(lambda: len(server.sessions.list()) == 1)
        server.streams.delete("s")
        await until(lambda: server.sessions.list() == ())
        assert first.closed
        assert second.closed


async def test_viewers_are_told_why_their_stream_was_deleted_before_they_are_cut_off() -> None:
    async with running_server() as server:
        session, other = await server.open(), await server.open()
        other.end()
        await until(lambda: server.sessions.list() == (session,))
        server.streams.delete("s", "its avatar was deleted")
        await until(lambda: session.closed)
        assert isinstance(session.peer, FakePeer)
        assert session.peer.closed == 0  # the event is on its way
        await server.sessions.close_all()
        assert session.peer.closed == 1
        detail = "the stream was deleted: its avatar was deleted"
        assert session.peer.events == [{"type": "ended", "detail": detail}]
        assert isinstance(other.peer, FakePeer)
        assert other.peer.events == []


async def test_nobody_is_admitted_while_workers_cannot_start() -> None:
    timeouts = Timeouts(backoff_s=0.01, max_backoff_s=0.02)
    factory = FakeEngineFactory(builds_in_workers=False)
    async with running_server(factory, timeouts=timeouts) as server:
        await until(lambda: server.pool.failing)
        with pytest.raises(NotReadyError, match="no memory left"):
            await server.open()
        assert server.sessions.list() == ()


async def test_new_frames_are_rendered_during_a_crossfade_although_nothing_moves() -> None:
    fade_s = 0.4
    async with running_server(FakeEngineFactory(fade_s=fade_s)) as server:
        session = await server.open()
        await settled(session)
        generation = session.slots.generation
        session.set_view(view(1, x=0.2))  # asks for a new cache with its frame
        await session.next_frame()
        await until(lambda: session.slots.generation > generation)
        began, drawn = time.monotonic(), 0
        while not (await session.next_frame()).repeated:
            drawn += 1
        assert drawn > 5
        assert time.monotonic() - began > fade_s
