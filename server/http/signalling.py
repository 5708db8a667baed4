"""Common parts of WHEP and WHIP: SDP bodies, ICE servers in `Link` headers, a session's ETag."""

from __future__ import annotations

import secrets

from fastapi import Request, Response

from models.contract.shown_text import shown
from server.errors import BadOfferError, PreconditionError
from server.http.bodies import SDP, SDP_FRAGMENT, read_body, require_media_type
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


async def _read_text(request: Request) -> str:
    body = await read_body(request, _LARGEST_SDP)
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        raise BadOfferError(f"expected SDP in UTF-8, got an error at decoding: {exc}") from exc
