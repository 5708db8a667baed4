"""Refined stills, which a viewer shows over the video while nothing moves."""

from __future__ import annotations

from fastapi import APIRouter, Response

from server.auth.grants import Scope
from server.encoding.still import STILL_TYPE
from server.http.authorization import needs
from server.http.bodies import described, problems
from server.http.dependencies import OwnSession

router = APIRouter(prefix="/v1", tags=["watching"])


@router.get(
    "/sessions/{session_id}/stills/{number}",
    summary="A refined still",
    response_class=Response,
    responses=described(200, "The image", STILL_TYPE)
    | problems(
        _400="the number is invalid",
        _404="no such session or still, or the face has moved since",
    ),
    dependencies=[needs(Scope.VIEW, limited=True)],
)
async def get_still(session: OwnSession, number: int) -> Response:
    """Return the still that `frame` events name: the same image at the size of the display."""
    return Response(session.take_still(number).jpeg, media_type=STILL_TYPE)
