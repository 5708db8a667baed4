"""Sessions with a real pool and the fake engine, and messages of viewers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from server.admission.admission import Admission
from server.auth.grants import ANYONE
from server.errors import BadOfferError
from server.pool.fake import JAW_OPEN, FakeEngineFactory, fake_avatar
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.pool.supervisor import Timeouts
from server.protocol.states import MeshState, ViewState, neutral_mesh
from server.sessions.registry import Sessions
from server.sessions.session import Session
from server.streams.streams import Stream, Streams


class FakePeer:
    """A peer without a connection."""

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
    """A pool, streams and sessions."""

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
    """Pull frames until they no longer change."""
    async with asyncio.timeout(20):
        while not (await session.next_frame()).repeated:
            pass
