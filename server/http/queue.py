"""The waiting line of a full server: join it, ask how far one is, leave it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, Field

from server.admission.admission import TicketStatus
from server.auth.grants import Scope
from server.http.authorization import TheGrant, needs
from server.http.bodies import problems
from server.http.dependencies import TheAdmission, TheStream

router = APIRouter(prefix="/v1", tags=["watching"])


class QueuePosition(BaseModel):
    """How a ticket stands."""

    ticket: str
    place: Annotated[int, Field(description="1 is the next; 0: its turn has come, so come in")]
    waiting: Annotated[int, Field(description="Viewers in the line")]
    ask_after_s: Annotated[float, Field(description="Ask again then, or the place is lost")]


@router.post(
    "/streams/{stream_id}/queue",
    summary="Wait for a place",
    status_code=status.HTTP_201_CREATED,
    responses=problems(
        _404="no such stream",
        _503="too many wait already, or the server is going down; try again after `Retry-After`",
    ),
    dependencies=[needs(Scope.VIEW)],
)
async def join_queue(
    request: Request,
    response: Response,
    stream: TheStream,
    admission: TheAdmission,
    grant: TheGrant,
) -> QueuePosition:
    """Stand at the end of the line that a full server has. `Location` is the ticket.

    Ask for it as often as it says. Once `place` is 0, a place is kept for ten seconds: POST the
    offer again with the header `Telewarp-Ticket`, or open the WebSocket with the subprotocols
    `telewarp` and `telewarp.ticket.TICKET`. Whoever has no ticket comes after those in the line.
    """
    queued = admission.join(grant)
    root = request.scope.get("root_path", "")
    response.headers["Location"] = f"{root}/v1/queue/{queued.ticket.id}"
    return _describe(queued)


@router.get(
    "/queue/{ticket}",
    summary="A place in the line",
    responses=problems(
        _404="no such ticket, or it was asked for too late", _503="the server is going down"
    ),
    dependencies=[needs(Scope.VIEW, limited=True)],
)
async def ask_queue(ticket: str, admission: TheAdmission, grant: TheGrant) -> QueuePosition:
    """How many viewers come before; asking keeps the place."""
    return _describe(admission.poll(ticket, grant))


@router.delete(
    "/queue/{ticket}",
    summary="Leave the line",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(_404="no such ticket"),
    dependencies=[needs(Scope.VIEW, limited=True)],
)
async def leave_queue(ticket: str, admission: TheAdmission, grant: TheGrant) -> None:
    """Give the place to those behind."""
    admission.cancel(ticket, grant)


def _describe(queued: TicketStatus) -> QueuePosition:
    return QueuePosition(
        ticket=queued.ticket.id,
        place=queued.position,
        waiting=queued.queued,
        ask_after_s=round(queued.poll_after_s, 1),
    )
