"""A session: one viewer, pulling frames of the newest state as fast as its track sends them.

Knows of WebRTC only that there is a `Peer` to negotiate with. The way of a frame here is the
latency of the product: from the moment something is new to a finished picture there is one hop,
into the warp thread and back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from server.auth.grants import Grant, Scope
from server.errors import (
    MayNotDriveError,
    NotReadyError,
    RenderError,
    SessionClosedError,
)
from server.pool.frame import Frame
from server.pool.pool import CacheSlots, RenderPool
from server.protocol.states import FrameInputs, MeshState, ViewState
from server.sessions.frame_metrics import FrameMetrics
from server.sessions.pacing import FramePacing
from server.sessions.recent import Rate, RecentPercentiles
from server.sessions.view_sharing import GroupMembership, ViewGroups
from server.sessions.viewer_state import ViewerState
from server.streams.streams import Stream

logger = logging.getLogger(__name__)

__all__ = ["Frame", "Peer", "Session", "ViewState"]

IDLE_REFRESH_S = 0.1
"""A still picture is sent again this often: Chromium never asks for a first frame it lost."""
FIRST_CACHE_S = 20.0
"""So long the first frame waits for its cache."""


class Peer(Protocol):
    """The WebRTC side of a session."""

    async def answer(self, offer_sdp: str) -> str:
        """Take the viewer's offer, return the answer, and start pulling frames."""

    async def add_candidates(self, sdp_fragment: str) -> None:
        """Take trickled ICE candidates."""

    def send_event(self, event: Mapping[str, Any]) -> None:
        """Send an event to the viewer, or drop it where that is not possible now."""

    async def close(self) -> None:
        """End the connection and stop pulling frames."""


@dataclass
class _Figures:
    frames: int = 0
    repeated: int = 0
    failed: int = 0
    refused_meshes: int = 0
    rate: Rate = field(default_factory=Rate)
    refresh_rate: Rate = field(default_factory=Rate)
    cache_age_ms: RecentPercentiles = field(default_factory=RecentPercentiles)
    stages_ms: defaultdict[str, RecentPercentiles] = field(
        default_factory=lambda: defaultdict(RecentPercentiles)
    )

    def add(self, frame: Frame) -> None:
        self.frames += 1
        self.rate.count()
        self.cache_age_ms.add(frame.cache_age_ms)
        for stage, elapsed_ms in frame.stages_ms.items():
            self.stages_ms[stage].add(elapsed_ms)


