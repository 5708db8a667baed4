"""Watching by WHEP (draft-ietf-wish-whep): POST an offer, PATCH candidates, DELETE to leave.

Errors of `server.errors` become status codes in `server.app`, so none is caught here.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response, status

from server.auth.grants import Scope
from server.http.authorization import TheGrant, needs
from server.http.bodies import (
    SDP,
    body_of,
    described,
    problems,
)
from server.http.dependencies import (
    OwnSession,
    TheConnect,
    TheIceServers,
    TheSessions,
    TheStream,
)
from server.http.signalling import TheOfferResponses, describe_post, read_fragment, read_offer
from server.protocol.background import parse_background
from server.protocol.display import parse_display

BACKGROUND = (
    "What is behind the head: `RRGGBB`, one colour, or `transparent`; default: the avatar's own "
    "background. Frames over nothing have 2 H + 16 rows: the H rows of the head's colours, which "
    "continue beyond its outline, a gap, and H rows whose luma is its coverage."
)
DISPLAY = (
    "Rows of the square frame on the viewer's screen, in the screen's own pixels: frames have the "
    "smallest size that is enlarged at most by a tenth there; default: the avatar's resolution."
)
TICKET_HEADER = "Telewarp-Ticket"

router = APIRouter(prefix="/v1", tags=["watching"])

_CLIENT = "viewer"


@router.options(
    "/streams/{stream_id}/whep",
    summary="WHEP options",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(_404="no such stream"),
    dependencies=[needs(Scope.VIEW)],
)
async def whep_options(stream: TheStream, response: Response, ice_servers: TheIceServers) -> None:
    """Return the media type to POST, and STUN and TURN servers in `Link` headers."""
    describe_post(response, ice_servers, _CLIENT)


@router.post(
    "/streams/{stream_id}/whep",
    summary="Watch a stream",
    status_code=status.HTTP_201_CREATED,
    response_class=Response,
    responses=described(201, "The SDP answer", SDP)
    | problems(
        _400="the offer, the background or the display is invalid; `detail` says why",
        _404="no such stream",
        _410="the stream was deleted before the answer was ready",
        _413="the offer is too large",
        _415="the offer is no SDP",
        _503="no free session, with `reason` full: join the queue (`POST .../queue`), or try again "
        "after `Retry-After` seconds; with `reason` draining: the server is shutting down",
    ),
    openapi_extra=body_of(sdp=""),
    dependencies=[needs(Scope.VIEW)],
)
async def open_session(
    request: Request,
    stream: TheStream,
    sessions: TheSessions,
    connect: TheConnect,
    grant: TheGrant,
    responses: TheOfferResponses,
    ticket: Annotated[
        str | None, Header(alias=TICKET_HEADER, description="Ticket whose queue position is 0")
    ] = None,
    background: Annotated[
        str | None, Query(description=BACKGROUND, examples=["00b140", "transparent"])
    ] = None,
    display: Annotated[str | None, Query(description=DISPLAY, examples=["480"])] = None,
) -> Response:
    """Answer a viewer's SDP offer and start the video. `Location` names the session.

    `Link` headers name STUN and TURN servers (RFC 9725), with credentials for the next hour. A
    viewer that a router redirected here receives a token for the session in `Telewarp-Token`.
    """
    backdrop, display_px = parse_background(background), parse_display(display)
    offer = await read_offer(request)
    session, answer = await sessions.open(
        stream.id, connect, offer, grant, ticket, backdrop, display_px
    )
    return responses.created(f"/v1/sessions/{session.id}", answer, _CLIENT)


@router.patch(
    "/sessions/{session_id}",
    summary="Add ICE candidates",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(
        _400="the fragment is invalid; `detail` says why",
        _404="no such session",
        _412="`If-Match` names other ICE credentials",
        _415="the body is no SDP fragment",
        _422="ICE restart is not supported",
    ),
    openapi_extra=body_of(fragment=""),
    dependencies=[needs(Scope.VIEW, limited=True)],
)
async def add_candidates(request: Request, session: OwnSession) -> None:
    """Add ICE candidates that the viewer found after its offer (trickle ICE)."""
    fragment = await read_fragment(request)
    assert session.peer is not None  # set before the session id is sent
    await session.peer.add_candidates(fragment)


@router.delete(
    "/sessions/{session_id}",
    summary="Leave",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(_404="no such session"),
    dependencies=[needs(Scope.VIEW, limited=True)],
)
async def close_session(session: OwnSession, sessions: TheSessions) -> None:
    """End a session and free its session slot."""
    await sessions.close(session.id)


@router.get(
    "/sessions",
    summary="All sessions",
    dependencies=[needs(Scope.ADMIN)],
)
async def list_sessions(sessions: TheSessions) -> list[dict[str, Any]]:
    """Return all sessions with their statistics, oldest first."""
    return [session.stats() for session in sessions.list()]


@router.get(
    "/sessions/{session_id}",
    summary="A session's state and statistics",
    responses=problems(_404="no such session"),
    dependencies=[needs(Scope.VIEW, limited=True)],
)
async def get_session(session: OwnSession) -> dict[str, Any]:
    """Return frame rate, cache age, time per stage and dropped frames of a viewer."""
    return session.stats()
