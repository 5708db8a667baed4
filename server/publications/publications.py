"""All publications, by id; a stream has at most one.

A newer publication of the same client replaces the older one, because a page that was reloaded
cannot end its former connection. That of another client is refused.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from server.auth.grants import Grant
from server.errors import PublicationNotFoundError, StreamClosedError, VoiceTakenError
from server.streams.publishing import StreamPublisher
from server.streams.streams import Stream

logger = logging.getLogger(__name__)


@dataclass
class VoiceCounters:
    """Counts of voice packets since the start of a publication, or of all publications."""

    received: int = 0
    """Packets that were passed on."""
    dropped: int = 0
    """Packets above the rate or the size."""

    def add(self, other: VoiceCounters) -> None:
        """Add the numbers of another publication."""
        self.received += other.received
        self.dropped += other.dropped


class PublicationPeer(Protocol):
    """The connection of one publication."""

    async def answer(self, offer_sdp: str) -> str: ...

    async def add_candidates(self, sdp_fragment: str) -> None: ...

    async def close(self) -> None: ...


@dataclass(eq=False)
class Publication:
    """One client that publishes the voice of a stream."""

    stream: Stream
    holder: Grant
    end: Callable[[], None]
    """Requests its end; may be called more than once."""
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    peer: PublicationPeer | None = None
    voice: VoiceCounters = field(default_factory=VoiceCounters)

    def __post_init__(self) -> None:
        self.mesh = StreamPublisher(self.stream)

    def stats(self) -> dict[str, Any]:
        """Return the counts of its packets and frames, and their delays to the server."""
        paths = self.stream.capture_clock.paths
        return {
            "id": self.id,
            "stream": self.stream.id,
            "voice": asdict(self.voice),
            "mesh": self.mesh.counts,
            "paths": asdict(paths) if paths else None,
        }


ConnectPublisher = Callable[[Publication], PublicationPeer]


class Publications:
    """Opens and closes publications."""

    def __init__(self) -> None:
        self._by_stream: dict[Stream, Publication] = {}
        self._opening: set[Stream] = set()
        self._ended = VoiceCounters()
        self._closing: set[asyncio.Task[None]] = set()

    def list(self) -> tuple[Publication, ...]:
        """Return all publications, oldest first."""
        return tuple(self._by_stream.values())

    def totals(self) -> VoiceCounters:
        """Return the numbers of all publications, ended ones included."""
        totals = VoiceCounters()
        for counters in (self._ended, *(p.voice for p in self._by_stream.values())):
            totals.add(counters)
        return totals

    def get(self, publication_id: str) -> Publication:
        """Return a publication by id.

        Raises:
            PublicationNotFoundError: If there is none.
        """
        for publication in self._by_stream.values():
            if publication.id == publication_id:
                return publication
        raise PublicationNotFoundError(f"no publication {publication_id!r}, or it has ended")

    async def open(
        self, stream: Stream, connect: ConnectPublisher, offer_sdp: str, grant: Grant
    ) -> tuple[Publication, str]:
        """Answer a publisher's offer.

        The previous publication of the stream continues until the answer is ready, so that an
        unusable offer does not end it.

        Returns:
            The publication and the SDP answer.

        Raises:
            BadOfferError: If the offer cannot be used.
            VoiceTakenError: If another client publishes the voice of the stream.
            StreamClosedError: If the stream is deleted meanwhile.
        """
        self._check_free(stream, grant)
        self._opening.add(stream)
        publication = Publication(stream, grant, lambda: self._end_soon(publication))
        publication.peer = connect(publication)
        try:
            answer = await publication.peer.answer(offer_sdp)
            await self._replace(stream)
            if stream.deleted:
                raise StreamClosedError(f"stream {stream.id!r} was deleted meanwhile")
        except BaseException:
            await publication.peer.close()
            raise
        finally:
            self._opening.discard(stream)
        self._by_stream[stream] = publication
        stream.on_deleted.append(publication.end)
        return publication, answer

    async def close(self, publication: Publication) -> None:
        """End a publication; does nothing if it has ended."""
        if self._by_stream.get(publication.stream) is not publication:
            return
        del self._by_stream[publication.stream]
        publication.stream.on_deleted.remove(publication.end)
        self._ended.add(publication.voice)
        assert publication.peer is not None  # set before it is listed
        await publication.peer.close()

    async def close_all(self) -> None:
        """End all publications, at shutdown."""
        for publication in self.list():
            await self.close(publication)
        await asyncio.gather(*self._closing)

    def _check_free(self, stream: Stream, grant: Grant) -> None:
        present = self._by_stream.get(stream)
        if present is not None and not grant.may_access(present.holder, stream.id):
            raise VoiceTakenError(
                f"expected a stream without a voice, got {stream.id!r}, whose voice another client "
                "publishes; it is free once that client has left"
            )
        if stream in self._opening:
            raise VoiceTakenError(
                f"expected one offer at a time, got another one for {stream.id!r} while the first "
                "is being answered"
            )

    async def _replace(self, stream: Stream) -> None:
        present = self._by_stream.get(stream)
        if present is not None:
            logger.info("publication %s: replaced by a newer one", present.id)
            await self.close(present)

    def _end_soon(self, publication: Publication) -> None:
        task = asyncio.get_running_loop().create_task(self.close(publication))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
