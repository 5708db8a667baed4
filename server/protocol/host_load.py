"""Load report of a host, by which a router chooses hosts."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


def call_of(stream_id: str) -> str | None:
    """Return the name of the call that a stream belongs to; None if it belongs to none."""
    name, colon, _ = stream_id.partition(":")  # no other id contains a colon
    return name if colon else None


class HeldStream(BaseModel):
    """A stream that a host holds."""

    model_config = ConfigDict(frozen=True)

    id: str
    avatar: Annotated[str, Field(description="Id of the avatar it drives")]


class HostLoad(BaseModel):
    """Load and streams of a host."""

    model_config = ConfigDict(frozen=True)

    run: Annotated[str, Field(description="Random id of the process; changes at every start")] = ""
    address: Annotated[str | None, Field(description="`--public-url`, where viewers reach it")]
    ready: Annotated[bool, Field(description="Whether a worker renders")]
    draining: Annotated[bool, Field(description="Whether it accepts no more viewers")] = False
    sessions: Annotated[int, Field(description="Current viewers")]
    capacity: Annotated[int, Field(description="Maximum simultaneous viewers")]
    asked: Annotated[int, Field(description="Viewers admitted or refused since the start")]
    streams: tuple[HeldStream, ...]
