"""Publishing: streams, and the frames sent to them."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Request, Response, WebSocket, WebSocketDisconnect, status
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from server.auth.grants import Scope
from server.auth.headers import TOKEN
from server.errors import BadLineError, BadMessageError, StreamClosedError
from server.http.authorization import TheGrant, needs
from server.http.bodies import (
    JSON,
    NDJSON,
    body_of,
    media_type,
    problems,
    read_body,
    read_lines,
    require_media_type,
)
from server.http.dependencies import (
    TheLiveRequests,
    TheRedirectTokens,
    TheSessions,
    TheSettings,
    TheStream,
    TheStreams,
)
from server.http.locations import location_of
from server.http.paced_messages import let_others_run, paced_messages
from server.protocol.message_rate import MessageRate
from server.protocol.messages import at_index, each_mesh_frame
from server.protocol.requests import parse_stream_request
from server.protocol.states import MeshState
from server.sessions.registry import Sessions
from server.settings import Settings
from server.streams.publishing import FRAMES_PER_S, StreamPublisher
from server.streams.streams import Stream

router = APIRouter(prefix="/v1/streams", tags=["streams"])

_LONGEST_STEP_S = 0.005
"""Time for which the frames of an array are parsed before other tasks run, seconds; 16 MB of them
take a second."""
_STREAM_DELETED = 4404
"""WebSocket close code, of the range for applications, after HTTP's 404."""


class StreamDescription(BaseModel):
    """A stream and the counts of its frames."""

    id: str
    avatar: Annotated[str, Field(description="Id of the avatar it drives")]
    live: Annotated[bool, Field(description="Whether a publisher holds the face at present")]
    last_seq: Annotated[int | None, Field(description="`seq` of the newest published frame")]
    accepted: int
    dropped: Annotated[int, Field(description="Frames dropped because they were late or repeated")]
    viewers: int


class PublishResult(BaseModel):
    """Result of publishing the frames of one request."""

    accepted: int = 0
    dropped: Annotated[
        int, Field(description="Frames dropped because they were late or repeated")
    ] = 0
    last_seq: Annotated[int | None, Field(description="`seq` of the stream's newest frame")] = None


def _result(publisher: StreamPublisher) -> PublishResult:
    return PublishResult.model_validate(publisher.counts)


