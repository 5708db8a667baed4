"""Messages of a call's WebSocket, from the page to the server."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, TypeAdapter
from pydantic_core import PydanticCustomError

from server.protocol.json_text import parse_small
from server.protocol.messages import AvatarId, Message, whole

SEATS = 4
"""Number of seats of a table."""
LONGEST_NAME = 40
WIDEST_RAD = 1.5
"""Largest angle between the middle of a person's screen and a point on it."""
_JOINER = "\u200d"
"""Joins the parts of an emoji; the only invisible character that a name may have."""


def _person_name(value: str) -> str:
    name = " ".join(value.split())
    if not 1 <= len(name) <= LONGEST_NAME or not all(c.isprintable() or c == _JOINER for c in name):
        raise PydanticCustomError(
            "person_name", f"expected a name of 1 to {LONGEST_NAME} visible characters"
        )
    return name


Seat = Annotated[int, BeforeValidator(whole), Field(ge=0, lt=SEATS)]
Angle = Annotated[float, Field(ge=-WIDEST_RAD, le=WIDEST_RAD)]


class Join(Message):
    """The first message: requests a seat, or the one that one had."""

    type: Literal["join"]
    name: Annotated[str, AfterValidator(_person_name)]
    avatar: AvatarId = "default"
    resume: Annotated[str, Field(max_length=64)] | None = None
    """Secret of the seat that one had, to get it again."""


class Direction(Message):
    """Where a person sees another one: the angles from straight ahead."""

    seat: Seat
    """Seat of the person who is seen."""
    yaw_rad: Angle
    """Yaw, to the left of the person who looks."""
    pitch_rad: Angle
    """Pitch, upwards."""


class PersonState(Message):
    """Changes of a seated person; missing fields keep their value."""

    type: Literal["state"]
    muted: bool | None = None
    directions: Annotated[tuple[Direction, ...], Field(max_length=SEATS - 1)] | None = None


class Leave(Message):
    """Frees the seat; a connection that ends without this message keeps the seat for a while."""

    type: Literal["leave"]


CallMessage = Annotated[Join | PersonState | Leave, Discriminator("type")]
_call_message: TypeAdapter[Join | PersonState | Leave] = TypeAdapter(CallMessage)


def parse_call_message(text: str | bytes) -> Join | PersonState | Leave:
    """Read one message of a call's WebSocket.

    Raises:
        BadMessageError: If it is not a message of a call.
    """
    return parse_small(_call_message, text)
