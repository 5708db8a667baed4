"""The router: it serves the page and redirects everything else to a host with status 307.

It holds no state and forwards no frames. The address of a redirect contains a redirect token for
that host (`server/auth/redirect_tokens.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Depends, FastAPI, Request, Response, WebSocket, status
from starlette.requests import HTTPConnection

from server.auth.grants import Grant, Scope
from server.auth.redirect_tokens import PARAMETER, path_of, request_of, sign_redirect_token
from server.auth.tokens import Tokens, read_tokens
from server.cluster.interface import Placement
from server.cluster.registry import HostStatus
from server.cluster.settings import RouterSettings
from server.errors import NotReadyError, PoolBusyError, SettingsError
from server.http.access import install_access, methods_of
from server.http.authorization import TheGrant, needs, open_to_all
from server.http.bodies import read_body
from server.http.locations import Locations
from server.http.problems import answer_errors
from server.http.request_forms import RequestForms
from server.http.unread_bodies import UnreadBodies
from server.http.viewer_page import viewer_route
from server.protocol.host_load import HeldStream, call_of
from server.protocol.requests import parse_stream_request
from server.streams.streams import check_id

router = APIRouter()

_VIEW_SCOPES = (Scope.VIEW, Scope.DRIVE)
_READ_SCOPES = (Scope.VIEW, Scope.PUBLISH)
_LARGEST_REQUEST = 64 * 1024


def create_router(settings: RouterSettings, placement: Placement) -> FastAPI:
    """Build the router.

    Args:
        settings: Options; the tokens must be those of the hosts.
        placement: Picks the hosts.

    Raises:
        SettingsError: If the file of tokens has no signing keys.
    """
    app = FastAPI(title="Telewarp router", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.placement = placement
    app.state.tokens = _signing(settings)
    page = viewer_route(settings.client)
    install_access(
        app, settings, methods_of((page, *router.routes)), host_sources=settings.host_sources
    )
    app.add_middleware(Locations)
    app.add_middleware(UnreadBodies)  # outermost but one: also for refusals of the others
    app.add_middleware(RequestForms)
    app.include_router(router)
    app.router.routes.append(page)
    answer_errors(app)
    return app


def _signing(settings: RouterSettings) -> Tokens | None:
    if settings.tokens is None:
        return None
    tokens = read_tokens(settings.tokens)
    if not tokens.can_sign:
        raise SettingsError(
            f"tokens {settings.tokens}: expected signing_keys, which router and hosts share"
        )
    return tokens


async def _placement(connection: HTTPConnection) -> Placement:
    placement: Placement = connection.app.state.placement
    return placement


def _signer(connection: HTTPConnection) -> Tokens | None:
    tokens: Tokens | None = connection.app.state.tokens
    return tokens


ThePlacement = Annotated[Placement, Depends(_placement)]


class Redirect:
    """Redirects one client to a host."""

    def __init__(self, connection: HTTPConnection, grant: Grant) -> None:
        self._connection = connection
        self._grant = grant
        self._tokens = _signer(connection)

    def to(self, host: str, *scopes: Scope) -> Response:
        """Return a 307 to the same path of the host.

        Its redirect token has those of `scopes` that the client's own token grants.
        """
        query = list(self._connection.query_params.multi_items())
        if self._tokens is not None:
            parameters = self._connection.path_params
            name: str | None = parameters.get("stream_id") or parameters.get("call")
            streams = None if name is None else [name]
            request = request_of(self._connection)
            given = sign_redirect_token(self._tokens, self._grant, host, request, scopes, streams)
            query.append((PARAMETER, given))
        path = quote(path_of(self._connection))
        address = host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Location": address, "Cache-Control": "no-store"}
        return Response(status_code=status.HTTP_307_TEMPORARY_REDIRECT, headers=headers)


async def _redirect(connection: HTTPConnection, grant: TheGrant) -> Redirect:
    return Redirect(connection, grant)


TheRedirect = Annotated[Redirect, Depends(_redirect)]


@router.post("/v1/streams/{stream_id}/whep", dependencies=[needs(Scope.VIEW)])
async def watch(stream_id: str, placement: ThePlacement, redirect: TheRedirect) -> Response:
    """Redirect a viewer to the host with the most free capacity."""
    return redirect.to(await placement.place_viewer(stream_id), *_VIEW_SCOPES)


@router.post("/v1/streams/{stream_id}/queue", dependencies=[needs(Scope.VIEW)])
async def queue_not_supported(stream_id: str) -> None:
    """Refuse the request: only a single host has a queue; another host may have room sooner."""
    raise PoolBusyError("a router has no queue; try again")


@router.options("/v1/streams/{stream_id}/whep", dependencies=[needs(Scope.VIEW)])
@router.get("/v1/streams/{stream_id}/snapshot.png", dependencies=[needs(Scope.VIEW)])
async def redirect_to_stream(
    stream_id: str, placement: ThePlacement, redirect: TheRedirect
) -> Response:
    """Redirect to the host that has the stream."""
    return redirect.to(await placement.find_stream(stream_id), Scope.VIEW)


@router.get("/v1/streams/{stream_id}", dependencies=[needs(*_READ_SCOPES)])
async def describe(stream_id: str, placement: ThePlacement, redirect: TheRedirect) -> Response:
    """Redirect to the host that has the stream."""
    return redirect.to(await placement.find_stream(stream_id), *_READ_SCOPES)


@router.options("/v1/streams/{stream_id}/whip", dependencies=[needs(Scope.PUBLISH)])
@router.post("/v1/streams/{stream_id}/whip", dependencies=[needs(Scope.PUBLISH)])
@router.delete("/v1/streams/{stream_id}", dependencies=[needs(Scope.PUBLISH)])
@router.post("/v1/streams/{stream_id}/frames", dependencies=[needs(Scope.PUBLISH)])
async def publish(stream_id: str, placement: ThePlacement, redirect: TheRedirect) -> Response:
    """Redirect a publisher to the host that has the stream."""
    return redirect.to(await placement.find_stream(stream_id), Scope.PUBLISH)


@router.post("/v1/streams", dependencies=[needs(Scope.PUBLISH, limited=True)])
async def create(
    request: Request, placement: ThePlacement, redirect: TheRedirect, grant: TheGrant
) -> Response:
    """Redirect a publisher to the host chosen for the new stream."""
    wanted = parse_stream_request(await read_body(request, _LARGEST_REQUEST))
    grant.check_stream(wanted.id)
    return redirect.to(await placement.place_stream(wanted.id), Scope.PUBLISH)


@router.get("/v1/streams", dependencies=[needs(*_READ_SCOPES, limited=True)])
async def list_streams(placement: ThePlacement, grant: TheGrant) -> list[HeldStream]:
    """List all streams that the token is valid for, without those of calls."""
    streams = await placement.streams()
    return [stream for stream in streams if grant.covers(stream.id) and call_of(stream.id) is None]


@router.get("/v1/calls/{call}", dependencies=[needs(*_READ_SCOPES, limited=True)])
async def find_call(
    call: str, placement: ThePlacement, redirect: TheRedirect, grant: TheGrant
) -> Response:
    """Redirect to the host of the call, where the page then takes a seat."""
    check_id(call, "name of a call")
    grant.check_stream(call)
    return redirect.to(await placement.place_call(call), *_READ_SCOPES)


@router.get("/v1/avatars", dependencies=[needs(*_READ_SCOPES, limited=True)])
@router.get("/v1/avatars/{avatar_id}", dependencies=[needs(*_READ_SCOPES, limited=True)])
async def avatars(placement: ThePlacement, redirect: TheRedirect) -> Response:
    """Redirect to any host: all have the same avatars."""
    return redirect.to(await placement.place_stream(None), *_READ_SCOPES)


@router.post("/v1/render", dependencies=[needs(Scope.VIEW)])
async def render(placement: ThePlacement, redirect: TheRedirect) -> Response:
    """Redirect to the least loaded host."""
    return redirect.to(await placement.place_stream(None), Scope.VIEW)


@router.get("/v1/hosts", dependencies=[needs(Scope.ADMIN)])
async def list_hosts(placement: ThePlacement) -> tuple[HostStatus, ...]:
    """List all hosts that respond."""
    return await placement.hosts()


@router.get("/healthz", dependencies=[open_to_all()])
async def healthz() -> Mapping[str, Any]:
    """Return 200 while the router runs."""
    return {"status": "ok"}


@router.get("/readyz", dependencies=[open_to_all()])
async def readyz(placement: ThePlacement) -> Mapping[str, Any]:
    """Return 200 once a host accepts viewers, 503 before."""
    taking = [host for host in await placement.hosts() if host.ready and not host.draining]
    if not taking:
        raise NotReadyError("no host is ready")
    return {"status": "ready", "hosts": len(taking)}


@router.websocket("/v1/streams/{stream_id}/frames", dependencies=[needs(Scope.PUBLISH)])
async def publish_by_socket(
    socket: WebSocket, stream_id: str, placement: ThePlacement, redirect: TheRedirect
) -> None:
    """Redirect a publisher before the WebSocket is accepted."""
    answer = redirect.to(await placement.find_stream(stream_id), Scope.PUBLISH)
    await socket.send_denial_response(answer)


@router.websocket("/v1/streams/{stream_id}/pictures", dependencies=[needs(Scope.VIEW)])
async def redirect_jpeg_viewer(
    socket: WebSocket, stream_id: str, placement: ThePlacement, redirect: TheRedirect
) -> None:
    """Redirect a JPEG viewer before the WebSocket is accepted."""
    answer = redirect.to(await placement.place_viewer(stream_id), *_VIEW_SCOPES)
    await socket.send_denial_response(answer)


@router.websocket("/v1/calls/{call}", dependencies=[needs(Scope.PUBLISH, limited=True)])
async def redirect_to_call(
    socket: WebSocket, call: str, placement: ThePlacement, redirect: TheRedirect, grant: TheGrant
) -> None:
    """Redirect a participant before the WebSocket is accepted.

    Browsers do not follow such redirects, so a page requests the host by `GET` first.
    """
    check_id(call, "name of a call")
    grant.check_stream(call)
    answer = redirect.to(await placement.place_call(call), *_READ_SCOPES)
    await socket.send_denial_response(answer)
