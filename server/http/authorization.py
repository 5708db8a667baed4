"""Authorization of routes: each declares the scopes that it requires."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection

from server.auth.authentication import grant_of
from server.auth.grants import Grant, Scope

_LIMITED = {"429": "too many requests; try again after `Retry-After` seconds"}
_RULED = {"401": "no valid token", "403": "the token does not allow it"}


class Rule(SecurityBase):
    """Allows a request whose token has one of the scopes and is valid for the stream.

    The stream is the one of the path (`{stream_id}`).

    Args:
        scopes: One of these is required.
        limited: Whether a token that is limited to some streams is sufficient if the path names
            none.
    """

    def __init__(self, *scopes: Scope, limited: bool = False) -> None:
        self.scopes = scopes
        self.limited = limited
        self.scheme_name = "token"
        self.model = HTTPBearer(description="See `scripts/make_token.py`.")

    async def __call__(self, connection: HTTPConnection) -> None:
        """Raise `UnauthorizedError` or `ForbiddenError` unless the request is allowed."""
        grant = grant_of(connection)
        stream_id: str | None = connection.path_params.get("stream_id")
        grant.check_scope(*self.scopes)
        if stream_id is not None or not self.limited:
            grant.check_stream(stream_id)


class AllowAll:
    """Allows every request: for routes that reveal no data and cost little."""

    async def __call__(self) -> None:
        """Do nothing."""


def needs(*scopes: Scope, limited: bool = False) -> Any:
    """Declare the scopes, one of which a route requires: `dependencies=[needs(Scope.VIEW)]`."""
    return Depends(Rule(*scopes, limited=limited))


def open_to_all() -> Any:
    """Declare that a route requires no token: `dependencies=[open_to_all()]`."""
    return Depends(AllowAll())


async def _grant(connection: HTTPConnection) -> Grant:
    return grant_of(connection)


TheGrant = Annotated[Grant, Depends(_grant)]


def describe_refusals(schema: dict[str, Any], problem: dict[str, Any]) -> None:
    """Add the refusals 401, 403 and 429 to an OpenAPI schema.

    Args:
        schema: Changed in place.
        problem: The content of such a response.
    """
    for path in schema["paths"].values():
        for operation in path.values():
            refusals = _LIMITED | (_RULED if operation.get("security") else {})
            for status, description in refusals.items():
                answer = {"description": description, "content": problem}
                operation["responses"].setdefault(status, answer)
