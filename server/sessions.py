"""All sessions, by id: opened for a viewer's offer, found, and closed with their connection."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable

from server.access.grants import Grant
from server.errors import NotReadyError, PoolBusyError, SessionNotFoundError
from server.frame_metrics import FrameMetrics
from server.pool.pool import RenderPool
from server.session import Peer, Session
from server.streams import Streams

logger = logging.getLogger(__name__)

Connect = Callable[[Session], Peer]
"""Makes the WebRTC side of a session."""


class Sessions:
    """All sessions, by id.

    Args:
        streams: What can be watched.
        pool: Renders them.
        fps: At most so many frames per second and session.
        max_sessions: More are refused.
    """

    def __init__(
        self, streams: Streams, pool: RenderPool, fps: float = 60.0, max_sessions: int = 32
    ) -> None:
        self.metrics = FrameMetrics()
        """Of the frames of all sessions since the start."""
        self._pool = pool
        self._streams = streams
        self._fps = fps
        self._max_sessions = max_sessions
        self._sessions: dict[str, Session] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def open(
        self, stream_id: str, connect: Connect, offer: str, viewer: Grant
    ) -> tuple[Session, str]:
        """Open a session and answer its viewer, who alone may change or end it from outside.

        Returns:
            The session, and the SDP answer.

        Raises:
            StreamNotFoundError: If there is no such stream.
            PoolBusyError: If there are too many sessions.
            NotReadyError: If the workers cannot start.
            TelewarpError: Whatever the peer finds wrong with the offer.
        """
        stream = self._streams.get(stream_id)
        self._check_room()
        session = Session(
            secrets.token_urlsafe(16),
            stream,
            self._pool,
            self._fps,
            self._end,
            viewer,
            self.metrics,
        )
        self._sessions[session.id] = session
        try:
            session.peer = connect(session)
            answer = await session.peer.answer(offer)
        except BaseException:
            await self._close(session)
            raise
        self.metrics.admitted()
        logger.info("session %s watches stream %s", session.id, stream.id)
        return session, answer

    def _check_room(self) -> None:
        if len(self._sessions) >= self._max_sessions:
            self.metrics.refused()
            raise PoolBusyError(f"at most {self._max_sessions} sessions, all are in use")
        if self._pool.failing:
            self.metrics.refused()
            raise NotReadyError(self._pool.reason or "no worker is ready")

    def get(self, session_id: str) -> Session:
        """Find a session.

        Raises:
            SessionNotFoundError: If there is none of this id, or it has ended.
        """
        session = self._sessions.get(session_id)
        if session is None:
            raise SessionNotFoundError(f"no session {session_id!r}, or it has ended")
        return session

    def list(self) -> tuple[Session, ...]:
        """All sessions, oldest first."""
        return tuple(self._sessions.values())

    async def add_candidates(self, session_id: str, sdp_fragment: str) -> None:
        """Hand trickled ICE candidates to a session's connection.

        Raises:
            SessionNotFoundError: If there is none of this id, or it has ended.
            BadOfferError: If the fragment cannot be used.
        """
        peer = self.get(session_id).peer
        assert peer is not None, "a session's id is told only after its offer was answered"
        await peer.add_candidates(sdp_fragment)

    async def close(self, session_id: str) -> None:
        """End a session and its connection.

        Raises:
            SessionNotFoundError: If there is none of this id, or it has ended.
        """
        await self._close(self.get(session_id))

    async def close_all(self) -> None:
        """End all sessions."""
        await asyncio.gather(*(self._close(session) for session in self.list()))
        await asyncio.gather(*self._closing)

    def _end(self, session: Session) -> None:
        task = asyncio.get_running_loop().create_task(self._close(session))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    async def _close(self, session: Session) -> None:
        if self._sessions.pop(session.id, None) is None:
            return
        session.close()
        if session.peer is not None:
            await session.peer.close()
        logger.info("session %s has ended", session.id)
