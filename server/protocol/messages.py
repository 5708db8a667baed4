"""Messages from clients, typed and limited; the browser's side is `client_web/js`.

Everything that a renderer cannot handle is refused: unknown fields, NaN, infinite or huge numbers,
and quaternions that are no rotations. Every parse function raises `BadMessageError`, whose text
says what was expected and what was received.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    RootModel,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from server.errors import BadMessageError

LARGEST_SEQ = 2**53 - 1
"""The largest whole number JavaScript counts to without gaps."""
FARTHEST_M = 10.0
"""Maximum distance of anything from the origin along any axis, metres."""
LONGEST_CLOCK_MS = 1e15
"""Some 30 000 years: any real clock fits, and sums of clocks stay exact in a double."""
QUATERNION_TOLERANCE = 0.01
"""Quaternions this close to unit length are normalised, others refused."""
LARGEST_COEFFICIENT = 10.0
"""Above those of every avatar we know: ARKit's end at 1, FLAME's at some 5."""
LONGEST_EXPRESSION = 1024
LONGEST_VERTICES = 8 * 2**20
"""Characters of base64: some 500 000 vertices, above every avatar we know."""
_SHOWN_INPUT = 60


def _unit(quaternion: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    x, y, z, w = quaternion
    length = sqrt(x * x + y * y + z * z + w * w)
    if abs(length - 1.0) > QUATERNION_TOLERANCE:
        raise PydanticCustomError(
            "quaternion",
            "expected a unit quaternion [x, y, z, w] (length 1 within 1 %), got length {length}",
            {"length": f"{length:.4g}"},
        )
    return (x / length, y / length, z / length, w / length)


Seq = Annotated[int, Field(ge=0, le=LARGEST_SEQ)]
ClockMs = Annotated[float, Field(ge=-LONGEST_CLOCK_MS, le=LONGEST_CLOCK_MS)]
Metres = Annotated[float, Field(ge=-FARTHEST_M, le=FARTHEST_M)]
Point = tuple[Metres, Metres, Metres]
FovRad = Annotated[float, Field(ge=0.05, le=2.5, description="Full vertical angle")]
# Components are limited first, so that the length's square cannot overflow.
_Component = Annotated[float, Field(ge=-2.0, le=2.0)]
Quaternion = Annotated[
    tuple[_Component, _Component, _Component, _Component],
    AfterValidator(_unit),
    Field(description="Unit quaternion [x, y, z, w]", examples=[[0.0, 0.0, 0.0, 1.0]]),
]
# The range of each avatar is checked in `decode.py`.
Coefficient = Annotated[float, Field(ge=-LARGEST_COEFFICIENT, le=LARGEST_COEFFICIENT)]


def _expression_form(value: object) -> str | None:
    if isinstance(value, dict):
        return "by name"
    return "whole" if isinstance(value, list | tuple) else None


Expression = Annotated[
    Annotated[dict[str, Coefficient], Field(max_length=LONGEST_EXPRESSION), Tag("by name")]
    | Annotated[list[Coefficient], Field(max_length=LONGEST_EXPRESSION), Tag("whole")],
    Discriminator(
        _expression_form,
        custom_error_type="expression",
        custom_error_message="expected an object of name: coefficient, or a list of coefficients",
    ),
]


class Message(BaseModel):
    """Base of all messages: no unknown fields, no infinite numbers, no type coercion."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class HeadPose(Message):
    """Pose of the head, local to world."""

    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    translation: Point = Field(default=(0.0, 0.0, 0.0), description="Metres")


class Eye(Message):
    """Pose of the viewer's eye, local to world; it looks along its own -Z."""

    rotation: Quaternion = (0.0, 0.0, 0.0, 1.0)
    position: Point = Field(description="Metres", examples=[[0.0, 0.0, 0.7]])


class Face(Message):
    """A face at one moment, without the moment."""

    head: HeadPose = HeadPose()
    expression: Expression | None = Field(
        default=None,
        description="Coefficients, by name or whole in the avatar's order, within its "
        "`expression_range` (0..1 but for FLAME's); default neutral",
        examples=[{"jawOpen": 0.3}],
    )
    vertices: Annotated[str, Field(max_length=LONGEST_VERTICES)] | None = Field(
        default=None,
        description="Instead of `expression`: base64 of float32 little-endian, V x 3, metres, "
        "posed in head space, in the avatar's topology",
    )

    @model_validator(mode="after")
    def _one_of_both(self) -> Face:
        if self.expression is not None and self.vertices is not None:
            raise PydanticCustomError("face", "expected expression or vertices, got both")
        return self


class MeshFrame(Face):
    """One frame of a stream: the face as it is now."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "seq": 17,
                "captured_at_ms": 1234.5,
                "head": {"rotation": [0, 0, 0, 1], "translation": [0, 0, 0]},
                "expression": {"jawOpen": 0.3},
            }
        }
    )

    seq: Seq = Field(description="Counts up; a late or repeated one is dropped")
    captured_at_ms: ClockMs | None = Field(default=None, description="The sender's own clock")


class View(Message):
    """The viewer's current eye pose. Only the newest counts."""

    type: Literal["view"]
    seq: Seq
    sent_at_ms: ClockMs | None = Field(
        default=None, description="The viewer's own clock, sent back as is"
    )
    eye: Eye
    fov_y_rad: float | None = Field(
        default=None, ge=0.05, le=2.5, description="Full vertical angle"
    )


class MeshMessage(MeshFrame):
    """A mesh frame from a viewer that drives the face of its own session."""

    type: Literal["mesh"]


