"""The state of one viewer: the newest mesh frame and the newest view, combined on demand.

Only the newest of each is kept. No method waits; the warp samples the state just before it runs.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.contract.pose_motion import TimedPose, expected_state
from server.protocol.states import FrameInputs, MeshState, ViewState, frame_state, neutral_mesh
from server.streams.streams import LIVE_HOLD_S, Stream

Floats = NDArray[np.float32]

RECENT = 32
"""Poses kept to tell how head and eye move: more than a tenth of a second of a 240 Hz display."""


@dataclass
class InputCounters:
    """Numbers of messages that a viewer has sent."""

    views: int = 0
    views_dropped: int = 0
    meshes: int = 0
    meshes_dropped: int = 0


class ViewerState:
    """Combines a viewer's view with the stream's mesh frames, or with the viewer's own.

    Belongs to the event loop; only `sample` is thread-safe.

    Args:
        stream: Provides the mesh frames.
        changed: Called after each change that affects the frame.
    """

    def __init__(self, stream: Stream, changed: Callable[[], None]) -> None:
        self.stream = stream
        self.revision = 1
        """Number of changes, starting at 1."""
        self.counters = InputCounters()
        self._changed = changed
        self._view: ViewState | None = None
        self._own_mesh: MeshState | None = None
        self._own_mesh_timer: asyncio.TimerHandle | None = None
        self._recent_heads: deque[TimedPose] = deque(maxlen=RECENT)
        self._recent_eyes: deque[TimedPose] = deque(maxlen=RECENT)
        self._neutral = neutral_mesh(stream.avatar)
        self._sampled = self._compose()
        stream.watchers.append(self._on_stream)

    @property
    def view(self) -> ViewState | None:
        """The newest view; None before the first."""
        return self._view

    def set_view(self, view: ViewState) -> bool:
        """Set the view. Late and repeated views are dropped and counted.

        Returns:
            Whether the view was accepted.
        """
        if self._view is not None and view.seq <= self._view.seq:
            self.counters.views_dropped += 1
            return False
        self._view = view
        self._recent_eyes.append(TimedPose(view.received_at, view.eye_rotation, view.eye_position))
        self.counters.views += 1
        self._touch()
        return True

    def set_mesh(self, mesh: MeshState) -> bool:
        """Show a mesh frame instead of the stream's for `LIVE_HOLD_S`.

        Late and repeated mesh frames are dropped and counted. After a pause of `LIVE_HOLD_S` any
        `seq` is accepted, as from a publisher.

        Returns:
            Whether the mesh frame was accepted.
        """
        own = self._own_mesh
        if own is not None and mesh.seq <= own.seq and self.has_own_mesh():
            self.counters.meshes_dropped += 1
            return False
        self._own_mesh = mesh
        self._note_head(mesh)
        self.counters.meshes += 1
        # One timer for all mesh frames: it checks the age of the newest when it ends.
        if self._own_mesh_timer is None:
            self._check_own_mesh()
        self._touch()
        return True

    def sample(self) -> FrameInputs:
        """Return the newest inputs; the same object as before if nothing has changed.

        Thread-safe: every attribute is read once and replaced as a whole, and a concurrent change
        increments `revision`.
        """
        sampled = self._sampled
        if sampled.revision != self.revision:
            sampled = self._sampled = self._compose()
        return sampled

    def expected(self, ahead_s: float) -> FrameState:
        """Return the newest state with head and eye where they are expected in so many seconds.

        On the event loop.

        Returns:
            The state of `sample` itself where neither moves.
        """
        heads, eyes = self._recent_heads, self._recent_eyes
        return expected_state(self.sample().state, heads, eyes, time.monotonic(), ahead_s)

    def has_own_mesh(self) -> bool:
        """Return whether a mesh frame of the viewer is shown instead of the stream's."""
        own = self._own_mesh
        return own is not None and time.monotonic() - own.received_at < LIVE_HOLD_S

    def close(self) -> None:
        """Unsubscribe from the stream."""
        self.stream.watchers.remove(self._on_stream)
        if self._own_mesh_timer is not None:
            self._own_mesh_timer.cancel()

    def _on_stream(self) -> None:
        if not self.has_own_mesh():
            if self.stream.newest is not None:
                self._note_head(self.stream.newest)
            self._touch()

    def _note_head(self, mesh: MeshState) -> None:
        self._recent_heads.append(
            TimedPose(mesh.received_at, mesh.head_rotation, mesh.head_translation)
        )

    def _touch(self) -> None:
        self.revision += 1
        self._changed()

    def _check_own_mesh(self) -> None:
        """Return to the stream's mesh frames once the viewer sends no more of its own."""
        self._own_mesh_timer = None
        if self._own_mesh is None or not self.has_own_mesh():
            self._touch()
            return
        left_s = self._own_mesh.received_at + LIVE_HOLD_S - time.monotonic()
        loop = asyncio.get_running_loop()
        # A millisecond later: asyncio calls timers up to its clock's resolution early, and the mesh
        # frame would still be shown then.
        self._own_mesh_timer = loop.call_later(left_s + 1e-3, self._check_own_mesh)

    def _compose(self) -> FrameInputs:
        # Read the revision first, so that a change during this method causes another sample.
        revision, view = self.revision, self._view
        mesh = self._own_mesh if self.has_own_mesh() else self.stream.newest
        state = frame_state(self.stream.avatar, mesh or self._neutral, view)
        return FrameInputs(revision, view, mesh, state)
