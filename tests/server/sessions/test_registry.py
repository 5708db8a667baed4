"""Sessions with a real pool and the fake engine: opening, statistics and end."""

from __future__ import annotations

import asyncio
from unittest.mock import ANY

import pytest

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
from server.pool.fake import FakeEngineFactory, decode_frame, fake_avatar
from server.pool.supervisor import Timeouts
from tests.server.sessions.fake_server import FakePeer, mesh, running_server, until, view

STEP = 2 / 255
"""Accuracy of the numbers in an image."""


async def test_a_viewer_may_drive_the_face() -> None:
    async with running_server() as server:
        session, other = await server.open(), await server.open()
        server.stream.publish(mesh(1, 0.2))
        assert session.set_mesh(mesh(7, 0.9))
        driven, watched = await session.next_frame(), await other.next_frame()
        assert driven.mesh_seq == 7
        assert decode_frame(driven.nv12).jaw_open == pytest.approx(0.9, abs=STEP)
        assert decode_frame(watched.nv12).jaw_open == pytest.approx(0.2, abs=STEP)


async def test_statistics_count_this_session_only() -> None:
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


async def test_a_bad_offer_leaves_no_session_and_no_slots() -> None:
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
async def test_a_part_that_fails_to_close_does_not_keep_the_session_slot_or_memory_in_use(
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
        with pytest.raises(FullError, match="all 2 session slots are in use"):
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


async def test_viewers_are_told_why_their_stream_was_deleted_before_they_are_disconnected() -> None:
    async with running_server() as server:
        session, other = await server.open(), await server.open()
        other.end()
        await until(lambda: server.sessions.list() == (session,))
        server.streams.delete("s", "its avatar was deleted")
        await until(lambda: session.closed)
        assert isinstance(session.peer, FakePeer)
        assert session.peer.closed == 0  # the event is being sent
        await server.sessions.close_all()
        assert session.peer.closed == 1
        detail = "the stream was deleted: its avatar was deleted"
        assert session.peer.events == [{"type": "ended", "detail": detail}]
        assert isinstance(other.peer, FakePeer)
        assert other.peer.events == []


async def test_no_viewer_is_admitted_while_workers_cannot_start() -> None:
    timeouts = Timeouts(backoff_s=0.01, max_backoff_s=0.02)
    factory = FakeEngineFactory(builds_in_workers=False)
    async with running_server(factory, timeouts=timeouts) as server:
        await until(lambda: server.pool.failing)
        with pytest.raises(NotReadyError, match="no memory left"):
            await server.open()
        assert server.sessions.list() == ()
