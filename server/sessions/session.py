"""A session: one viewer who pulls frames of the newest state as fast as the track sends them.

It joins the viewer's state, its caches and its frames (`frame_loop.py`), and uses WebRTC only
through `Peer`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from models.contract.avatar_info import AvatarInfo
from models.contract.backdrop import Backdrop, frame_rows
from models.contract.rendition import Rendition
from server.auth.grants import Grant, Scope
from server.errors import MayNotDriveError, StillNotFoundError, TelewarpError
from server.pool.cache_slots import CacheSlots
from server.pool.frame import Frame
from server.pool.pool import RenderPool
from server.protocol.states import MeshState, ViewState
from server.sessions.frame_loop import FrameLoop
from server.sessions.frame_size import FrameSize
from server.sessions.load_limit import FrameLoad
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


@dataclass(frozen=True)
class SharedParts:
    """What all sessions of a server use."""

    pool: RenderPool
    """Renders the frames."""
    fps: float
    """Maximum number of frames per second and session."""
    metrics: FrameMetrics
    stills: Stills | None
    """Renders refined stills; None for none."""


@dataclass(frozen=True)
class ViewerRequest:
    """Who wants to watch, and how."""

    viewer: Grant
    """The viewer's identity and scopes."""
    backdrop: Backdrop | None = None
    """What is behind the head; None for the avatar's background. Stills are of that background, so
    a session with another one has none."""
    display_px: int = 0
    """Rows of the frame on the viewer's screen, which decide the size of the frames; 0: unknown."""


class Session:
    """One viewer of one stream: its state, its membership in a view group and its frames.

    Args:
        session_id: Identifies the session in URLs; anyone who has it may end the session.
        stream: The stream to show.
        groups: The view groups of the stream.
        request: What the viewer asked for.
        shared: What all sessions use.
        ended: Called by `end`.
    """

    def __init__(
        self,
        session_id: str,
        stream: Stream,
        groups: ViewGroups,
        request: ViewerRequest,
        shared: SharedParts,
        ended: Callable[[Session], object],
    ) -> None:
        pool, metrics, backdrop = shared.pool, shared.metrics, request.backdrop
        self.id = session_id
        self.stream = stream
        self.viewer = request.viewer
        self.peer: Peer | None = None
        self.ended_because: str | None = None
        """Reason of the end for the viewer, if there is one."""
        self.backdrop = backdrop
        self._handshake_complete = False
        self.target_bitrate: int | None = None
        """Target of the encoder, bits per second; None until the transport sets it."""
        self.network: NetworkFigures | None = None
        """As the viewer has reported last; None for one that does not report."""
        self.max_fps = shared.fps
        self._pacing = FramePacing(shared.fps)
        self._ended = ended
        # First, as the default view decides which group is joined.
        self._viewer_state = ViewerState(stream, self._on_change)
        try:
            view = self._viewer_state.sample().state
            self._frame_size = FrameSize(
                pool.sizes(self.avatar),
                self.avatar.resolution,
                request.display_px,
                shared.fps,
                self._on_size,
            )
            shown = Rendition(self.avatar.id, self._frame_size.size)
            self._membership = GroupMembership(
                groups, shown, view, self._on_cache, self.end, backdrop
            )
        except BaseException:
            self._viewer_state.close()
            raise
        self._statistics = SessionStatistics(metrics)
        self._metrics = metrics
        self._refinement = self._refine(shared.stills) if backdrop is None else None
        self._frames = FrameLoop(
            pool,
            self._viewer_state,
            self._membership,
            self._pacing,
            self._statistics,
            self._refinement,
            self.log_ids,
        )
        stream.on_deleted.append(self._on_stream_deleted)
        # Now, so that the first cache is rendered during negotiation.
        self._frames.request_refresh()
        self._frame_size.watch_load(self._measure_load, metrics.size_limited)

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return self._frames.closed

    @property
    def slots(self) -> CacheSlots:
        """The caches that its frames are warped from; may be shared with other sessions."""
        return self._membership.slots

    @property
    def avatar(self) -> AvatarInfo:
        """The avatar of the stream."""
        return self.stream.avatar

    @property
    def size(self) -> int:
        """Rows and columns of the head's image in its frames."""
        return self._membership.size

    @property
    def lowered_from(self) -> int | None:
        """The size that the viewer's display needs, where the server is too slow for it."""
        return self._frame_size.lowered_from

    @property
    def frame_size(self) -> tuple[int, int]:
        """Columns and rows of its frames of video."""
        return self.size, frame_rows(self.size, self.backdrop)

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

    def set_display(self, size_px: int, stills: bool = True) -> None:
        """Render for a display with this many rows from now on.

        Args:
            size_px: Rows of the frame on the viewer's screen.
            stills: Whether images that do not move are refined from now on.
        """
        if self.closed:
            return
        self._frame_size.set_display(size_px)
        if self._refinement is not None and stills:
            self._refinement.set_display(size_px)

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
        repeated every `frame_loop.REPEAT_INTERVAL_S`.

        Raises:
            SessionClosedError: If the session has ended.
            NotReadyError: If no worker has rendered the first cache within
                `frame_loop.FIRST_CACHE_TIMEOUT_S`.
        """
        return await self._frames.next_frame()

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
            "size": self.size,
            "lowered_from": self.lowered_from,
            "state": "closed" if self.closed else "running" if self._frames.newest else "starting",
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
        self._frames.close()
        with ExitStack() as steps:  # runs the last one first
            steps.callback(self._membership.close)
            steps.callback(self._viewer_state.close)
            steps.callback(self._frame_size.close)
            if self._refinement is not None:
                steps.callback(self._refinement.close)
            steps.callback(self.stream.on_deleted.remove, self._on_stream_deleted)

    def _refine(self, stills: Stills | None) -> Refinement | None:
        if stills is None:
            return None
        return Refinement(
            self.avatar, lambda: self.size, stills, self._on_still, self._note_failed_still
        )

    def _on_stream_deleted(self) -> None:
        reason = self.stream.deleted_because
        self.ended_because = f"the stream was deleted{f': {reason}' if reason else ''}"
        self.end()

    def _on_change(self) -> None:
        self._frames.inputs_changed()

    def _on_cache(self) -> None:
        self._statistics.refresh_rate.count()
        self._frames.inputs_changed()

    def _on_size(self) -> None:
        self._membership.resize(self._frame_size.size)
        self._frames.lowered_from = self._frame_size.lowered_from
        self._frames.inputs_changed()

    def _measure_load(self) -> tuple[int, FrameLoad]:
        return self.size, self._statistics.load(self._viewer_state.revision)

    def _on_still(self) -> None:
        self._frames.still_ready()

    def _note_failed_still(self, exc: TelewarpError) -> None:
        if not self._statistics.failed_stills:  # log the first one only; all are counted
            logger.warning("session %s: a still failed: %s", self.id, exc, extra=self.log_ids)
        self._statistics.still_failed()
