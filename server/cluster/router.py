"""The router: the page, and 307 to a host for all else. Holds no state and no frame passes it.

Whoever is sent on gets a pass for that host in the address (`server/auth/redirect_tokens.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Request, Response, WebSocket, status
from starlette.requests import HTTPConnection

from server.auth.grants import Grant, Scope
from server.auth.redirect_tokens import PARAMETER, sign_redirect_token
from server.auth.tokens import Tokens, read_tokens
from server.cluster.interface import Placement
from server.cluster.registry import HostStatus
from server.cluster.settings import RouterSettings
from server.errors import NotReadyError, PoolBusyError, SettingsError
from server.http.access import install_access
from server.http.authorization import TheGrant, needs, open_to_all
from server.http.bodies import read_body
from server.http.problems import answer_errors
from server.http.viewer_page import viewer_route
from server.protocol.host_load import HeldStream
from server.protocol.messages import parse_stream_request

router = APIRouter()

_WATCH = (Scope.VIEW, Scope.DRIVE)
_LOOK = (Scope.VIEW, Scope.PUBLISH)
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
    install_access(app, settings, reached=settings.host_sources)
    app.include_router(router)
    app.router.routes.append(viewer_route(settings.client))
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


def _placement(connection: HTTPConnection) -> Placement:
    placement: Placement = connection.app.state.placement
    return placement


def _signer(connection: HTTPConnection) -> Tokens | None:
    tokens: Tokens | None = connection.app.state.tokens
    return tokens


ThePlacement = Annotated[Placement, Depends(_placement)]


class Way:
    """Sends one client on to a host."""

    def __init__(self, connection: HTTPConnection, grant: TheGrant) -> None:
        self._connection = connection
        self._grant: Grant = grant
        self._tokens = _signer(connection)

    def to(self, host: str, *scopes: Scope) -> Response:
        """307 to the same path of the host, with a pass for these scopes as far as granted."""
        query = list(self._connection.query_params.multi_items())
        if self._tokens is not None:
            stream_id: str | None = self._connection.path_params.get("stream_id")
            streams = None if stream_id is None else [stream_id]
            given = sign_redirect_token(self._tokens, self._grant, host, scopes, streams)
            query.append((PARAMETER, given))
        root = self._connection.scope.get("root_path", "")
        path = self._connection.scope["path"].removeprefix(root)
        address = host + path + (f"?{urlencode(query)}" if query else "")
        headers = {"Location": address, "Cache-Control": "no-store"}
        return Response(status_code=status.HTTP_307_TEMPORARY_REDIRECT, headers=headers)


TheWay = Annotated[Way, Depends()]


@router.post("/v1/streams/{stream_id}/whep", dependencies=[needs(Scope.VIEW)])
async def watch(stream_id: str, placement: ThePlacement, way: TheWay) -> Response:
    """Send a viewer to the host with the most room."""
    return way.to(await placement.place_viewer(stream_id), *_WATCH)


@router.post("/v1/streams/{stream_id}/queue", dependencies=[needs(Scope.VIEW)])
async def wait_in_line(stream_id: str) -> None:
    """A full host has a waiting line; of many hosts, another may have room sooner."""
    raise PoolBusyError("no waiting line in front of many hosts; ask again")


@router.options("/v1/streams/{stream_id}/whep", dependencies=[needs(Scope.VIEW)])
@router.get("/v1/streams/{stream_id}/snapshot.png", dependencies=[needs(Scope.VIEW)])
async def look(stream_id: str, placement: ThePlacement, way: TheWay) -> Response:
    """Send on to where the stream is."""
    return way.to(await placement.find_stream(stream_id), Scope.VIEW)


@router.get("/v1/streams/{stream_id}", dependencies=[needs(*_LOOK)])
async def describe(stream_id: str, placement: ThePlacement, way: TheWay) -> Response:
    """Send on to where the stream is."""
    return way.to(await placement.find_stream(stream_id), *_LOOK)


@router.delete("/v1/streams/{stream_id}", dependencies=[needs(Scope.PUBLISH)])
@router.post("/v1/streams/{stream_id}/frames", dependencies=[needs(Scope.PUBLISH)])
async def publish(stream_id: str, placement: ThePlacement, way: TheWay) -> Response:
    """Send a publisher to where the stream is."""
    return way.to(await placement.find_stream(stream_id), Scope.PUBLISH)


@router.post("/v1/streams", dependencies=[needs(Scope.PUBLISH, limited=True)])
async def create(
    request: Request, placement: ThePlacement, way: TheWay, grant: TheGrant
) -> Response:
    """Send a publisher to the host that is to have its new stream."""
    wanted = parse_stream_request(await read_body(request, _LARGEST_REQUEST))
    grant.check_stream(wanted.id)
    return way.to(await placement.place_stream(wanted.id), Scope.PUBLISH)


@router.get("/v1/streams", dependencies=[needs(*_LOOK, limited=True)])
async def list_streams(placement: ThePlacement, grant: TheGrant) -> list[HeldStream]:
    """All streams that the token is good for."""
    return [stream for stream in await placement.streams() if grant.covers(stream.id)]


@router.get("/v1/avatars", dependencies=[needs(*_LOOK, limited=True)])
@router.get("/v1/avatars/{avatar_id}", dependencies=[needs(*_LOOK, limited=True)])
async def avatars(placement: ThePlacement, way: TheWay) -> Response:
    """Send on to any host: all have the same avatars."""
    return way.to(await placement.place_stream(None), *_LOOK)


@router.post("/v1/render", dependencies=[needs(Scope.VIEW)])
async def render(placement: ThePlacement, way: TheWay) -> Response:
    """Send on to the host that has the least to do."""
    return way.to(await placement.place_stream(None), Scope.VIEW)


@router.get("/v1/hosts", dependencies=[needs(Scope.ADMIN)])
async def list_hosts(placement: ThePlacement) -> tuple[HostStatus, ...]:
    """All hosts that are not lost."""
    return await placement.hosts()


@router.get("/healthz", dependencies=[open_to_all()])
async def healthz() -> Mapping[str, Any]:
    """200 while the router answers at all."""
    return {"status": "ok"}


@router.get("/readyz", dependencies=[open_to_all()])
async def readyz(placement: ThePlacement) -> Mapping[str, Any]:
    """200 once a host takes viewers, 503 before."""
    taking = [host for host in await placement.hosts() if host.ready and not host.draining]
    if not taking:
        raise NotReadyError("no host is ready")
    return {"status": "ready", "hosts": len(taking)}


@router.websocket("/v1/streams/{stream_id}/frames", dependencies=[needs(Scope.PUBLISH)])
async def publish_by_socket(
    socket: WebSocket, stream_id: str, placement: ThePlacement, way: TheWay
) -> None:
    """Send a publisher to where the stream is, before its socket is open."""
    answer = way.to(await placement.find_stream(stream_id), Scope.PUBLISH)
    await socket.send_denial_response(answer)


@router.websocket("/v1/streams/{stream_id}/pictures", dependencies=[needs(Scope.VIEW)])
async def show_pictures(
    socket: WebSocket, stream_id: str, placement: ThePlacement, way: TheWay
) -> None:
    """Send a viewer to the host with the most room, before its socket is open."""
    answer = way.to(await placement.place_viewer(stream_id), *_WATCH)
    await socket.send_denial_response(answer)
