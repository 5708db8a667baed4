"""What a host tells of itself, for a router to choose by."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class HeldStream(BaseModel):
    """A stream that a host holds."""

    model_config = ConfigDict(frozen=True)

    id: str
    avatar: Annotated[str, Field(description="Id of the avatar it drives")]


class HostLoad(BaseModel):
    """How much room a host has, and what it holds."""

    model_config = ConfigDict(frozen=True)

    run: Annotated[str, Field(description="Another one whenever the host was started anew")] = ""
    address: Annotated[str | None, Field(description="`--public-url`, where viewers reach it")]
    ready: Annotated[bool, Field(description="Whether a worker renders")]
    draining: Annotated[bool, Field(description="Whether it takes no more viewers")] = False
    sessions: Annotated[int, Field(description="Viewers at present")]
    capacity: Annotated[int, Field(description="Most viewers at a time")]
    asked: Annotated[int, Field(description="Viewers admitted or refused since the start")]
    streams: tuple[HeldStream, ...]
