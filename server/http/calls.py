"""Calls: a WebSocket for each participant, which receives the list of participants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Response, WebSocket, WebSocketDisconnect
from pydantic import BaseModel, Field

from server.auth.grants import Scope
from server.auth.headers import TOKEN
from server.calls.calls import Calls, Connection, Person
from server.errors import BadMessageError, DrainingError
from server.http.authorization import TheGrant, needs
from server.http.bodies import problems
from server.http.dependencies import TheAdmission, TheCalls, TheRedirectTokens
from server.http.paced_messages import paced_messages
from server.protocol.call_messages import SEATS, Join, Leave, parse_call_message
from server.protocol.message_rate import MessageRate

router = APIRouter(prefix="/v1/calls", tags=["calls"])

_MESSAGES_PER_S = 20.0
_FIRST_MESSAGE_S = 10.0


class PersonInCall(BaseModel):
    """A participant, as reported to clients outside of the call."""

    seat: int
    name: str
    avatar: str
    present: Annotated[bool, Field(description="False while the connection is lost")]


class CallDescription(BaseModel):
    """Participants of a call."""

    call: str
    seats: Annotated[int, Field(description="Of the table")] = SEATS
    people: list[PersonInCall]


@router.get(
    "/{call}",
    summary="Who is in a call",
    responses=problems(_400="the name is invalid"),
    dependencies=[needs(Scope.VIEW, Scope.PUBLISH, limited=True)],
)
async def describe_call(
    call: str, calls: TheCalls, grant: TheGrant, response: Response, tokens: TheRedirectTokens
) -> CallDescription:
    """Return the participants; empty if there is no such call, because anyone may begin it.

    A page that a router redirected here receives a token for the call in `Telewarp-Token`.
    """
    grant.check_stream(call)
    if grant.by_redirect_token and tokens is not None:
        response.headers[TOKEN] = tokens.token_for(grant)
    people = [PersonInCall.model_validate(person.describe()) for person in calls.roster(call)]
    return CallDescription(call=call, people=people)


@router.websocket("/{call}", dependencies=[needs(Scope.VIEW, Scope.PUBLISH, limited=True)])
async def attend_call(
    socket: WebSocket, call: str, calls: TheCalls, admission: TheAdmission, grant: TheGrant
) -> None:
    """Take a seat with the message `join`, and receive `roster` whenever something changes."""
    await socket.accept()  # first, because a browser does not learn why a socket was not accepted
    grant.check_scope(Scope.PUBLISH)
    grant.check_scope(Scope.VIEW)
    grant.check_stream(call)
    if admission.draining:
        raise DrainingError("the server is shutting down and opens no new calls")
    messages = paced_messages(socket, MessageRate(_MESSAGES_PER_S, _MESSAGES_PER_S))
    first = await _first(messages)
    if first is None:
        return
    person = calls.join(call, first)
    connection = person.connection
    assert connection is not None  # it was just created
    reading = asyncio.create_task(_read(socket, messages, calls, person))
    sending = asyncio.create_task(_send(socket, calls, person, connection))
    try:
        await asyncio.wait({reading, sending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (reading, sending):
            task.cancel()
        calls.disconnect(person, connection)
    if reading.done():
        await reading  # raises where the person was disconnected for the rate
    elif connection.ended is not None:
        raise connection.ended


async def _first(messages: AsyncIterator[tuple[str | bytes, bool]]) -> Join | None:
    """Return the message that requests a seat; None if the socket was closed instead."""
    try:
        async with asyncio.timeout(_FIRST_MESSAGE_S):
            text, _ = await anext(messages)
    except StopAsyncIteration:
        return None
    except TimeoutError:
        raise BadMessageError(f"expected `join` within {_FIRST_MESSAGE_S:g} s, got none") from None
    message = parse_call_message(text)
    if not isinstance(message, Join):
        raise BadMessageError(f"expected `join` first, got `{message.type}`")
    return message


async def _read(
    socket: WebSocket,
    messages: AsyncIterator[tuple[str | bytes, bool]],
    calls: Calls,
    person: Person,
) -> None:
    """Apply a person's messages until they leave or the connection ends."""
    async for text, within_rate in messages:
        if not within_rate:
            continue
        try:
            message = parse_call_message(text)
            if isinstance(message, Join):
                raise BadMessageError("expected `state` or `leave`, got a second `join`")
        except BadMessageError as exc:
            with suppress(WebSocketDisconnect):  # the next message is then the end
                await socket.send_json({"type": "error", "detail": str(exc)})
            continue
        if isinstance(message, Leave):
            calls.leave(person)
            await socket.close()
            return
        calls.update(person, message)


async def _send(socket: WebSocket, calls: Calls, person: Person, connection: Connection) -> None:
    """Send the newest roster after each change; a slow reader gets fewer of them."""
    joined = {"type": "joined", "seat": person.seat, "seats": SEATS, "resume": person.resume}
    with suppress(WebSocketDisconnect):
        await socket.send_json({**joined, "stream": person.stream.id})
        while connection.ended is None:
            connection.changed.clear()  # before the roster is read: no change is missed
            await socket.send_json(_roster(calls, person.call))
            await connection.changed.wait()


def _roster(calls: Calls, call: str) -> dict[str, Any]:
    return {"type": "roster", "people": [person.describe() for person in calls.roster(call)]}
