"""All sessions by id: they are opened by an SDP offer and closed with their connection."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any
from weakref import WeakKeyDictionary

from models.contract.backdrop import Backdrop
from server.admission.admission import Admission, AdmissionPermit
from server.auth.grants import Grant
from server.errors import NotReadyError, SessionNotFoundError, TelewarpError
from server.pool.pool import RenderPool
from server.sessions.peer import Peer
from server.sessions.session import Session, SharedParts, ViewerRequest
from server.sessions.statistics import FrameMetrics
from server.sessions.stills import Stills
from server.sessions.view_sharing import ViewGroups
from server.streams.streams import Stream, Streams

logger = logging.getLogger(__name__)

Connect = Callable[[Session], Peer]
"""Creates the WebRTC side of a session."""
_NOTICE_S = 0.3
"""Delay between the event with the reason of the end and the end, so that the event is
delivered."""


class Sessions:
    """All sessions, by id.

    Args:
        streams: The streams that viewers may watch.
        pool: Renders the frames.
        fps: Maximum number of frames per second and session.
        admission: Limits the number of sessions.
        stills: Renders refined stills; None for none.
    """

    def __init__(
        self,
        streams: Streams,
        pool: RenderPool,
        fps: float,
        admission: Admission,
        stills: Stills | None = None,
    ) -> None:
        self.metrics = FrameMetrics()
        """Metrics of all sessions since the start."""
        self._shared = SharedParts(pool, fps, self.metrics, stills)
        self._streams = streams
        self._admission = admission
        self._sessions: dict[str, Session] = {}
        self._permits: dict[str, AdmissionPermit] = {}
        """Permits by session id."""
        self._groups: WeakKeyDictionary[Stream, ViewGroups] = WeakKeyDictionary()
        self._closing: set[asyncio.Task[None]] = set()

    async def open(
        self,
        stream_id: str,
        connect: Connect,
        offer: str,
        viewer: Grant,
        ticket: str | None = None,
        backdrop: Backdrop | None = None,
        display_px: int = 0,
    ) -> tuple[Session, str]:
        """Open a session and answer the viewer's offer.

        Args:
            stream_id: The stream to watch.
            connect: Creates the peer that answers.
            offer: The viewer's SDP offer.
            viewer: The viewer's identity; only it (or an admin) may change or end the session.
            ticket: Id of a queue ticket; uses the session slot that is reserved for it.
            backdrop: What is behind the head; None for the avatar's background.
            display_px: Rows of the frame on the viewer's screen; 0: unknown.

        Returns:
            The session and the SDP answer.

        Raises:
            StreamNotFoundError: If there is no such stream.
            FullError: If no session slot is free for this viewer.
            DrainingError: If the server is shutting down.
            NotReadyError: If the workers cannot start.
            TelewarpError: If the peer cannot use the offer.
        """
        stream = self._streams.get(stream_id)
        # Before any allocation, so that a refused viewer costs little.
        permit = self._admit(viewer, ticket)
        try:
            session = self._make(stream, ViewerRequest(viewer, backdrop, display_px))
        except BaseException:
            self._admission.release(permit, connected=False)
            raise
        # Before the answer, so that a failure from here on closes it like any other session.
        self._sessions[session.id], self._permits[session.id] = session, permit
        try:
            session.peer = connect(session)
            answer = await session.peer.answer(offer)
        except BaseException:
            await self._close(session)
            raise
        self.metrics.admitted(permit.waited_s)
        logger.info("session %s watches stream %s", session.id, stream.id, extra=session.log_ids)
        return session, answer

    def _admit(self, viewer: Grant, ticket: str | None) -> AdmissionPermit:
        try:
            if self._shared.pool.failing:
                raise NotReadyError(self._shared.pool.reason or "no worker is ready")
            return self._admission.admit(viewer, ticket)
        except TelewarpError:
            self.metrics.refused()
            raise

    def _make(self, stream: Stream, request: ViewerRequest) -> Session:
        session_id = secrets.token_urlsafe(16)
        if stream not in self._groups:
            self._groups[stream] = ViewGroups(self._shared.pool)
        groups = self._groups[stream]
        return Session(session_id, stream, groups, request, self._shared, self._end)

    def get(self, session_id: str) -> Session:
        """Return a session.

        Raises:
            SessionNotFoundError: If there is no session with this id, or it has ended.
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise SessionNotFoundError(f"no session {session_id!r}, or it has ended")
        return session

    def list(self) -> tuple[Session, ...]:
        """Return all sessions, oldest first."""
        return tuple(self._sessions.values())

    async def add_candidates(self, session_id: str, sdp_fragment: str) -> None:
        """Add trickled ICE candidates to the connection of a session.

        Raises:
            SessionNotFoundError: If there is no session with this id, or it has ended.
            BadOfferError: If the fragment is not usable.
        """
        peer = self.get(session_id).peer
        assert peer is not None, "a session's id is sent only with its answer"
        await peer.add_candidates(sdp_fragment)

    def broadcast(self, event: Mapping[str, Any]) -> None:
        """Send an event to all connected viewers."""
        for session in self.list():
            if session.peer is not None:
                session.peer.send_event(event)

    async def close(self, session_id: str) -> None:
        """Close a session and its connection.

        Raises:
            SessionNotFoundError: If there is no session with this id, or it has ended.
        """
        await self._close(self.get(session_id))

    async def close_all(self) -> None:
        """Close all sessions."""
        for session in self.list():
            self._end(session)
        await asyncio.gather(*self._closing)

    async def _close(self, session: Session) -> None:
        """Close a session completely, even if the caller is cancelled meanwhile."""
        await asyncio.shield(self._end(session))

    def _end(self, session: Session) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._close_parts(session))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def _close_parts(self, session: Session) -> None:
        """Close all parts of a session; log one that fails, and continue with the others."""
        if self._sessions.pop(session.id, None) is None:
            return
        permit = self._permits.pop(session.id)
        try:
            async with AsyncExitStack() as steps:  # runs the last one first
                # Run in reverse order: the session slot is freed first, and the connection, whose
                # end takes time, is closed last.
                if session.peer is not None:
                    steps.push_async_callback(session.peer.close)
                    if session.ended_because is not None:
                        steps.push_async_callback(
                            _send_end_event, session.peer, session.ended_because
                        )
                steps.callback(session.close)
                steps.callback(self._admission.release, permit, session.connected)
        except Exception:
            logger.exception("session %s: a part did not close", session.id, extra=session.log_ids)
        logger.info("session %s has ended", session.id, extra=session.log_ids)


async def _send_end_event(peer: Peer, reason: str) -> None:
    """Send a viewer the reason of the session's end, and wait until the event is delivered."""
    peer.send_event({"type": "ended", "detail": reason})
    await asyncio.sleep(_NOTICE_S)
