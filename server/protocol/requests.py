"""Bodies of HTTP requests other than frames, typed and limited like all messages."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from server.protocol.json_text import LONGEST_SMALL_MESSAGE, check_length, parse, parse_small
from server.protocol.messages import (
    FRAME_VALUES,
    LONGEST_FRAME,
    AvatarId,
    ClockMs,
    Eye,
    Face,
    FovRad,
    MeshFrameOrFrames,
    MeshMessage,
    Message,
    NullMeans,
    Ping,
    Seq,
    View,
)


class RenderFace(Face):
    """A `MeshFrame` with optional `seq` and clock, because a still image has no order."""

    seq: Annotated[Seq, NullMeans(0)] = 0
    captured_at_ms: ClockMs | None = None


class RenderView(Message):
    """A `View` with optional `type`, `seq` and clock."""

    type: Annotated[Literal["view"], NullMeans("view")] = "view"
    seq: Annotated[Seq, NullMeans(0)] = 0
    sent_at_ms: ClockMs | None = None
    eye: Eye
    fov_y_rad: FovRad | None = None


class CachedState(Message):
    """The state of the cache that is warped to the requested state."""

    frame: Annotated[RenderFace, NullMeans(RenderFace())] = RenderFace()
    view: RenderView | None = Field(default=None, description="Default: the avatar's own view")


class RenderRequest(Message):
    """One image of an avatar."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "avatar": "default",
                "frame": {"expression": {"mouthSmileLeft": 0.8, "mouthSmileRight": 0.8}},
                "view": {"eye": {"position": [0.1, 0.0, 0.7]}},
                "mode": "full",
            }
        }
    )

    avatar: AvatarId = "default"
    frame: Annotated[RenderFace, NullMeans(RenderFace())] = RenderFace()
    view: RenderView | None = Field(default=None, description="Default: the avatar's own view")
    mode: Annotated[Literal["full", "warp"], NullMeans("full")] = "full"
    cached: CachedState | None = Field(
        default=None,
        description="In warp mode, the state of the cache; default: the same state",
    )


class StreamRequest(Message):
    """Request to create a stream."""

    avatar: AvatarId = "default"
    id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$",
        description="1 to 64 letters, digits, `-`, `_` or `.`; random by default",
    )


class ReplayRequest(Message):
    """Request to replay a recording."""

    stream: str = Field(max_length=64, description="Id of an existing stream without a publisher")


class AvatarRequest(Message):
    """Data that accompany the file of a new avatar."""

    name: str = Field(
        min_length=1, max_length=80, pattern=r"\S", description="Name of the person or avatar"
    )
    consent: str | None = Field(
        default=None,
        min_length=1,
        max_length=2000,
        pattern=r"\S",
        description="For a video: the statement by which the person agrees to the avatar",
    )
    id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="1 to 64 letters, digits, `-` or `_`; default: made from the name, or the one "
        "in the archive",
    )


DOCUMENTED: tuple[type[BaseModel], ...] = (
    AvatarRequest,
    MeshFrameOrFrames,
    MeshMessage,
    Ping,
    RenderRequest,
    ReplayRequest,
    StreamRequest,
    View,
)
"""The messages that bodies and data channels carry, for the API's description."""

_render_request = TypeAdapter(RenderRequest)
_stream_request = TypeAdapter(StreamRequest)
_replay_request = TypeAdapter(ReplayRequest)
_avatar_request = TypeAdapter(AvatarRequest)


def parse_render_request(text: bytes) -> RenderRequest:
    """Read the body of `POST /v1/render`; its two frames together may be as long as one frame."""
    check_length(text, LONGEST_FRAME)
    return parse(_render_request, text, 2 * FRAME_VALUES)


def parse_stream_request(text: bytes) -> StreamRequest:
    """Read the body of `POST /v1/streams`; an empty one selects all defaults."""
    return parse_small(_stream_request, text if text.strip() else b"{}")


def parse_replay_request(text: bytes) -> ReplayRequest:
    """Read the body of `POST /v1/recordings/{id}/replay`."""
    return parse_small(_replay_request, text)


def parse_avatar_request(text: str) -> AvatarRequest:
    """Read the header `Telewarp-Avatar` of `POST /v1/avatars`."""
    return parse_small(_avatar_request, text, 2 * LONGEST_SMALL_MESSAGE)
