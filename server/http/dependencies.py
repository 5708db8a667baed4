"""The parts of the running server that calls work with, as FastAPI dependencies.

All are coroutines, because FastAPI runs plain functions in threads, and slow requests may use all
threads.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from server.admission.admission import Admission
from server.auth.redirect_tokens import RedirectTokens
from server.avatar_store.jobs import AvatarJobs
from server.avatar_store.store import AvatarStore
from server.background import BackgroundTasks
from server.calls.calls import Calls
from server.errors import (
    AvatarJobNotFoundError,
    AvatarNotFoundError,
    PublicationNotFoundError,
    RecordingNotFoundError,
    SessionNotFoundError,
)
from server.http.authorization import TheGrant
from server.http.metrics import MeasuredParts
from server.http.streaming_requests import StreamingRequests
from server.network.ice_servers import IceServers
from server.pool.pool import RenderPool
from server.publications.publications import ConnectPublisher, Publication, Publications
from server.recordings.recordings import Recording, Recordings
from server.recordings.replay import Replays
from server.sessions.registry import Connect, Sessions
from server.sessions.session import Session
from server.settings import Settings
from server.streams.streams import Stream, Streams
from server.transport.jpeg_socket import ConnectJpeg

_STORE_IS_OFF = "start the server with --avatar-store DIR"


async def _settings(connection: HTTPConnection) -> Settings:
    settings: Settings = connection.app.state.settings
    return settings


async def _pool(connection: HTTPConnection) -> RenderPool:
    pool: RenderPool = connection.app.state.pool
    return pool


async def _streams(connection: HTTPConnection) -> Streams:
    streams: Streams = connection.app.state.streams
    return streams


async def _sessions(connection: HTTPConnection) -> Sessions:
    sessions: Sessions = connection.app.state.sessions
    return sessions


async def _admission(connection: HTTPConnection) -> Admission:
    admission: Admission = connection.app.state.admission
    return admission


async def _background(connection: HTTPConnection) -> BackgroundTasks:
    background: BackgroundTasks = connection.app.state.background
    return background


async def _connect(connection: HTTPConnection) -> Connect:
    connect: Connect = connection.app.state.connect
    return connect


async def _live(connection: HTTPConnection) -> StreamingRequests:
    live: StreamingRequests = connection.app.state.live
    return live


async def _ice_servers(connection: HTTPConnection) -> IceServers:
    servers: IceServers = connection.app.state.ice_servers
    return servers


async def _redirect_tokens(connection: HTTPConnection) -> RedirectTokens | None:
    redirect_tokens: RedirectTokens | None = connection.app.state.redirect_tokens
    return redirect_tokens


async def _connect_jpeg(connection: HTTPConnection) -> ConnectJpeg:
    connect: ConnectJpeg = connection.app.state.connect_jpeg
    return connect


async def _publications(connection: HTTPConnection) -> Publications:
    publications: Publications = connection.app.state.publications
    return publications


async def _connect_publisher(connection: HTTPConnection) -> ConnectPublisher:
    connect: ConnectPublisher = connection.app.state.connect_publisher
    return connect


async def _recordings(connection: HTTPConnection) -> Recordings:
    recordings: Recordings | None = connection.app.state.recordings
    if recordings is None:
        raise RecordingNotFoundError("recordings are off: start the server with --recordings DIR")
    return recordings


async def _avatar_store_if_on(connection: HTTPConnection) -> AvatarStore | None:
    store: AvatarStore | None = connection.app.state.avatar_store
    return store


async def _avatar_store(connection: HTTPConnection) -> AvatarStore:
    store = await _avatar_store_if_on(connection)
    if store is None:
        raise AvatarNotFoundError(f"no avatar can be deleted: {_STORE_IS_OFF}")
    return store


async def _avatar_jobs(connection: HTTPConnection) -> AvatarJobs:
    jobs: AvatarJobs | None = connection.app.state.avatar_jobs
    if jobs is None:
        raise AvatarJobNotFoundError(f"no avatar can be added: {_STORE_IS_OFF}")
    return jobs


async def _replays(connection: HTTPConnection) -> Replays:
    replays: Replays = connection.app.state.replays
    return replays


async def _calls(connection: HTTPConnection) -> Calls:
    calls: Calls = connection.app.state.calls
    return calls


async def _measured_parts(connection: HTTPConnection) -> MeasuredParts:
    state = connection.app.state
    counting = (state.sessions.metrics, state.drivers, state.recordings, state.avatar_jobs)
    return MeasuredParts(
        pool=state.pool,
        streams=state.streams,
        sessions=state.sessions,
        admission=state.admission,
        background=state.background,
        connections=state.connections,
        publications=state.publications,
        calls=state.calls,
        registries=tuple(part.registry for part in counting if part is not None),
    )


TheSettings = Annotated[Settings, Depends(_settings)]
ThePool = Annotated[RenderPool, Depends(_pool)]
TheStreams = Annotated[Streams, Depends(_streams)]
TheSessions = Annotated[Sessions, Depends(_sessions)]
TheBackground = Annotated[BackgroundTasks, Depends(_background)]
TheAdmission = Annotated[Admission, Depends(_admission)]
TheLiveRequests = Annotated[StreamingRequests, Depends(_live)]
TheConnect = Annotated[Connect, Depends(_connect)]
TheConnectJpeg = Annotated[ConnectJpeg, Depends(_connect_jpeg)]
TheRedirectTokens = Annotated[RedirectTokens | None, Depends(_redirect_tokens)]
TheIceServers = Annotated[IceServers, Depends(_ice_servers)]
TheRecordings = Annotated[Recordings, Depends(_recordings)]
TheAvatarStore = Annotated[AvatarStore, Depends(_avatar_store)]
TheAvatarStoreIfOn = Annotated[AvatarStore | None, Depends(_avatar_store_if_on)]
TheAvatarJobs = Annotated[AvatarJobs, Depends(_avatar_jobs)]
TheReplays = Annotated[Replays, Depends(_replays)]
ThePublications = Annotated[Publications, Depends(_publications)]
TheConnectPublisher = Annotated[ConnectPublisher, Depends(_connect_publisher)]
TheCalls = Annotated[Calls, Depends(_calls)]
TheMeasuredParts = Annotated[MeasuredParts, Depends(_measured_parts)]


async def _stream(stream_id: str, streams: TheStreams) -> Stream:
    return streams.get(stream_id)


TheStream = Annotated[Stream, Depends(_stream)]


async def _own_session(session_id: str, sessions: TheSessions, grant: TheGrant) -> Session:
    session = sessions.get(session_id)
    if not grant.may_access(session.viewer, session.stream.id):
        # The same answer as for an unknown id, so that ids of other viewers cannot be probed.
        raise SessionNotFoundError(f"no session {session_id!r}, or it has ended")
    return session


OwnSession = Annotated[Session, Depends(_own_session)]
"""A session that was opened with the same token; an admin may use every session of its streams."""


async def _own_recording(
    recording_id: str, recordings: TheRecordings, grant: TheGrant
) -> Recording:
    recording = recordings.get(recording_id)
    if not grant.covers(recording.header.stream):
        # The same answer as for an unknown id, so that ids of other streams cannot be probed.
        raise RecordingNotFoundError(f"no recording {recording_id!r}")
    return recording


OwnRecording = Annotated[Recording, Depends(_own_recording)]
"""A recording of a stream that the token is valid for."""


async def _own_publication(
    publication_id: str, publications: ThePublications, grant: TheGrant
) -> Publication:
    publication = publications.get(publication_id)
    if not grant.may_access(publication.holder, publication.stream.id):
        # The same answer as for an unknown id, so that ids of other clients cannot be probed.
        raise PublicationNotFoundError(f"no publication {publication_id!r}, or it has ended")
    return publication


OwnPublication = Annotated[Publication, Depends(_own_publication)]
"""A publication that was opened with the same token; an admin may use all of its streams."""
