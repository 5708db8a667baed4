"""A session: one viewer who pulls frames of the newest state as fast as the track sends them.

A session uses WebRTC only through `Peer`. Its path of a frame sets the latency of the product:
from a change of the inputs to the finished frame there is a single thread handover, to the warp
thread and back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from server.auth.grants import Grant, Scope
from server.errors import (
    MayNotDriveError,
    NotReadyError,
    PoolBusyError,
    RenderError,
    SessionClosedError,
    StillNotFoundError,
    TelewarpError,
)
from server.pool.cache_slots import CacheSlots
from server.pool.carrier import Warping
from server.pool.frame import Frame
from server.pool.pool import RenderPool
from server.protocol.states import FrameInputs, MeshState, ViewState
from server.sessions.network_figures import NetworkFigures
from server.sessions.pacing import FramePacing
from server.sessions.peer import Peer
from server.sessions.refinement import RefinedStill, Refinement
from server.sessions.statistics import FrameMetrics, SessionStatistics
from server.sessions.stills import Stills
from server.sessions.view_sharing import GroupMembership, ViewGroups
from server.sessions.viewer_state import ViewerState
from server.streams.streams import Stream

logger = logging.getLogger(__name__)

REPEAT_INTERVAL_S = 0.1
"""Interval at which an unchanged frame is repeated. Chromium never requests a first frame again
that was lost."""
FIRST_CACHE_TIMEOUT_S = 20.0
"""Longest time that the first frame waits for its cache."""


class Session:
    """One viewer of one stream: its state, its membership in a view group and its frames.

    Args:
        session_id: Identifies the session in URLs; anyone who has it may end the session.
        stream: The stream to show.
        pool: Renders the frames.
        groups: The view groups of the stream.
        fps: Maximum number of frames per second.
        ended: Called by `end`.
        viewer: The viewer's identity and scopes.
        metrics: Shared by all sessions.
        stills: Renders refined stills; None for none.
    """

    def __init__(
        self,
        session_id: str,
        stream: Stream,
        pool: RenderPool,
        groups: ViewGroups,
        fps: float,
        ended: Callable[[Session], object],
        viewer: Grant,
        metrics: FrameMetrics,
        stills: Stills | None = None,
    ) -> None:
        self.id = session_id
        self.stream = stream
        self.viewer = viewer
        self.peer: Peer | None = None
        self.closed = False
        self.ended_because: str | None = None
        """What to tell the viewer at the end, where there is something to tell."""
        self._handshake_complete = False
        self.target_bitrate: int | None = None
        """Target of the encoder, bits per second; None until the transport sets it."""
        self.network: NetworkFigures | None = None
        """As the viewer has reported last; None for one that does not report."""
        self._pool = pool
        self.max_fps = fps
        self._pacing = FramePacing(fps)
        self._ended = ended
        self._viewer_state = ViewerState(stream, self._on_change)
        try:
            view = self._viewer_state.sample().state
            self._membership = GroupMembership(
                groups, stream.avatar.id, view, self._on_cache, self.end
            )
        except BaseException:
            self._viewer_state.close()
            raise
        self._statistics = SessionStatistics(metrics)
        self._metrics = metrics
        self._changed_at = time.monotonic()
        self._refreshed = (0, 0)
        """Cache slots and input revision of the last requested refresh."""
        self._displayed = (0, 0, 0)
        """Input revision, cache slots and cache generation of the last frame."""
        self._fading = False
        """Whether the crossfade to that cache is still in progress."""
        self._last_frame: Frame | None = None
        # A future and not an Event: a timer and a change may both end the same wait, and the next
        # wait starts without a stale signal.
        self._wakeup: asyncio.Future[None] | None = None
        self._warping: Warping | None = None
        """The frame that is being warped."""
        self._stills = stills
        self._refinement: Refinement | None = None
        """None until the viewer tells how large it shows the frames."""
        self._announces = False
        """Whether a frame must tell at once that a still is ready."""
        stream.on_deleted.append(self._on_stream_deleted)
        self._request_refresh()  # now, so that the first cache is rendered during negotiation

    @property
    def slots(self) -> CacheSlots:
        """The caches that its frames are warped from; may be shared with other sessions."""
        return self._membership.slots

    @property
    def avatar(self) -> AvatarInfo:
        """The avatar of the stream."""
        return self.stream.avatar

    @property
    def log_ids(self) -> dict[str, str]:
        """Ids to attach to each log record about the session; see `server/logs.py`."""
        return {"session": self.id, "stream": self.stream.id}

    @property
    def fps(self) -> float:
        """Current number of frames per second."""
        return self._statistics.rate.per_s()

    @property
    def connected(self) -> bool:
        """Whether the connection works: its handshake is complete, or a view has come."""
        return self._handshake_complete or self._viewer_state.counters.views > 0

    def handshake_complete(self) -> None:
        """Must be called by the peer when it can send to the viewer."""
        self._handshake_complete = True

    def set_view(self, view: ViewState) -> bool:
        """Set the viewer's view. Late and repeated views are dropped and counted.

        Returns:
            Whether the view was accepted.
        """
        # First, because a waiting `next_frame` reads the pacing as soon as the state changes.
        self._pacing.viewer_moved(view.received_at)
        accepted = self._viewer_state.set_view(view)
        self._metrics.view(accepted)
        return accepted

    def set_mesh(self, mesh: MeshState) -> bool:
        """Show a mesh frame of the viewer's own; see `ViewerState.set_mesh`.

        Returns:
            Whether the mesh frame was accepted; late and repeated ones are dropped and counted.

        Raises:
            MayNotDriveError: If the viewer's token has no scope `drive`; counted as refused.
        """
        if not self.viewer.allows(Scope.DRIVE):
            self._statistics.refused_meshes += 1
            raise MayNotDriveError("expected views only: your token has no scope drive")
        return self._viewer_state.set_mesh(mesh)

    def set_display(self, size_px: int) -> None:
        """Refine still images from now on, for a display with this many rows."""
        if self._stills is None or self.closed:
            return
        if self._refinement is None:
            self._refinement = Refinement(
                self.avatar, self._stills, self._on_still, self._note_failed_still
            )
        if size_px != self._refinement.display_px:
            self._refinement.display_px = size_px
            self._refinement.restart()

    def take_still(self, number: int) -> RefinedStill:
        """Return the refined still that the newest frames have named.

        Raises:
            StillNotFoundError: If there is none with this number, or something has moved since.
        """
        still = None if self._refinement is None else self._refinement.still
        if still is None or still.number != number:
            raise StillNotFoundError(f"no still {number}, or the face has moved since")
        self._statistics.still_sent(len(still.jpeg))
        return still

    async def next_frame(self) -> Frame:
        """Wait for a change and warp a new frame; at most one caller at a time.

        At most `fps` new frames are returned per second. While nothing changes, the last frame is
        repeated every `REPEAT_INTERVAL_S`.

        Raises:
            SessionClosedError: If the session has ended.
            NotReadyError: If no worker has rendered the first cache within `FIRST_CACHE_TIMEOUT_S`.
        """
        await self._wait_for_first_cache()
        while True:
            await self._wait_until_due()
            self._announces = False
            if self._last_frame is not None and not self._has_changes():
                return self._refined(self._repeat(self._last_frame))
            frame = await self._render()
            if frame is not None:
                return self._refined(frame)

    def note_stage(self, stage: str, elapsed_ms: float) -> None:
        """Add the time of a later stage, such as `encode`, to the statistics."""
        self._statistics.stage(stage, elapsed_ms)

    def note_sent(self, size_bytes: int) -> None:
        """Count bytes of video that have been sent."""
        self._metrics.sent(size_bytes)

    def note_network(self, figures: NetworkFigures) -> None:
        """Store what the viewer has reported of the network."""
        self.network = figures
        self._statistics.network(figures)

    def stats(self) -> dict[str, Any]:
        """Return the state, and statistics of about the last ten seconds, as JSON values."""
        statistics, counters = self._statistics, self._viewer_state.counters
        return {
            "id": self.id,
            "stream": self.stream.id,
            "avatar": self.avatar.id,
            "state": "closed" if self.closed else "running" if self._last_frame else "starting",
            "target_kbps": self.target_bitrate and round(self.target_bitrate / 1000),
            "network": self.network and self.network.as_json(),
            **statistics.of_frames(),
            "views": {"accepted": counters.views, "dropped": counters.views_dropped},
            "meshes": {
                "accepted": counters.meshes,
                "dropped": counters.meshes_dropped,
                "refused": statistics.refused_meshes,
            },
            "stills": {"sent": statistics.stills, "failed": statistics.failed_stills},
            "refreshes": {
                "done": self.slots.generation,
                "failed": self.slots.failed_refreshes,
                "shared_by": self._membership.viewers,
                "per_s": statistics.refresh_rate.per_s(),
            },
        }

    def end(self) -> None:
        """Close the session soon; called by the peer when its connection has closed."""
        if not self.closed:
            self._ended(self)

    def close(self) -> None:
        """Stop rendering and leave the view group; `next_frame` raises from now on.

        A step that fails does not keep the others from running; its exception is raised at the end.
        """
        if self.closed:
            return
        self.closed = True
        self._last_frame = None
        with ExitStack() as steps:  # runs the last one first
            steps.callback(self._wake)
            steps.callback(self._membership.close)
            steps.callback(self._viewer_state.close)
            if self._refinement is not None:
                steps.callback(self._refinement.close)
            steps.callback(self.stream.on_deleted.remove, self._on_stream_deleted)

    def _on_stream_deleted(self) -> None:
        reason = self.stream.deleted_because
        self.ended_because = f"the stream was deleted{f': {reason}' if reason else ''}"
        self.end()

    def _on_change(self) -> None:
        self._changed_at = time.monotonic()
        if self._warping is not None:
            self._warping.inputs_changed()
        self._wake()

    def _on_cache(self) -> None:
        self._statistics.refresh_rate.count()
        self._on_change()

    def _on_still(self) -> None:
        self._announces = True
        self._wake()

    def _note_failed_still(self, exc: TelewarpError) -> None:
        if not self._statistics.failed_stills:  # log the first one only; all are counted
            logger.warning("session %s: a still failed: %s", self.id, exc, extra=self.log_ids)
        self._statistics.still_failed()

    def _refined(self, frame: Frame) -> Frame:
        if self._refinement is not None and not self.closed:  # it may have ended meanwhile
            frame.still = self._refinement.frame_shows(frame.inputs.state)
        return frame

    def _wake(self) -> None:
        if self._wakeup is not None and not self._wakeup.done():
            self._wakeup.set_result(None)

    def _request_refresh(self) -> None:
        """Request a cache of the newest state, unless it exists or has been requested already."""
        slots = self._membership.refresh_slots
        if self._refreshed == (slots.id, self._viewer_state.revision):
            return
        # A cache of exactly this state makes a refresh useless: nothing would differ in the next
        # frame.
        ready = slots.ready
        if ready is None or not ready.state.same_image(self._viewer_state.sample().state):
            slots.request(partial(self._sample_for_refresh, slots.id))

    def _sample_for_refresh(self, slots_id: int) -> FrameState:
        sampled = self._viewer_state.sample()
        self._refreshed = slots_id, sampled.revision
        return sampled.state

    def _has_changes(self) -> bool:
        return self._fading or self._displayed != self._version(self._viewer_state.revision)

    def _version(self, revision: int) -> tuple[int, int, int]:
        return revision, self.slots.id, self.slots.generation

    async def _wait_for_first_cache(self) -> None:
        timeout_at = asyncio.get_running_loop().time() + FIRST_CACHE_TIMEOUT_S
        while self.slots.ready is None and not self.closed:
            if asyncio.get_running_loop().time() >= timeout_at:
                reason = self._pool.reason or "the workers are too busy"
                raise NotReadyError(f"no frame within {FIRST_CACHE_TIMEOUT_S:g} s: {reason}")
            self._request_refresh()
            await self._sleep_until(timeout_at)

    async def _wait_until_due(self) -> None:
        """Wait until pacing permits a frame for a change, or a repeated frame is due."""
        now_s = asyncio.get_running_loop().time
        repeat_at = now_s() + REPEAT_INTERVAL_S
        while not self.closed:
            due_at = self._changes_due_at() if self._has_changes() else repeat_at
            if now_s() >= due_at or (self._announces and not self._has_changes()):
                break
            await self._sleep_until(due_at)
        if self.closed:
            raise SessionClosedError(f"session {self.id} has ended")
        if self._has_moved():
            self._pacing.view_frame_begins(now_s())
        else:
            self._pacing.frame_begins(now_s())

    def _changes_due_at(self) -> float:
        return self._pacing.view_due_at_s if self._has_moved() else self._pacing.due_at_s

    def _has_moved(self) -> bool:
        """Whether no frame has shown the newest view yet."""
        view = self._viewer_state.view
        return view is not None and (
            self._last_frame is None or view.seq != self._last_frame.view_seq
        )

    async def _sleep_until(self, due_at: float) -> None:
        """Sleep until `due_at` or the next change."""
        loop = asyncio.get_running_loop()
        self._wakeup = loop.create_future()
        timer = loop.call_at(due_at, self._wake)
        try:
            await self._wakeup
        finally:
            timer.cancel()
            self._wakeup = None

    async def _render(self) -> Frame | None:
        """Warp the newest cache to the newest inputs.

        Returns:
            The frame; None if the renderer refuses the state, its device was replaced, or the
            caches were left meanwhile.
        """
        requested_at, changed_at = time.monotonic(), self._changed_at
        inputs = self._viewer_state.sample()
        # Before `slots` is read, because a split or a join changes which caches the frame is warped
        # from.
        self._update_membership(inputs.state)
        slots, sequence = self.slots, self._membership.sequence

        def sample() -> FrameInputs:
            nonlocal inputs  # a failure is reported for the inputs sampled last
            inputs = self._viewer_state.sample()
            return inputs

        self._warping = self._pool.submit_warp(slots, sequence, sample)
        self._request_refresh()  # concurrently with the warp
        try:
            frame = await self._warping
        except RenderError as exc:
            self._note_failure(inputs, exc)
            return None
        finally:
            self._warping = None
        if frame is None:
            # Otherwise a transition has ended while the warp was queued, and nobody else used its
            # caches: the next frame is warped from others.
            if self.closed or (slots, sequence) == (self.slots, self._membership.sequence):
                await self._wait_for_device(slots)
            return None
        self._complete(frame, requested_at, changed_at)
        self._displayed = frame.inputs.revision, slots.id, frame.cache.generation
        self._fading = frame.fading
        self._last_frame = frame
        self._statistics.rendered(frame)
        return frame

    async def _wait_for_device(self, slots: CacheSlots) -> None:
        """Wait until the device that has failed in the middle of a frame warps again.

        Raises:
            SessionClosedError: If the session or its caches have ended.
        """
        usable = not self.closed and await self._pool.wait_warps(slots)
        if self.closed or not usable:
            raise SessionClosedError(f"session {self.id} has ended")

    def _update_membership(self, state: FrameState) -> None:
        try:
            self._membership.update(state, self._viewer_state.has_own_mesh())
        except PoolBusyError as exc:
            if not self._statistics.failed_splits:  # log the first one only; all are counted
                logger.warning(
                    "session %s keeps sharing caches with other views: %s",
                    self.id,
                    exc,
                    extra=self.log_ids,
                )
            self._statistics.split_failed()

    @staticmethod
    def _complete(frame: Frame, requested_at: float, changed_at: float) -> None:
        """Add the stages `wait` and `hand_over` and the cache age."""
        frame.rendered_at = time.monotonic()
        elapsed_ms = (frame.rendered_at - requested_at) * 1e3
        # What the stages of the warp thread do not account for was spent between the threads.
        in_warp_thread_ms = sum(frame.stages_ms.values())
        frame.stages_ms = {
            "wait": (requested_at - changed_at) * 1e3,
            **frame.stages_ms,
            "hand_over": max(0.0, elapsed_ms - in_warp_thread_ms),
        }
        # An old cache of a state that has not changed since is as good as a new one.
        current = frame.cache.state.same_image(frame.inputs.state)
        frame.cache_age_ms = 0.0 if current else frame.cache.age_ms

    def _note_failure(self, inputs: FrameInputs, exc: RenderError) -> None:
        if not self._statistics.failed_frames:  # log the first one only; all are counted
            logger.warning("session %s: a frame failed: %s", self.id, exc, extra=self.log_ids)
        self._statistics.failed()
        self._displayed = self._version(inputs.revision)
        self._fading = False

    def _repeat(self, last: Frame) -> Frame:
        """Return a copy of the last frame, which still shows the newest state."""
        self._statistics.repeated()
        age_ms = last.cache.age_ms if last.cache_age_ms else 0.0
        # Without stages, so that a repeated frame does not count in the percentiles a second time.
        return replace(last, cache_age_ms=age_ms, stages_ms={}, repeated=True)