class Ping(Message):
    """Requests the server's clock; answered at once by a `pong` event."""

    type: Literal["ping"]
    sent_at_ms: ClockMs = Field(description="The viewer's own clock, sent back as is")


ViewerMessage = Annotated[View | MeshMessage | Ping, Discriminator("type")]


class RenderFace(Face):
    """A `MeshFrame` whose `seq` and clock may be left out: a still image has no order."""

    seq: Seq = 0
    captured_at_ms: ClockMs | None = None


class RenderView(Message):
    """A `View` whose `type`, `seq` and clock may be left out."""

    type: Literal["view"] = "view"
    seq: Seq = 0
    sent_at_ms: ClockMs | None = None
    eye: Eye
    fov_y_rad: FovRad | None = None


class CachedState(Message):
    """The state a cache is made from, before it is warped to the requested state."""

    frame: RenderFace = RenderFace()
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

    avatar: str = Field("default", max_length=128)
    frame: RenderFace = RenderFace()
    view: RenderView | None = Field(default=None, description="Default: the avatar's own view")
    mode: Literal["full", "warp"] = "full"
    cached: CachedState | None = Field(
        default=None,
        description="In warp mode, what the cache is made from; default the same state",
    )


class StreamRequest(Message):
    """Request to create a stream."""

    avatar: str = Field("default", max_length=128)
    id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$",
        description="1 to 64 letters, digits, `-`, `_` or `.`; random by default",
    )


class ReplayRequest(Message):
    """Request to replay a recording."""

    stream: str = Field(max_length=64, description="Id of an existing stream without a publisher")


class MeshFrameOrFrames(RootModel[MeshFrame | list[MeshFrame]]):
    """One frame, or several in the order they were captured."""


DOCUMENTED: tuple[type[BaseModel], ...] = (
    MeshFrameOrFrames,
    MeshMessage,
    Ping,
    RenderRequest,
    ReplayRequest,
    StreamRequest,
    View,
)
"""The messages that bodies and data channels carry, for the API's description."""

_mesh_frame = TypeAdapter(MeshFrame)
_mesh_frames = TypeAdapter(list[MeshFrame])
_viewer_message: TypeAdapter[View | MeshMessage | Ping] = TypeAdapter(ViewerMessage)
_render_request = TypeAdapter(RenderRequest)
_stream_request = TypeAdapter(StreamRequest)
_replay_request = TypeAdapter(ReplayRequest)
_Parsed = TypeVar("_Parsed")


def parse_mesh_frame(text: str | bytes) -> MeshFrame:
    """Read one face frame."""
    return _parse(_mesh_frame, text)


def parse_mesh_frames(text: bytes, largest_count: int) -> list[MeshFrame]:
    """Read one face frame, or an array of at most `largest_count`."""
    if not text.lstrip().startswith(b"["):
        return [parse_mesh_frame(text)]
    frames = _parse(_mesh_frames, text)
    if len(frames) > largest_count:
        raise BadMessageError(
            f"expected an array of at most {largest_count} frames, got {len(frames)}"
        )
    return frames


def parse_viewer_message(text: str | bytes) -> View | MeshMessage | Ping:
    """Read one message of the data channel `view`."""
    return _parse(_viewer_message, text)


def parse_render_request(text: bytes) -> RenderRequest:
    """Read the body of `POST /v1/render`."""
    return _parse(_render_request, text)


def parse_stream_request(text: bytes) -> StreamRequest:
    """Read the body of `POST /v1/streams`; an empty one selects all defaults."""
    return _parse(_stream_request, text if text.strip() else b"{}")


def parse_replay_request(text: bytes) -> ReplayRequest:
    """Read the body of `POST /v1/recordings/{id}/replay`."""
    return _parse(_replay_request, text)


def _parse(adapter: TypeAdapter[_Parsed], text: str | bytes) -> _Parsed:
    try:
        return adapter.validate_json(text)
    except ValidationError as exc:
        raise BadMessageError(describe(exc)) from exc


def describe(error: ValidationError) -> str:
    """Return one line with what was expected and received, for at most three fields."""
    return describe_errors(error.errors(include_url=False))


def describe_errors(found: Sequence[ErrorDetails]) -> str:
    """Like `describe`, of the errors themselves."""
    lines = [_describe_one(detail) for detail in found[:3]]
    if len(found) > 3:
        lines.append(f"and {len(found) - 3} more")
    return "; ".join(lines)


def _describe_one(detail: ErrorDetails) -> str:
    # A union's tags are ours, not part of the message.
    place = ".".join(str(part) for part in detail["loc"] if part not in ("by name", "whole"))
    return f"{place}: {_expected_and_got(detail)}" if place else _expected_and_got(detail)


def _expected_and_got(detail: ErrorDetails) -> str:
    message = detail["msg"]
    match detail["type"]:
        case "missing":
            return "expected a value, got nothing"
        case "extra_forbidden":
            return "expected no such field"
        case "json_invalid":
            return f"expected JSON, got an error: {message.removeprefix('Invalid JSON: ')}"
        case "quaternion" | "face":
            return message
    expected = message.replace("Input should be", "expected", 1)
    if not expected.startswith("expected"):
        expected = f"expected otherwise: {message}"
    return f"{expected}, got {shorten(detail['input'])}"


def shorten(value: Any) -> str:
    """Show a value from outside without letting it fill a log or an answer."""
    text = repr(value) if not isinstance(value, str) else repr(value[: 2 * _SHOWN_INPUT])
    return text if len(text) <= _SHOWN_INPUT else f"{text[:_SHOWN_INPUT]}..."
