"""Publishing a voice by WHIP (RFC 9725): POST an offer, PATCH candidates, DELETE to leave."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response, status

from server.auth.grants import Scope
from server.http.authorization import TheGrant, needs
from server.http.bodies import SDP, body_of, described, problems
from server.http.dependencies import (
    OwnPublication,
    TheConnectPublisher,
    TheIceServers,
    ThePublications,
    TheStream,
)
from server.http.signalling import TheOfferResponses, describe_post, read_fragment, read_offer

router = APIRouter(prefix="/v1", tags=["streams"])

_CLIENT = "publisher"


@router.options(
    "/streams/{stream_id}/whip",
    summary="WHIP options",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(_404="no such stream"),
    dependencies=[needs(Scope.PUBLISH)],
)
async def whip_options(stream: TheStream, response: Response, ice_servers: TheIceServers) -> None:
    """Return the media type to POST, and STUN and TURN servers in `Link` headers."""
    describe_post(response, ice_servers, _CLIENT)


@router.post(
    "/streams/{stream_id}/whip",
    summary="Publish a voice",
    status_code=status.HTTP_201_CREATED,
    response_class=Response,
    responses=described(201, "The SDP answer", SDP)
    | problems(
        _400="the offer is invalid; `detail` says why",
        _404="no such stream",
        _409="another client publishes the voice of the stream, or an offer is being answered",
        _410="the stream was deleted before the answer was ready",
        _413="the offer is too large",
        _415="the offer is no SDP",
        _503="no free UDP port",
    ),
    openapi_extra=body_of(sdp=""),
    dependencies=[needs(Scope.PUBLISH)],
)
async def open_publication(
    request: Request,
    stream: TheStream,
    publications: ThePublications,
    connect: TheConnectPublisher,
    grant: TheGrant,
    responses: TheOfferResponses,
) -> Response:
    """Answer a publisher's SDP offer. `Location` names the publication.

    The offer has an audio section of Opus and, if mesh frames use the same connection, one of data
    channels: each message of the channel `mesh` is one frame. Video is rejected. A client's newer
    publication of a stream replaces its older one.
    """
    offer = await read_offer(request)
    publication, answer = await publications.open(stream, connect, offer, grant)
    return responses.created(f"/v1/publications/{publication.id}", answer, _CLIENT)


@router.patch(
    "/publications/{publication_id}",
    summary="Add ICE candidates",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(
        _400="the fragment is invalid; `detail` says why",
        _404="no such publication",
        _412="`If-Match` names other ICE credentials",
        _415="the body is no SDP fragment",
        _422="ICE restart is not supported",
    ),
    openapi_extra=body_of(fragment=""),
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def add_publisher_candidates(request: Request, publication: OwnPublication) -> None:
    """Add ICE candidates that the publisher found after its offer (trickle ICE)."""
    fragment = await read_fragment(request)
    assert publication.peer is not None  # set before the id is sent
    await publication.peer.add_candidates(fragment)


@router.delete(
    "/publications/{publication_id}",
    summary="Stop publishing",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(_404="no such publication"),
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def close_publication(publication: OwnPublication, publications: ThePublications) -> None:
    """End a publication, so that another client may publish the voice."""
    await publications.close(publication)


@router.get(
    "/publications/{publication_id}",
    summary="A publication's counts",
    responses=problems(_404="no such publication"),
    dependencies=[needs(Scope.PUBLISH, limited=True)],
)
async def get_publication(publication: OwnPublication) -> dict[str, Any]:
    """Return the counts of voice packets and mesh frames."""
    return publication.stats()
