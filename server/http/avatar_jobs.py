"""Adding avatars: a job for a video or an archive, and its progress."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request, Response, status
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from server.auth.grants import Scope
from server.avatar_store.job import Job, JobKind, JobState
from server.avatar_store.jobs import AvatarJobs, Upload
from server.errors import AvatarExistsError, BadMessageError
from server.http.authorization import needs
from server.http.bodies import problems, require_media_type, require_no_encoding
from server.http.dependencies import TheAvatarJobs, TheAvatarStore, ThePool
from server.http.locations import location_of
from server.pool.pool import RenderPool
from server.protocol.requests import AvatarRequest, parse_avatar_request

router = APIRouter(prefix="/v1/avatars", tags=["avatars"])

AVATAR_HEADER = "Telewarp-Avatar"
ARCHIVE = "application/zip"
VIDEOS = ("video/mp4", "video/quicktime", "video/webm", "video/x-matroska")
_CHUNK = 1 << 20
_UNKNOWN = "no such job, or the server has no --avatar-store"


class JobDescription(BaseModel):
    """A job that makes an avatar."""

    id: str
    kind: JobKind
    name: str
    state: JobState
    position: Annotated[
        int | None,
        Field(description="Position of a waiting job: 1 is the next, or 2 while one runs"),
    ]
    stage: Annotated[str, Field(description="Current step of its command")]
    stage_index: int
    stages: int
    fraction: Annotated[float, Field(description="Finished share of the stage, 0..1")]
    message: str
    avatar: Annotated[str | None, Field(description="Id of the finished avatar")]
    error: Annotated[str | None, Field(description="Reason of the failure")]
    created_at: Annotated[str, Field(description="Date and time, ISO 8601, UTC")]
    ended_at: str | None


_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            kind: {"schema": {"type": "string", "format": "binary"}} for kind in (ARCHIVE, *VIDEOS)
        },
    }
}


@router.post(
    "",
    summary="Add an avatar",
    status_code=status.HTTP_202_ACCEPTED,
    responses=problems(
        _400="the request is invalid; `detail` says why",
        _404="the server has no --avatar-store",
        _409="an avatar has this id",
        _413="the file is too large",
        _415="the file is neither a video nor an archive",
        _429="too many jobs or avatars",
        _501="this server lacks what a job for a video needs: it takes archives only",
        _507="the disk is full",
    ),
    openapi_extra=_BODY,
    dependencies=[needs(Scope.ADMIN)],
)
async def add_avatar(
    request: Request,
    response: Response,
    jobs: TheAvatarJobs,
    pool: ThePool,
    described: Annotated[
        str,
        Header(
            alias=AVATAR_HEADER,
            description="`AvatarRequest` as JSON in ASCII: other characters as `\\uXXXX`",
        ),
    ] = "",
) -> JobDescription:
    """Accept a video of a person, or an archive of an avatar; a job makes the avatar."""
    kind = _kind(require_media_type(request, ARCHIVE, *VIDEOS))
    require_no_encoding(request)
    job = _new_job(kind, parse_avatar_request(described or "{}"), pool)
    length = request.headers.get("content-length", "")
    upload = jobs.begin_upload(job, int(length) if length.isdigit() else None)
    await _receive(request, jobs, upload)
    response.headers["Location"] = location_of(request, f"/v1/avatars/jobs/{job.id}")
    return _describe(job, jobs)


@router.get(
    "/jobs",
    summary="All jobs",
    responses=problems(_404="the server has no --avatar-store"),
    dependencies=[needs(Scope.ADMIN)],
)
async def list_jobs(jobs: TheAvatarJobs) -> list[JobDescription]:
    """Return all jobs, oldest first."""
    return [_describe(job, jobs) for job in jobs.list()]


@router.get(
    "/jobs/{job_id}",
    summary="Progress of a job",
    response_model=JobDescription,
    responses={
        304: {"description": "nothing has changed since the state of `If-None-Match`"},
        **problems(_404=_UNKNOWN),
    },
    dependencies=[needs(Scope.ADMIN)],
)
async def get_job(
    job_id: str,
    jobs: TheAvatarJobs,
    response: Response,
    if_none_match: Annotated[str, Header(description="The `ETag` of an earlier answer")] = "",
) -> JobDescription | Response:
    """Return a job and its progress. Poll once a second, with `If-None-Match`."""
    job = jobs.get(job_id)
    description = _describe(job, jobs)
    tag = f'"{job.revision}-{description.position or 0}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if if_none_match == tag:
        return Response(status_code=status.HTTP_304_NOT_MODIFIED, headers=headers)
    response.headers.update(headers)
    return description


@router.delete(
    "/jobs/{job_id}",
    summary="End a job",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(_404=_UNKNOWN, _507="a file cannot be deleted"),
    dependencies=[needs(Scope.ADMIN)],
)
async def delete_job(job_id: str, jobs: TheAvatarJobs) -> None:
    """End a job and delete its video, frames and weights; a finished avatar is kept."""
    await jobs.delete(job_id)


@router.delete(
    "/{avatar_id}",
    summary="Delete an avatar",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(
        _403="it belongs to the server's --avatars",
        _404="no such avatar, or the server has no --avatar-store",
        _507="a file cannot be deleted",
    ),
    dependencies=[needs(Scope.ADMIN)],
)
async def delete_avatar(avatar_id: str, store: TheAvatarStore, jobs: TheAvatarJobs) -> None:
    """Delete an avatar, its job, and the streams that show it."""
    job_id = await store.delete(avatar_id)
    if any(job.id == job_id for job in jobs.list()):
        await jobs.delete(job_id)


def _kind(media_type: str) -> JobKind:
    return "archive" if media_type == ARCHIVE else "video"


def _new_job(kind: JobKind, wanted: AvatarRequest, pool: RenderPool) -> Job:
    if kind == "video" and wanted.consent is None:
        raise BadMessageError(f"{AVATAR_HEADER}: consent: expected a value, got nothing")
    avatar_id = wanted.id
    if avatar_id is None and kind == "video":
        avatar_id = re.sub(r"[^a-z0-9]+", "-", wanted.name.lower()).strip("-")[:64] or "avatar"
    if avatar_id is not None and avatar_id in pool.avatars:
        raise AvatarExistsError(f"there is another avatar {avatar_id!r}: delete it, or give an id")
    return Job(kind, wanted.name, wanted.consent or "", avatar_id)


async def _receive(request: Request, jobs: AvatarJobs, upload: Upload) -> None:
    """Store the body; a job whose body arrives incompletely is deleted."""
    held = bytearray()
    try:
        async for chunk in request.stream():
            held += chunk
            if len(held) >= _CHUNK:
                await upload.write(bytes(held))
                held.clear()
        await upload.write(bytes(held))
        upload.finish()
    except ClientDisconnect:
        await jobs.abort_upload(upload)
    except BaseException:
        await jobs.abort_upload(upload)
        raise


def _describe(job: Job, jobs: AvatarJobs) -> JobDescription:
    progress = job.progress
    return JobDescription(
        id=job.id,
        kind=job.kind,
        name=job.name,
        state=job.state,
        position=jobs.position(job),
        stage=progress.stage,
        stage_index=progress.index,
        stages=progress.stages,
        fraction=progress.fraction,
        message=progress.message,
        avatar=job.avatar,
        error=job.error,
        created_at=job.created_at,
        ended_at=job.ended_at,
    )
