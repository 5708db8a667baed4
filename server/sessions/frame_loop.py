"""The frames of one session: when each is due, what it is warped from, and what follows from it.

This path sets the latency of the product: from a change of the inputs to the finished frame there
is a single thread handover, to the warp thread and back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from functools import partial

from models.contract.frame_state import FrameState
from server.errors import NotReadyError, PoolBusyError, RenderError, SessionClosedError
from server.pool.cache_slots import CacheSlots
from server.pool.frame import Frame, Warping
from server.pool.pool import RenderPool
from server.protocol.states import FrameInputs
from server.sessions.pacing import FramePacing, Wakeup
from server.sessions.refinement import Refinement
from server.sessions.statistics import SessionStatistics
from server.sessions.view_sharing import GroupMembership
from server.sessions.viewer_state import ViewerState

logger = logging.getLogger(__name__)

REPEAT_INTERVAL_S = 0.1
"""Interval at which an unchanged frame is repeated. Chromium never requests a first frame again
that was lost."""
FIRST_CACHE_TIMEOUT_S = 20.0
"""Longest time that the first frame waits for its cache."""


class FrameLoop:
    """Warps a frame whenever one is due and requests the refreshes of its caches.

    Args:
        pool: Provides the reason why there is no first cache, and notice when a device that has
            failed warps again.
        viewer_state: The state that the frames show.
        membership: Provides the caches that they are warped from.
        pacing: Decides when the next frame may begin.
        statistics: Counts frames and failures.
        refinement: Renders refined stills while nothing moves; None for no stills.
        log_ids: Ids of the session for the log, see `server/logs.py`.
    """

    def __init__(
        self,
        pool: RenderPool,
        viewer_state: ViewerState,
        membership: GroupMembership,
        pacing: FramePacing,
        statistics: SessionStatistics,
        refinement: Refinement | None,
        log_ids: Mapping[str, str],
    ) -> None:
        self.closed = False
        self.newest: Frame | None = None
        """The last frame that was warped."""
        self.lowered_from: int | None = None
        """Set on each frame, see `Frame.lowered_from`."""
        self._pool = pool
        self._viewer_state, self._membership = viewer_state, membership
        self._pacing, self._statistics = pacing, statistics
        self._refinement, self._log_ids = refinement, log_ids
        self._wakeup = Wakeup()
        self._changed_at = time.monotonic()
        self._refreshed = (0, 0)
        """Cache slots and input revision of the last requested refresh."""
        self._refreshed_state: FrameState | None = None
        """The state that this refresh renders."""
        self._displayed = (0, 0, 0)
        """Input revision, cache slots and cache generation of the last frame."""
        self._fading = False
        """Whether the crossfade to that cache is still in progress."""
        self._warping: Warping | None = None
        """The frame that is being warped."""
        self._still_is_new = False
        """Whether a repeated frame must name a still at once."""

    def inputs_changed(self) -> None:
        """Note that the viewer's state or the newest cache has changed."""
        self._changed_at = time.monotonic()
        if self._warping is not None:
            self._warping.inputs_changed()
        self._wakeup.wake()

    def still_ready(self) -> None:
        """Name a new still in the next frame, without waiting for a change."""
        self._still_is_new = True
        self._wakeup.wake()

    def close(self) -> None:
        """Make `next_frame` raise from now on."""
        self.closed = True
        self.newest = None
        self._wakeup.wake()

    async def next_frame(self) -> Frame:
        """Return the next frame, see `Session.next_frame`."""
        await self._wait_for_first_cache()
        while True:
            late = await self._wait_until_due()
            # Here and not after the warp: a still that becomes ready during it is named later.
            self._still_is_new = False
            if self.newest is not None and not self._has_changes():
                self.request_refresh()  # a refresh for where a movement has ended
                self._statistics.repeated()
                return self._described(self.newest.repeat())
            frame = await self._render(late)
            if frame is not None:
                return self._described(frame)

    def request_refresh(self) -> None:
        """Request a cache of the newest state, unless it exists or has been requested already."""
        slots = self._membership.refresh_slots
        if self._refreshed == (slots.id, self._viewer_state.revision) and not self._has_settled():
            return
        # A cache of exactly this state makes a refresh useless: nothing would differ in the next
        # frame.
        ready = slots.ready
        if ready is None or not ready.state.same_image(self._viewer_state.sample().state):
            slots.request(partial(self._sample_for_refresh, slots.id))

    def _has_settled(self) -> bool:
        """Whether the last refresh renders the continuation of a movement that has ended since."""
        newest = self._viewer_state.sample().state
        return self._refreshed_state is not newest and self._viewer_state.expected(0.0) is newest

    def _sample_for_refresh(self, slots_id: int, ahead_s: float) -> FrameState:
        self._refreshed = slots_id, self._viewer_state.revision
        self._refreshed_state = self._viewer_state.expected(ahead_s)
        return self._refreshed_state

    def _has_changes(self) -> bool:
        displayed = self._displayed == self._version(self._viewer_state.revision)
        return self._fading or not displayed or self._membership.must_move

    def _version(self, revision: int) -> tuple[int, int, int]:
        slots = self._membership.slots
        return revision, slots.id, slots.generation

    async def _wait_for_first_cache(self) -> None:
        timeout_at = asyncio.get_running_loop().time() + FIRST_CACHE_TIMEOUT_S
        while self._membership.slots.ready is None and not self.closed:
            if asyncio.get_running_loop().time() >= timeout_at:
                reason = self._pool.reason or "the workers are too busy"
                raise NotReadyError(f"no frame within {FIRST_CACHE_TIMEOUT_S:g} s: {reason}")
            self.request_refresh()
            await self._wakeup.sleep_until(timeout_at)

    async def _wait_until_due(self) -> bool:
        """Wait until pacing permits a frame for a change, or a repeated frame is due.

        Returns:
            Whether one was due already.
        """
        now_s = asyncio.get_running_loop().time
        repeat_at = now_s() + REPEAT_INTERVAL_S
        late = True
        while not self.closed:
            # Computed again after each wake-up: the change that ended the sleep may be due earlier.
            due_at = self._changes_due_at() if self._has_changes() else repeat_at
            if now_s() >= due_at or (self._still_is_new and not self._has_changes()):
                break
            late = False
            await self._wakeup.sleep_until(due_at)
        if self.closed:
            raise self._ended()
        if self._has_moved():
            self._pacing.view_frame_begins(now_s())
        else:
            self._pacing.frame_begins(now_s())
        return late

    def _changes_due_at(self) -> float:
        return self._pacing.view_due_at_s if self._has_moved() else self._pacing.due_at_s

    def _has_moved(self) -> bool:
        """Whether no frame has shown the newest view yet."""
        view = self._viewer_state.view
        return view is not None and (self.newest is None or view.seq != self.newest.view_seq)

    async def _render(self, late: bool) -> Frame | None:
        """Warp the newest cache to the newest inputs.

        Args:
            late: Whether the frame was due before the previous one was there.

        Returns:
            The frame; None if the renderer refuses the state, its device was replaced, or the
            caches were left meanwhile.
        """
        # Both are read before the warp, during which more inputs may change.
        requested_at, changed_at = time.monotonic(), self._changed_at
        inputs = self._viewer_state.sample()
        # Before `slots` is read, because a split or a join changes which caches the frame is warped
        # from.
        self._update_membership(inputs.state)
        slots, sequence = self._membership.slots, self._membership.sequence

        def sample() -> FrameInputs:
            nonlocal inputs  # a failure is reported for the inputs sampled last
            inputs = self._viewer_state.sample()
            return inputs

        self._warping = slots.warp(sequence, sample)
        self.request_refresh()  # concurrently with the warp
        try:
            frame = await self._warping
        except RenderError as exc:
            self._note_failure(inputs, exc)
            return None
        finally:
            self._warping = None
        if frame is None:
            # Otherwise a transition has ended while the warp was queued, and no other session used
            # its caches: the next frame is warped from others.
            used = self._membership.slots, self._membership.sequence
            if self.closed or (slots, sequence) == used:
                await self._wait_for_device(slots)
            return None
        frame.complete(requested_at, changed_at)
        # The state of the frame, not the present one: changes during the warp are not displayed
        # yet.
        self._displayed = frame.inputs.revision, slots.id, frame.cache.generation
        self._fading = frame.fading
        self.newest = frame
        self._statistics.rendered(frame, late)
        return frame

    async def _wait_for_device(self, slots: CacheSlots) -> None:
        """Wait until the device that has failed in the middle of a frame warps again.

        Raises:
            SessionClosedError: If the session or its caches have ended.
        """
        usable = not self.closed and await self._pool.wait_warps(slots)
        if self.closed or not usable:
            raise self._ended()

    def _update_membership(self, state: FrameState) -> None:
        try:
            self._membership.update(state, self._viewer_state.has_own_mesh())
        except PoolBusyError as exc:
            if not self._statistics.failed_splits:  # log the first one only; all are counted
                logger.warning(
                    "session %s keeps its shared caches, or the size of its frames: %s",
                    self._log_ids["session"],
                    exc,
                    extra=self._log_ids,
                )
            self._statistics.split_failed()

    def _described(self, frame: Frame) -> Frame:
        frame.lowered_from = self.lowered_from
        # The session may have ended during the warp, and its refinement with it.
        if self._refinement is not None and self._refinement.display_px and not self.closed:
            frame.still = self._refinement.frame_shows(frame.inputs.state)
        return frame

    def _note_failure(self, inputs: FrameInputs, exc: RenderError) -> None:
        session_id = self._log_ids["session"]
        if not self._statistics.failed_frames:  # log the first one only; all are counted
            logger.warning("session %s: a frame failed: %s", session_id, exc, extra=self._log_ids)
        self._statistics.failed()
        # The inputs count as displayed, so that they are not tried again before something changes.
        self._displayed = self._version(inputs.revision)
        self._fading = False

    def _ended(self) -> SessionClosedError:
        return SessionClosedError(f"session {self._log_ids['session']} has ended")
