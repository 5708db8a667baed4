"""Overload by a factor of two: frame rate and refreshes fall, latency does not grow.

The renderer sleeps instead of computing, so that its capacity is known exactly and load of the
machine changes little: queued frames would add hundreds of milliseconds.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from server.admission.admission import Admission
from server.auth.grants import ANYONE
from server.encoding.h264 import H264Encoder, open_x264
from server.pool.fake import FakeEngineFactory
from server.pool.pool import RenderPool
from server.pool.settings import PoolSettings
from server.protocol.states import ViewState
from server.sessions.registry import Sessions
from server.sessions.session import Session
from server.streams.streams import Streams
from server.transport.webrtc.track import RenderTrack

WARP_S = 0.05
REFRESH_S = 0.1
FPS = 10
"""One session requests half of the capacity; four request twice the capacity."""
VIEW_S = 0.01


@dataclass
class Viewer:
    """A viewer that pulls encoded frames as aiortc does, and sends views all the time."""

    number: int
    session: Session
    track: RenderTrack
    sent_at: dict[int, float] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    cache_ages_ms: list[float] = field(default_factory=list)
    refreshes: int = 0
    """Number of new caches during the measurement."""

    async def look_around(self) -> None:
        for seq in range(1, 100_000):
            self.sent_at[seq] = time.monotonic()
            self.session.set_view(a_view(seq, self.number))
            await asyncio.sleep(VIEW_S)

    async def watch(self) -> None:
        """Pull frames; record the age of each one's view when it is encoded."""
        while True:
            await self.track.recv()
            newest = self.track.newest
            assert newest is not None
            if newest.view_seq is not None and not newest.repeated:
                sent_at = self.sent_at[newest.view_seq]
                self.latencies_s.append(time.monotonic() - sent_at)
                self.cache_ages_ms.append(newest.cache_age_ms)


def a_view(seq: int, viewer: int) -> ViewState:
    """Return the view of a viewer: all differ, because equal views would share frames."""
    return ViewState(
        seq=seq,
        sent_at_ms=None,
        received_at=time.monotonic(),
        eye_rotation=np.array([0, 0, 0, 1], np.float32),
        eye_position=np.array([(seq % 100) / 100, 0.1 * viewer, 0.7], np.float32),
    )


class Unconnected:
    """A peer without a connection; the test pulls its frames."""

    async def answer(self, offer_sdp: str) -> str:
        return "answer"

    async def add_candidates(self, sdp_fragment: str) -> None:
        raise AssertionError("no viewer sends candidates")

    def send_event(self, event: Mapping[str, Any]) -> None:
        """No viewer receives events."""

    async def close(self) -> None:
        """Nothing was opened."""


@asynccontextmanager
async def moving_viewers(viewers: int) -> AsyncIterator[list[Viewer]]:
    """Run viewers of one stream that move all the time."""
    pool = RenderPool(
        PoolSettings(workers=1), FakeEngineFactory(refresh_s=REFRESH_S, warp_s=WARP_S)
    )
    await pool.start()
    streams = Streams(pool.avatars)
    streams.create("default", "s")
    sessions = Sessions(streams, pool, FPS, Admission(viewers))
    crowd = []
    with ThreadPoolExecutor(2) as executor:
        for number in range(viewers):
            session, _ = await sessions.open("s", lambda _: Unconnected(), "offer", ANYONE)
            encoder = H264Encoder(
                64, 64, fps=FPS, bitrate=400_000, highest_bitrate=400_000, open_codec=open_x264
            )
            track = RenderTrack(session, encoder, executor, lambda error: pytest.fail(str(error)))
            crowd.append(Viewer(number, session, track))
        movements = [asyncio.create_task(viewer.look_around()) for viewer in crowd]
        watching = [asyncio.create_task(viewer.watch()) for viewer in crowd]
        try:
            async with asyncio.timeout(20):
                while not all(viewer.latencies_s for viewer in crowd):
                    await asyncio.sleep(0.01)
            yield crowd
        finally:
            for task in (*movements, *watching):
                task.cancel()
            await asyncio.gather(*movements, *watching, return_exceptions=True)
            for viewer in crowd:
                viewer.track.stop()
            await sessions.close_all()
            await pool.close()


async def frames_of(viewers: int, seconds: float) -> list[Viewer]:
    async with moving_viewers(viewers) as crowd:
        before = [viewer.session.slots.generation for viewer in crowd]
        for viewer in crowd:
            viewer.latencies_s.clear()
            viewer.cache_ages_ms.clear()
        await asyncio.sleep(seconds)
        for viewer, generation in zip(crowd, before, strict=True):
            viewer.refreshes = viewer.session.slots.generation - generation
        return crowd


async def test_twofold_load_lowers_the_frame_rate_but_not_the_latency() -> None:
    (alone,) = await frames_of(1, seconds=2)
    crowd = await frames_of(4, seconds=4)
    longest_s = 2 * np.percentile(alone.latencies_s, 95)
    latencies_s = [latency_s for viewer in crowd for latency_s in viewer.latencies_s]
    # With the view of the time of the request, this would be four times as long.
    assert np.percentile(latencies_s, 95) <= longest_s
    assert max(np.median(viewer.latencies_s) for viewer in crowd) <= longest_s
    assert min(np.median(viewer.cache_ages_ms) for viewer in crowd) > np.median(alone.cache_ages_ms)
    frames = [len(viewer.latencies_s) for viewer in crowd]
    assert max(frames) <= 0.75 * FPS * 4, "the frame rate did not fall: this was no overload"
    assert max(frames) - min(frames) <= 2, "one viewer gets more frames than another"
    refreshes = [viewer.refreshes for viewer in crowd]
    assert max(refreshes) - min(refreshes) <= 2, "one viewer gets more caches than another"
