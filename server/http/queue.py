"""The queue of a full server: join it, poll the position, leave it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request, Response, status
from pydantic import BaseModel, Field

from server.admission.admission import TicketStatus
from server.auth.grants import Scope
from server.http.authorization import TheGrant, needs
from server.http.bodies import problems
from server.http.dependencies import TheAdmission, TheStream
from server.http.locations import location_of

router = APIRouter(prefix="/v1", tags=["watching"])


class QueuePosition(BaseModel):
    """Position of a ticket in the queue."""

    ticket: str
    place: Annotated[
        int,
        Field(description="Queue position, 1 is the next; 0: a session is reserved, connect now"),
    ]
    waiting: Annotated[int, Field(description="Queued viewers")]
    ask_after_s: Annotated[
        float, Field(description="Seconds until the next poll, without which the ticket expires")
    ]


@router.post(
    "/streams/{stream_id}/queue",
    summary="Join the queue",
    status_code=status.HTTP_201_CREATED,
    responses=problems(
        _404="no such stream",
        _503="the queue is full, or the server is shutting down; try again after `Retry-After`",
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
    """Join the end of the queue of a full server. `Location` is the address of the ticket.

    Poll it every `ask_after_s`. Once `place` is 0, a session is reserved for ten seconds: POST the
    offer again with the header `Telewarp-Ticket`, or open the WebSocket with the subprotocols
    `telewarp` and `telewarp.ticket.TICKET`. Viewers without a ticket come after queued viewers.
    """
    queued = admission.join(grant)
    response.headers["Location"] = location_of(request, f"/v1/queue/{queued.ticket.id}")
    return _describe(queued)


@router.get(
    "/queue/{ticket}",
    summary="A position in the queue",
    responses=problems(
        _404="no such ticket, or it was polled too late", _503="the server is shutting down"
    ),
    dependencies=[needs(Scope.VIEW, limited=True)],
)
async def get_queue_position(
    ticket: str, admission: TheAdmission, grant: TheGrant
) -> QueuePosition:
    """Return the queue position; a ticket that is not polled expires."""
    return _describe(admission.poll(ticket, grant))


@router.delete(
    "/queue/{ticket}",
    summary="Leave the queue",
    status_code=status.HTTP_204_NO_CONTENT,
    responses=problems(_404="no such ticket"),
    dependencies=[needs(Scope.VIEW, limited=True)],
)
async def leave_queue(ticket: str, admission: TheAdmission, grant: TheGrant) -> None:
    """Leave the queue."""
    admission.cancel(ticket, grant)


def _describe(queued: TicketStatus) -> QueuePosition:
    return QueuePosition(
        ticket=queued.ticket.id,
        place=queued.position,
        waiting=queued.queued,
        ask_after_s=round(queued.poll_after_s, 1),
    )
