"""What one viewer sees, as of now: the newest face and the newest view, put together on demand.

Every value is one deep. Nothing here waits; whoever draws samples at the last moment.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from server.protocol.states import FrameInputs, MeshState, ViewState, frame_state, neutral_mesh
from server.streams.streams import LIVE_HOLD_S, Stream

Floats = NDArray[np.float32]


@dataclass
class InputCounters:
    """What a viewer has sent."""

    views: int = 0
    views_dropped: int = 0
    meshes: int = 0
    meshes_dropped: int = 0


class ViewerState:
    """A viewer's view of a stream, whose face the viewer may also drive itself for a while.

    Lives on the event loop; only `sample` is also called from other threads.

    Args:
        stream: Whose face is shown.
        changed: Called after something a picture depends on was replaced.
    """

    def __init__(self, stream: Stream, changed: Callable[[], None]) -> None:
        self.stream = stream
        self.revision = 1
        """Counts the changes."""
        self.counters = InputCounters()
        self._changed = changed
        self._view: ViewState | None = None
        self._own_mesh: MeshState | None = None
        self._own_mesh_timer: asyncio.TimerHandle | None = None
        self._neutral = neutral_mesh(stream.avatar)
        self._sampled = self._compose()
        stream.watchers.append(self._on_stream)

    @property
    def view(self) -> ViewState | None:
        """The viewer's newest pose; None until one has come."""
        return self._view

    def set_view(self, view: ViewState) -> bool:
        """Take the viewer's pose, unless it comes late or twice; such are counted."""
        if self._view is not None and view.seq <= self._view.seq:
            self.counters.views_dropped += 1
            return False
        self._view = view
        self.counters.views += 1
        self._touch()
        return True

    def set_mesh(self, mesh: MeshState) -> bool:
        """Show this face instead of the stream's for `LIVE_HOLD_S`, unless it comes late or twice.

        After a pause of `LIVE_HOLD_S` any `seq` is taken, as from a publisher.
        """
        own = self._own_mesh
        if own is not None and mesh.seq <= own.seq and self.drives_itself():
            self.counters.meshes_dropped += 1
            return False
        self._own_mesh = mesh
        self.counters.meshes += 1
        if self._own_mesh_timer is None:
            self._await_own_mesh_end()
        self._touch()
        return True

    def sample(self) -> FrameInputs:
        """Put the newest values together; the same object as before while they are the same.

        Thread-safe: every value is read once and replaced as a whole, and what changes meanwhile
        advances `revision`.
        """
        sampled = self._sampled
        if sampled.revision != self.revision:
            sampled = self._sampled = self._compose()
        return sampled

    def drives_itself(self) -> bool:
        """Whether the viewer's own face is shown, and not the stream's."""
        own = self._own_mesh
        return own is not None and time.monotonic() - own.received_at < LIVE_HOLD_S

    def close(self) -> None:
        """Stop watching the stream."""
        self.stream.watchers.remove(self._on_stream)
        if self._own_mesh_timer is not None:
            self._own_mesh_timer.cancel()

    def _on_stream(self) -> None:
        if not self.drives_itself():
            self._touch()

    def _touch(self) -> None:
        self.revision += 1
        self._changed()

    def _await_own_mesh_end(self) -> None:
        """Show the stream's face again once the viewer has stopped driving it."""
        self._own_mesh_timer = None
        if self._own_mesh is None or not self.drives_itself():
            self._touch()
            return
        left_s = self._own_mesh.received_at + LIVE_HOLD_S - time.monotonic()
        loop = asyncio.get_running_loop()
        self._own_mesh_timer = loop.call_later(left_s + 1e-3, self._await_own_mesh_end)

    def _compose(self) -> FrameInputs:
        # The count goes first: a change between here and the end must not pass for included.
        revision, view = self.revision, self._view
        shown = self._own_mesh if self.drives_itself() else self.stream.newest
        state = frame_state(self.stream.avatar, shown or self._neutral, view)
        return FrameInputs(revision, view, shown, state)
