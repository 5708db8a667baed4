"""Still images for given parameters, or of the newest frame of a stream."""

from __future__ import annotations

import asyncio
from io import BytesIO

import numpy as np
from fastapi import APIRouter, Request, Response
from numpy.typing import NDArray
from PIL import Image

from server.auth.grants import Scope
from server.errors import AvatarNotFoundError
from server.http.authorization import needs
from server.http.bodies import (
    JSON,
    PNG,
    body_of,
    described,
    problems,
    read_body,
    require_media_type,
)
from server.http.dependencies import ThePool, TheSettings, TheStream
from server.protocol.decode import decode_state
from server.protocol.requests import parse_render_request
from server.protocol.states import frame_state, neutral_mesh

router = APIRouter(prefix="/v1", tags=["pictures"])


@router.post(
    "/render",
    summary="Render one image",
    response_class=Response,
    responses=described(200, "The image", PNG)
    | problems(
        _400="the request is invalid; `detail` says why",
        _404="no such avatar",
        _413="the body is too large",
        _415="the body is no JSON",
        _503="no worker is free; try again",
    ),
    openapi_extra=body_of(json="RenderRequest"),
    dependencies=[needs(Scope.VIEW)],
)
async def render(request: Request, pool: ThePool, settings: TheSettings) -> Response:
    """Render an avatar for given parameters, as a full render or as a warp of a cache.

    In mode `warp` the cache is made from `cached`, or from the same state where that is left out,
    and warped to the requested state, as viewers see it until the next cache is ready.
    """
    require_media_type(request, JSON)
    wanted = parse_render_request(await read_body(request, settings.largest_body))
    avatar = pool.avatars.get(wanted.avatar)
    if avatar is None:
        known = ", ".join(sorted(pool.avatars)) or "none"
        raise AvatarNotFoundError(f"no avatar {wanted.avatar!r}; there are: {known}")
    state = decode_state(wanted.frame, wanted.view, avatar)
    old = wanted.cached
    cached = decode_state(old.frame, old.view, avatar) if old is not None else None
    rgb = await pool.render(avatar.id, state, mode=wanted.mode, cached_state=cached)
    return await _png_response(rgb)


@router.get(
    "/streams/{stream_id}/snapshot.png",
    summary="Snapshot of a stream",
    tags=["streams"],
    response_class=Response,
    responses=described(200, "The image", PNG)
    | problems(_404="no such stream", _503="no worker is free; try again"),
    dependencies=[needs(Scope.VIEW)],
)
async def snapshot(stream: TheStream, pool: ThePool) -> Response:
    """Render the stream's newest frame, seen from the avatar's default view."""
    mesh = stream.newest or neutral_mesh(stream.avatar)
    state = frame_state(stream.avatar, mesh, None)
    return await _png_response(await pool.render(stream.avatar.id, state))


async def _png_response(rgb: NDArray[np.uint8]) -> Response:
    png = await asyncio.to_thread(to_png, rgb)
    return Response(png, media_type=PNG, headers={"Cache-Control": "no-store"})


def to_png(rgb: NDArray[np.uint8]) -> bytes:
    """Compress an image, (H, W, 3) uint8, as PNG."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()
