"""Frames of a session with a real pool: the first one, pacing, newest wins, stages, failures."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import numpy as np
import pytest

from server.errors import NotReadyError
from server.pool.fake import FOV_FAILS, FakeEngineFactory, decode_frame
from server.sessions import frame_loop
from tests.server.sessions.fake_server import mesh, running_server, settled, until, view

pytestmark = pytest.mark.alone  # bounds the times of frames

STEP = 2 / 255
"""Quantisation of the values drawn into an image."""


async def test_the_first_frame_is_made_as_soon_as_the_first_cache_is_ready() -> None:
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
        assert frame.nv12.shape == (96, 64)


async def test_waiting_for_the_first_frame_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_loop, "FIRST_CACHE_TIMEOUT_S", 0.1)
    async with running_server(FakeEngineFactory(refresh_s=1.0)) as server:
        session = await server.open()
        with pytest.raises(NotReadyError, match=r"no frame within 0\.1 s"):
            await session.next_frame()


async def test_a_frame_shows_the_newest_view_and_face_and_reports_their_numbers() -> None:
    async with running_server() as server:
        session = await server.open()
        await session.next_frame()
        for seq in range(1, 6):
            session.set_view(view(seq, x=seq / 10))
            server.stream.publish(mesh(10 + seq, seq / 10))
        frame = await session.next_frame()
        assert (frame.view_seq, frame.view_sent_at_ms, frame.mesh_seq) == (5, 7.5, 15)
        shown = decode_frame(frame.nv12)
        assert shown.eye_x == pytest.approx(0.5, abs=STEP)
        assert shown.jaw_open == pytest.approx(0.5, abs=STEP)


async def test_a_change_wakes_a_waiting_session_immediately() -> None:
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


async def test_a_frame_is_late_if_it_was_due_before_it_was_asked_for() -> None:
    async with running_server() as server:
        session = await server.open()
        await settled(session)
        before = session.stats()["late_frames"]
        waiting = asyncio.ensure_future(session.next_frame())
        await asyncio.sleep(0)  # until it waits
        session.set_view(view(1, x=0.1))
        assert (await waiting).view_seq == 1
        assert session.stats()["late_frames"] == before
        await settled(session)
        before = session.stats()["late_frames"]
        session.set_view(view(2, x=0.2))
        assert (await session.next_frame()).view_seq == 2
        assert session.stats()["late_frames"] == before + 1


async def test_the_view_is_sampled_when_the_warp_starts_not_when_it_is_requested() -> None:
    async with running_server(FakeEngineFactory(warp_s=0.15)) as server:
        first, second = await server.open(), await server.open()
        await until(lambda: first.slots.generation > 0 and second.slots.generation > 0)
        ahead = asyncio.ensure_future(first.next_frame())
        await asyncio.sleep(0.01)
        behind = asyncio.ensure_future(second.next_frame())
        await asyncio.sleep(0.01)
        second.set_view(view(1, x=0.5))  # while the warp of the other session occupies the thread
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
        assert other.nv12 is one.nv12
        assert other.stages_ms == {}
        assert server.pool.status().refreshes == 1, (
            "a state that is already cached was refreshed again"
        )


async def test_a_new_cache_is_shown_while_nothing_moves() -> None:
    async with running_server(FakeEngineFactory(refresh_s=0.15)) as server:
        session = await server.open()
        await session.next_frame()
        server.stream.publish(mesh(1, 0.8))
        early = await session.next_frame()
        assert decode_frame(early.nv12).cached_jaw_open == pytest.approx(0.0, abs=STEP)
        assert early.cache_age_ms > 0
        late = await session.next_frame()
        while late.repeated:
            assert late.cache_age_ms > early.cache_age_ms
            late = await session.next_frame()
        assert decode_frame(late.nv12).cached_jaw_open == pytest.approx(0.8, abs=STEP)
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


async def test_video_continues_while_the_worker_is_killed_and_replaced() -> None:
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
        if frame.repeated:  # the previous image, repeated meanwhile
            frame = await session.next_frame()
        assert frame.view_seq == 2


async def test_new_frames_are_rendered_during_a_crossfade_while_nothing_moves() -> None:
    fade_s = 0.4
    async with running_server(FakeEngineFactory(fade_s=fade_s)) as server:
        session = await server.open()
        await settled(session)
        generation = session.slots.generation
        session.set_view(view(1, x=0.2))  # also requests a new cache
        await session.next_frame()
        await until(lambda: session.slots.generation > generation)
        began, drawn = time.monotonic(), 0
        while not (await session.next_frame()).repeated:
            drawn += 1
        assert drawn > 5
        assert time.monotonic() - began > fade_s


async def test_caches_of_a_movement_are_rendered_ahead_and_settle_where_it_ends() -> None:
    speed_m_s = 0.4
    async with running_server(FakeEngineFactory(refresh_s=0.08)) as server:
        session = await server.open()
        await settled(session)
        began, seq, ahead_m = time.monotonic(), 0, []
        while (elapsed := time.monotonic() - began) < 1.0:
            seq += 1
            session.set_view(view(seq, x=speed_m_s * elapsed))
            await session.next_frame()
            ready = session.slots.ready
            assert ready is not None
            if ready.generation > 2:  # the first refreshes know neither speed nor duration
                shown_at_start = speed_m_s * (ready.made_at - began)
                ahead_m.append(float(ready.state.eye_position[0]) - shown_at_start)
            await asyncio.sleep(0.012)
        # As far as the movement goes during a refresh.
        assert 0.06 * speed_m_s < np.median(ahead_m) < 0.2 * speed_m_s
        await settled(session)
        await asyncio.sleep(0.3)
        await settled(session)
        frame = await session.next_frame()
        assert frame.cache.state.same_image(frame.inputs.state)
        refreshes = server.pool.status().refreshes
        await asyncio.sleep(0.3)
        await settled(session)
        assert server.pool.status().refreshes == refreshes