@router.post(
    "",
    summary="Create a stream",
    status_code=status.HTTP_201_CREATED,
    responses=problems(
        _400="the request is invalid; `detail` says why",
        _404="no such avatar",
        _409="the id is taken",
        _429="too many streams",
    ),
    openapi_extra=body_of(json="StreamRequest"),
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def create_stream(
    request: Request,
    response: Response,
    streams: TheStreams,
    sessions: TheSessions,
    settings: TheSettings,
    grant: TheGrant,
) -> StreamDescription:
    """Create a stream of an avatar, with a given or a random id."""
    if media_type(request):
        require_media_type(request, JSON)
    wanted = parse_stream_request(await read_body(request, settings.largest_body))
    grant.check_stream(wanted.id)
    stream = streams.create(wanted.avatar, wanted.id)
    response.headers["Location"] = location_of(request, f"/v1/streams/{stream.id}")
    return _describe(stream, sessions)


@router.get(
    "",
    summary="All streams",
    dependencies=[needs(Scope.VIEW, Scope.PUBLISH, limited=True)],
)
async def list_streams(
    streams: TheStreams, sessions: TheSessions, grant: TheGrant
) -> list[StreamDescription]:
    """Return all streams that the token is valid for, oldest first; of calls, to admins only."""
    return [
        _describe(stream, sessions)
        for stream in streams.list()
        if grant.covers(stream.id) and (grant.allows(Scope.ADMIN) or not stream.is_of_call)
    ]


@router.get(
    "/{stream_id}",
    summary="One stream",
    responses=problems(_404="no such stream"),
    dependencies=[needs(Scope.VIEW, Scope.PUBLISH)],
)
async def get_stream(
    stream: TheStream,
    sessions: TheSessions,
    grant: TheGrant,
    response: Response,
    tokens: TheRedirectTokens,
) -> StreamDescription:
    """Return one stream and the counts of its frames.

    A page that a router redirected here receives a token for the stream in `Telewarp-Token`: for
    the WebSocket that it opens next, whose redirects browsers do not follow.
    """
    if grant.by_redirect_token and tokens is not None:
        response.headers[TOKEN] = tokens.token_for(grant)
    return _describe(stream, sessions)


@router.delete(
    "/{stream_id}",
    summary="End a stream",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(_404="no such stream"),
    dependencies=[needs(Scope.PUBLISH)],
)
async def delete_stream(stream_id: str, streams: TheStreams) -> None:
    """End a stream and the sessions that watch it."""
    streams.delete(stream_id)


@router.post(
    "/{stream_id}/frames",
    summary="Publish frames",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(
        _400="a frame is invalid; of a live body also its `line`, and the count before it",
        _404="no such stream",
        _410="the stream was deleted meanwhile",
        _413="a body, line or array is over its limit",
        _415="the body is neither JSON nor NDJSON",
    ),
    openapi_extra=body_of(json="MeshFrameOrFrames", ndjson=""),
    dependencies=[needs(Scope.PUBLISH)],
)
async def post_frames(
    request: Request, stream: TheStream, settings: TheSettings, live: TheLiveRequests
) -> PublishResult:
    """Publish one frame or an array (JSON), or a live body with one frame a line (NDJSON).

    The lines of a live body are applied as they arrive: keep the request open and write a line
    per frame. An array is accepted as a whole or, if one of its frames is invalid, refused.
    """
    publisher = StreamPublisher(stream)
    if require_media_type(request, JSON, NDJSON) == NDJSON:
        async with live.until_ended():
            await _publish_lines(request, publisher, settings)
        return _result(publisher)
    body = await read_body(request, settings.largest_body)
    for mesh in await _check_all(body, publisher, settings.max_frames):
        publisher.publish(mesh)
    return _result(publisher)


async def _check_all(body: bytes, publisher: StreamPublisher, max_frames: int) -> list[MeshState]:
    """Check every frame of a body, and let other tasks run in between."""
    checked: list[MeshState] = []
    several = body.lstrip().startswith(b"[")
    pause_at = time.monotonic() + _LONGEST_STEP_S
    for index, frame in enumerate(each_mesh_frame(body, max_frames)):
        try:
            checked.append(publisher.check(frame))
        except BadMessageError as exc:
            raise BadMessageError(at_index(index, exc) if several else str(exc)) from exc
        if time.monotonic() > pause_at:
            await asyncio.sleep(0)
            pause_at = time.monotonic() + _LONGEST_STEP_S
    return checked


async def _publish_lines(request: Request, publisher: StreamPublisher, settings: Settings) -> None:
    """Publish lines as they arrive. Above the rate, each replaces the previous one."""
    rate = MessageRate(FRAMES_PER_S, settings.max_frames)
    held: tuple[int, bytes] | None = None
    try:
        async for number, line in read_lines(request, settings.longest_line):
            if held is not None:
                publisher.drop()
            held = number, line
            if rate.take():
                _publish_line(publisher, *held)
                held = None
            else:
                await let_others_run(rate)
    except ClientDisconnect:
        return  # the publisher disconnected; its frames have counted
    if held is not None:
        _publish_line(publisher, *held)


def _publish_line(publisher: StreamPublisher, number: int, line: bytes) -> None:
    try:
        publisher.publish_text(line)
    except BadMessageError as exc:
        raise BadLineError(
            str(exc),
            line=number,
            accepted=publisher.accepted,
            dropped=publisher.dropped,
            last_seq=publisher.last_seq,
        ) from exc


@router.websocket("/{stream_id}/frames", dependencies=[needs(Scope.PUBLISH)])
async def receive_frames(socket: WebSocket, stream: TheStream) -> None:
    """Publish one frame per message. An invalid one gets an error; the socket stays open."""
    await socket.accept()
    publisher = StreamPublisher(stream)
    rate = MessageRate(FRAMES_PER_S, FRAMES_PER_S)
    told = False
    try:
        async for message, within_rate in paced_messages(socket, rate):
            if within_rate:
                await _publish_message(socket, message, publisher, rate)
                continue
            publisher.drop()
            if not told:
                told = True
                detail = f"expected at most {FRAMES_PER_S:g} frames per second, got more"
                await _send_error(socket, detail, publisher)
    except StreamClosedError as exc:
        await socket.close(_STREAM_DELETED, str(exc)[:120])
    except WebSocketDisconnect:
        return  # disconnected while an error was sent


async def _publish_message(
    socket: WebSocket, message: str | bytes, publisher: StreamPublisher, rate: MessageRate
) -> None:
    try:
        publisher.publish_message(message)
    except BadMessageError as exc:
        rate.charge_bad(len(message))
        await _send_error(socket, str(exc), publisher)


async def _send_error(socket: WebSocket, detail: str, publisher: StreamPublisher) -> None:
    await socket.send_json({"type": "error", "detail": detail, **publisher.counts})


def _describe(stream: Stream, sessions: Sessions) -> StreamDescription:
    return StreamDescription(
        id=stream.id,
        avatar=stream.avatar.id,
        live=stream.is_live,
        last_seq=stream.live.seq if stream.live else None,
        accepted=stream.counters.accepted,
        dropped=stream.counters.dropped,
        viewers=sum(session.stream is stream for session in sessions.list()),
    )
