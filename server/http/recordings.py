"""Recordings of streams: start, stop, replay, download and deletion."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Request, Response, status
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from server.auth.grants import Scope
from server.errors import StorageError
from server.http.authorization import TheGrant, needs
from server.http.bodies import (
    JSON,
    NDJSON,
    body_of,
    described,
    problems,
    read_body,
    require_media_type,
)
from server.http.dependencies import (
    OwnRecording,
    TheRecordings,
    TheReplays,
    TheSettings,
    TheStream,
    TheStreams,
)
from server.http.locations import location_of
from server.protocol.requests import parse_replay_request
from server.recordings.recordings import Recording

router = APIRouter(prefix="/v1", tags=["recordings"])

_CHUNK = 1 << 20
_UNKNOWN = "no such recording, or recordings are off"


class RecordingDescription(BaseModel):
    """A recording: its stream, its size and its state."""

    id: str
    stream: Annotated[str, Field(description="Id of the stream that it records")]
    avatar: Annotated[str, Field(description="Id of the avatar of the stream")]
    started_at: Annotated[str, Field(description="Date and time, ISO 8601, UTC")]
    recording: Annotated[bool, Field(description="Whether it still runs")]
    ended: Annotated[str | None, Field(description="Reason of its end; null while it runs")]
    frames: Annotated[
        int | None, Field(description="Mesh frames; null after a crash of the server")
    ]
    length_s: Annotated[float | None, Field(description="Null after a crash of the server")]
    bytes: Annotated[int, Field(description="Size of the file so far")]


@router.post(
    "/streams/{stream_id}/recordings",
    summary="Record a stream",
    status_code=status.HTTP_201_CREATED,
    responses=problems(
        _404="no such stream, or recordings are off",
        _410="the stream was deleted meanwhile",
        _429="too many recordings; none is deleted to make room",
        _507="the file cannot be written",
    ),
    dependencies=[needs(Scope.PUBLISH)],
)
async def start_recording(
    request: Request, response: Response, stream: TheStream, recordings: TheRecordings
) -> RecordingDescription:
    """Begin to record the mesh frames that the stream accepts from publishers."""
    recording = await recordings.start(stream)
    response.headers["Location"] = location_of(request, f"/v1/recordings/{recording.id}")
    return _describe(recording)


@router.get(
    "/recordings",
    summary="All recordings",
    responses=problems(_404="recordings are off"),
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def list_recordings(recordings: TheRecordings, grant: TheGrant) -> list[RecordingDescription]:
    """Return all recordings of streams that the token is valid for, oldest first."""
    return [_describe(each) for each in recordings.list() if grant.covers(each.header.stream)]


@router.get(
    "/recordings/{recording_id}",
    summary="One recording",
    responses=problems(_404=_UNKNOWN),
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def get_recording(recording: OwnRecording) -> RecordingDescription:
    """Return one recording."""
    return _describe(recording)


@router.post(
    "/recordings/{recording_id}/stop",
    summary="Stop a recording",
    responses=problems(_404=_UNKNOWN),
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def stop_recording(
    recording: OwnRecording, recordings: TheRecordings
) -> RecordingDescription:
    """End a recording. The file is complete when the response arrives."""
    return _describe(await recordings.stop(recording.id))


@router.get(
    "/recordings/{recording_id}/file",
    summary="Download a recording",
    response_class=StreamingResponse,
    responses={**described(200, "NDJSON", NDJSON), **problems(_404=_UNKNOWN, _507="unreadable")},
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def download_recording(recording: OwnRecording) -> StreamingResponse:
    """Return the file; of a running recording, the part written so far."""
    size = recording.size
    if not recording.path.is_file():
        raise StorageError("the file of the recording does not exist any more")
    headers = {
        "Content-Length": str(size),
        "Content-Disposition": f'attachment; filename="{recording.path.name}"',
    }
    return StreamingResponse(_read(recording.path, size), headers=headers, media_type=NDJSON)


@router.delete(
    "/recordings/{recording_id}",
    summary="Delete a recording",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(_404=_UNKNOWN, _507="the file cannot be deleted"),
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def delete_recording(recording: OwnRecording, recordings: TheRecordings) -> None:
    """End a recording and delete its file."""
    await recordings.delete(recording.id)


@router.post(
    "/recordings/{recording_id}/replay",
    summary="Replay a recording",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(
        _400="the request or the recording is invalid; `detail` says why",
        _404=_UNKNOWN + ", or no such stream",
        _413="the body is over its limit",
        _415="the body is not JSON",
        _429="the stream has a publisher or a replay, or too many replays",
    ),
    openapi_extra=body_of(json="ReplayRequest"),
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def replay_recording(
    request: Request,
    recording: OwnRecording,
    replays: TheReplays,
    streams: TheStreams,
    settings: TheSettings,
    grant: TheGrant,
) -> None:
    """Publish the recorded frames to a stream, at the times at which they were received."""
    require_media_type(request, JSON)
    wanted = parse_replay_request(await read_body(request, settings.largest_body))
    grant.check_stream(wanted.stream)
    replays.start(recording.path, streams.get(wanted.stream))


async def _read(path: Path, size: int) -> AsyncIterator[bytes]:
    """Yield the first `size` bytes of a file, read off the event loop."""
    file = await asyncio.to_thread(path.open, "rb")
    try:
        while size > 0 and (chunk := await asyncio.to_thread(file.read, min(_CHUNK, size))):
            size -= len(chunk)
            yield chunk
    finally:
        file.close()


def _describe(recording: Recording) -> RecordingDescription:
    return RecordingDescription(
        id=recording.id,
        stream=recording.header.stream,
        avatar=recording.header.avatar,
        started_at=recording.header.started_at,
        recording=recording.ended is None,
        ended=recording.ended,
        frames=recording.frames,
        length_s=recording.length_s,
        bytes=recording.size,
    )