class Session:
    """One viewer of one stream: its newest view, its seat among the caches, its frames.

    Args:
        session_id: Names it in URLs; whoever knows it may end the session.
        stream: What is watched.
        pool: Renders it.
        vantages: Of the stream.
        fps: At most so many frames per second.
        ended: Called by `end`.
        viewer: Who opened it, and what it may do here.
        metrics: Of all sessions together.
    """

    def __init__(
        self,
        session_id: str,
        stream: Stream,
        pool: RenderPool,
        vantages: ViewGroups,
        fps: float,
        ended: Callable[[Session], None],
        viewer: Grant,
        metrics: FrameMetrics,
    ) -> None:
        self.id = session_id
        self.stream = stream
        self.viewer = viewer
        self.peer: Peer | None = None
        self.closed = False
        self.target_bitrate: int | None = None
        """What the encoder aims at, bits a second; None where nobody sets it."""
        self._pool = pool
        self.most_fps = fps
        self._pace = FramePacing(fps)
        self._ended = ended
        self._scene = ViewerState(stream, self._on_change)
        try:
            place = self._scene.sample().state
            self._seat = GroupMembership(
                vantages, stream.avatar.id, place, self._on_cache, self.end
            )
        except BaseException:
            self._scene.close()
            raise
        self._figures = _Figures()
        self._metrics = metrics
        self._changed_at = time.monotonic()
        self._refreshed = (0, 0)
        """Cache line and inputs of the last refresh."""
        self._shown = (0, 0, 0)
        """Inputs, cache line and generation of the last picture."""
        self._fading = False
        """Whether that cache is still coming in."""
        self._last: Frame | None = None
        self._waiter: asyncio.Future[None] | None = None
        stream.on_deleted.append(self.end)
        self._keep_fresh()  # the first cache is made while the peers still negotiate

    @property
    def line(self) -> CacheSlots:
        """The caches it is drawn from, perhaps shared."""
        return self._seat.line

    @property
    def avatar(self) -> AvatarInfo:
        """Who is watched."""
        return self.stream.avatar

    @property
    def log_ids(self) -> dict[str, str]:
        """What to log with every line about it; see `server/logs.py`."""
        return {"session": self.id, "stream": self.stream.id}

    @property
    def fps(self) -> float:
        """Frames a second that it gets at present."""
        return self._figures.rate.per_s()

    @property
    def watched(self) -> bool:
        """Whether its viewer has got through: has ever sent a view."""
        return self._scene.counters.views > 0

    def set_view(self, view: ViewState) -> bool:
        """Take the viewer's pose, unless it comes late or twice; such are counted."""
        # First, since whoever waits for news asks the pace when to show it.
        self._pace.viewer_moved(view.received_at)
        accepted = self._scene.set_view(view)
        self._metrics.view(accepted)
        return accepted

    def set_mesh(self, mesh: MeshState) -> bool:
        """Let the viewer drive the face, unless it comes late or twice; see `ViewerState.set_mesh`.

        Raises:
            MayNotDriveError: If the viewer may only watch; such are counted.
        """
        if not self.viewer.allows(Scope.DRIVE):
            self._figures.refused_meshes += 1
            raise MayNotDriveError("expected views only: your token has no scope drive")
        return self._scene.set_mesh(mesh)

    async def next_frame(self) -> Frame:
        """Wait until there is something new to show and draw it; one caller at a time.

        Returns at once where something is new and the last frame is long enough ago, at most
        `fps` times per second, and every `IDLE_REFRESH_S` while nothing changes.

        Raises:
            SessionClosedError: If the session has ended.
            NotReadyError: If no worker made the first cache within `FIRST_CACHE_S`.
        """
        await self._first_cache()
        while True:
            await self._until_due()
            if self._last is not None and not self._has_news():
                return self._repeat(self._last)
            frame = await self._draw()
            if frame is not None:
                return frame

    def note_stage(self, stage: str, elapsed_ms: float) -> None:
        """Add a stage that happens outside, such as `encode`, to the statistics."""
        self._figures.stages_ms[stage].add(elapsed_ms)
        self._metrics.stage(stage, elapsed_ms)

    def note_sent(self, size_bytes: int) -> None:
        """Count video that has gone out."""
        self._metrics.sent(size_bytes)

    def stats(self) -> dict[str, Any]:
        """State and figures of about the last ten seconds, as JSON values."""
        figures, counters = self._figures, self._scene.counters
        return {
            "id": self.id,
            "stream": self.stream.id,
            "avatar": self.avatar.id,
            "state": "closed" if self.closed else "running" if self._last else "starting",
            "target_kbps": self.target_bitrate and round(self.target_bitrate / 1000),
            "frames": figures.frames,
            "repeated_frames": figures.repeated,
            "failed_frames": figures.failed,
            "fps": self.fps,
            "cache_age_ms": figures.cache_age_ms.percentiles(),
            "stages_ms": {k: v.percentiles() for k, v in figures.stages_ms.items()},
            "views": {"accepted": counters.views, "dropped": counters.views_dropped},
            "meshes": {
                "accepted": counters.meshes,
                "dropped": counters.meshes_dropped,
                "refused": figures.refused_meshes,
            },
            "refreshes": {
                "done": self.line.generation,
                "failed": self.line.failed,
                "shared_by": self._seat.viewers,
                "per_s": figures.refresh_rate.per_s(),
            },
        }

    def end(self) -> None:
        """Have the session closed soon; for the peer to call when its connection is gone."""
        if not self.closed:
            self._ended(self)

    def close(self) -> None:
        """Stop drawing and give the caches back; `next_frame` raises from now on."""
        if self.closed:
            return
        self.closed = True
        self.stream.on_deleted.remove(self.end)
        self._scene.close()
        self._seat.close()
        self._last = None
        self._wake()

    def _on_change(self) -> None:
        self._changed_at = time.monotonic()
        self._wake()

    def _on_cache(self) -> None:
        self._figures.refresh_rate.count()
        self._on_change()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _keep_fresh(self) -> None:
        """Ask for a cache of the newest state, unless there is one, or it was asked for already."""
        line = self._seat.wanted
        if self._refreshed == (line.id, self._scene.revision):
            return
        ready = line.ready
        if ready is None or not ready.state.same_image(self._scene.sample().state):
            line.request(partial(self._sample_for_refresh, line.id))

    def _sample_for_refresh(self, slots_id: int) -> FrameState:
        sampled = self._scene.sample()
        self._refreshed = slots_id, sampled.revision
        return sampled.state

    def _has_news(self) -> bool:
        return self._fading or self._shown != self._showing(self._scene.revision)

    def _showing(self, revision: int) -> tuple[int, int, int]:
        return revision, self.line.id, self.line.generation

    async def _first_cache(self) -> None:
        give_up_at = asyncio.get_running_loop().time() + FIRST_CACHE_S
        while self.line.ready is None and not self.closed:
            if asyncio.get_running_loop().time() >= give_up_at:
                why = self._pool.reason or "the workers are too busy"
                raise NotReadyError(f"no picture within {FIRST_CACHE_S:g} s: {why}")
            self._keep_fresh()
            await self._sleep_until(give_up_at)

    async def _until_due(self) -> None:
        """Wait for news and for the pace, or for the time to send a still picture again."""
        now_s = asyncio.get_running_loop().time
        still_until = now_s() + IDLE_REFRESH_S
        while not self.closed:
            due_at = self._news_due_at() if self._has_news() else still_until
            if now_s() >= due_at:
                break
            await self._sleep_until(due_at)
        if self.closed:
            raise SessionClosedError(f"session {self.id} has ended")
        if self._has_moved():
            self._pace.view_frame_begins(now_s())
        else:
            self._pace.frame_begins(now_s())

    def _news_due_at(self) -> float:
        return self._pace.view_due_at_s if self._has_moved() else self._pace.due_at_s

    def _has_moved(self) -> bool:
        """Whether there is a view that no frame has shown."""
        view = self._scene.view
        return view is not None and (self._last is None or view.seq != self._last.view_seq)

    async def _sleep_until(self, due_at: float) -> None:
        """Sleep until then, or until woken by a change."""
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = loop.call_at(due_at, self._wake)
        try:
            await self._waiter
        finally:
            timer.cancel()
            self._waiter = None

    async def _draw(self) -> Frame | None:
        """Warp the newest cache to the newest inputs; None if the renderer refuses the state."""
        requested_at, changed_at = time.monotonic(), self._changed_at
        inputs = self._scene.sample()
        self._seat.move(inputs.state, self._scene.drives_itself())
        line = self.line

        def sample() -> FrameInputs:
            nonlocal inputs  # a failure belongs to what was sampled last
            inputs = self._scene.sample()
            return inputs

        warping = self._pool.submit_warp(line, self._seat.sequence, sample)
        self._keep_fresh()  # while the warp is under way
        try:
            frame = await warping
        except RenderError as exc:
            self._note_failure(inputs, exc)
            return None
        if frame is None:
            raise SessionClosedError(f"session {self.id} has ended")
        self._complete(frame, requested_at, changed_at)
        self._shown = frame.inputs.revision, line.id, frame.cache.generation
        self._fading = frame.fading
        self._last = frame
        self._figures.add(frame)
        self._metrics.drawn(frame.cache_age_ms, frame.stages_ms)
        return frame

    @staticmethod
    def _complete(frame: Frame, requested_at: float, changed_at: float) -> None:
        """Add the stages that only the session knows."""
        frame.rendered_at = time.monotonic()
        elapsed_ms = (frame.rendered_at - requested_at) * 1e3
        in_warp_thread_ms = sum(frame.stages_ms.values())
        frame.stages_ms = {
            "wait": (requested_at - changed_at) * 1e3,
            **frame.stages_ms,
            "hand_over": max(0.0, elapsed_ms - in_warp_thread_ms),
        }
        current = frame.cache.state.same_image(frame.inputs.state)
        frame.cache_age_ms = 0.0 if current else frame.cache.age_ms

    def _note_failure(self, inputs: FrameInputs, exc: RenderError) -> None:
        if not self._figures.failed:  # once; from then on they are only counted
            logger.warning("session %s: a frame failed: %s", self.id, exc, extra=self.log_ids)
        self._figures.failed += 1
        self._metrics.failed()
        self._shown = self._showing(inputs.revision)
        self._fading = False

    def _repeat(self, last: Frame) -> Frame:
        """Return the last frame once more: it still shows the newest state."""
        self._figures.repeated += 1
        self._metrics.repeated()
        self._figures.rate.count()
        age_ms = last.cache.age_ms if last.cache_age_ms else 0.0
        return replace(last, cache_age_ms=age_ms, stages_ms={}, repeated=True)
