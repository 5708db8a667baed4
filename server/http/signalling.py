"""Common parts of WHEP and WHIP: SDP bodies, responses to offers, ICE servers in `Link` headers."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Response, status

from models.contract.shown_text import shown
from server.auth.grants import Grant
from server.auth.headers import TOKEN
from server.auth.redirect_tokens import RedirectTokens
from server.errors import BadOfferError, PreconditionError
from server.http.authorization import TheGrant
from server.http.bodies import SDP, SDP_FRAGMENT, read_body, require_media_type
from server.http.dependencies import TheIceServers, TheRedirectTokens
from server.http.locations import location_of
from server.network.ice_servers import IceServers, link_values

ETAG = '"ice-1"'
"""Names the session's ICE credentials; they never change, since ICE restart is not supported."""
_LARGEST_SDP = 256 * 1024


async def read_offer(request: Request) -> str:
    """Return the SDP offer of a request.

    Raises:
        MediaTypeError: If the body is no SDP.
        TooLargeError: If it is too large.
        BadOfferError: If it is not UTF-8.
    """
    require_media_type(request, SDP)
    return await _read_text(request)


async def read_fragment(request: Request) -> str:
    """Return the trickle-ICE fragment of a request.

    Raises:
        MediaTypeError: If the body is no fragment.
        PreconditionError: If `If-Match` names other ICE credentials.
        TooLargeError: If it is too large.
        BadOfferError: If it is not UTF-8.
    """
    require_media_type(request, SDP_FRAGMENT)
    # Several headers are one list (RFC 9110, section 5.3).
    given = request.headers.getlist("if-match")
    expected = ",".join(given) if given else ETAG
    if expected != "*" and ETAG not in [tag.strip() for tag in expected.split(",")]:
        raise PreconditionError(f"expected If-Match {ETAG}, got {shown(expected)}")
    return await _read_text(request)


def describe_post(response: Response, ice_servers: IceServers, client: str) -> None:
    """Answer OPTIONS with the media type to POST and the ICE servers."""
    response.headers["Accept-Post"] = SDP
    response.headers["Allow"] = "OPTIONS, POST"
    add_ice_servers(response, ice_servers, client)


def add_ice_servers(response: Response, ice_servers: IceServers, client: str) -> None:
    """Name STUN and TURN servers in `Link` headers (RFC 9725), with credentials for the next hour.

    Args:
        response: Receives the headers.
        ice_servers: ICE servers of the settings.
        client: Name of the client; each gets its own user name, so that a TURN server can count and
            limit them.
    """
    user = f"{client}-{secrets.token_hex(4)}"
    for value in link_values(ice_servers.with_credentials_for(user)):
        response.headers.append("Link", value)


@dataclass(frozen=True)
class OfferResponses:
    """Makes the responses to offers."""

    request: Request
    ice_servers: IceServers
    grant: Grant
    redirect_tokens: RedirectTokens | None

    def created(self, path: str, answer: str, client: str) -> Response:
        """Return the response with an SDP answer.

        A client that a router redirected here receives a token for what was created.

        Args:
            path: Path of the resource that was created, without the root path.
            answer: The SDP answer.
            client: Name of the client, which its user names of TURN servers contain.
        """
        location = location_of(self.request, path)
        headers = {"Location": location, "ETag": ETAG, "Accept-Patch": SDP_FRAGMENT}
        if self.grant.by_redirect_token and self.redirect_tokens is not None:
            headers[TOKEN] = self.redirect_tokens.token_for(self.grant)
        response = Response(answer, status.HTTP_201_CREATED, headers, SDP)
        add_ice_servers(response, self.ice_servers, client)
        return response


async def _offer_responses(
    request: Request,
    ice_servers: TheIceServers,
    grant: TheGrant,
    redirect_tokens: TheRedirectTokens,
) -> OfferResponses:
    return OfferResponses(request, ice_servers, grant, redirect_tokens)


TheOfferResponses = Annotated[OfferResponses, Depends(_offer_responses)]


async def _read_text(request: Request) -> str:
    body = await read_body(request, _LARGEST_SDP)
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        raise BadOfferError(f"expected SDP in UTF-8, got an error at decoding: {exc}") from exc
