"""Messages from clients, typed and limited; the browser's side is `client_web/js`.

Everything that a renderer cannot handle is refused: unknown fields, NaN, infinite or huge numbers,
and quaternions that are no rotations. Every parse function raises `BadMessageError`, whose text
says what was expected and what was received.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import islice
from math import sqrt
from typing import Annotated, Any, Literal, NoReturn, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    GetCoreSchemaHandler,
    RootModel,
    Tag,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function, nullable_schema

from server.errors import BadMessageError
from server.protocol.json_bounds import check_values, split_array

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
LONGEST_FRAME = LONGEST_VERTICES + 2**19
"""Characters of one mesh frame. A text is parsed at once, so this bounds how long that takes: 25 ms
for spaces or digits alone."""
LONGEST_SMALL_MESSAGE = 4096
"""Characters of a view, a ping or a request to create a stream; each takes some 200."""
FRAME_VALUES = LONGEST_EXPRESSION + 64
"""Values of one mesh frame: its coefficients and everything else."""
_SMALL_VALUES = 64
_SHOWN_INPUT = 60
_BYTE_ORDER_MARK = "\ufeff"


class _NullMeans:
    """Accepts `null` for a value that may be left out; some languages write every field.

    Args:
        default: The value that `null` stands for.
    """

    def __init__(self, default: Any) -> None:
        self._default = default

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return no_info_after_validator_function(self._fill, nullable_schema(handler(source)))

    def _fill(self, value: Any) -> Any:
        return self._default if value is None else value


def whole(value: Any) -> Any:
    """Convert 3.0 to 3: an integer of JSON Schema, and all that languages of doubles can write."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= LARGEST_SEQ:
        return int(value)
    return value


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


Seq = Annotated[int, BeforeValidator(whole), Field(ge=0, le=LARGEST_SEQ)]
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
_NO_ROTATION = (0.0, 0.0, 0.0, 1.0)
_ORIGIN = (0.0, 0.0, 0.0)
_Rotation = Annotated[Quaternion, _NullMeans(_NO_ROTATION)]
AvatarId = Annotated[str, Field(max_length=128), _NullMeans("default")]
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

    rotation: _Rotation = _NO_ROTATION
    translation: Annotated[Point, _NullMeans(_ORIGIN)] = Field(
        default=_ORIGIN, description="Metres"
    )


class Eye(Message):
    """Pose of the viewer's eye, local to world; it looks along its own -Z."""

    rotation: _Rotation = _NO_ROTATION
    position: Point = Field(description="Metres", examples=[[0.0, 0.0, 0.7]])


class Face(Message):
    """A face at one moment, without the moment."""

    head: Annotated[HeadPose, _NullMeans(HeadPose())] = HeadPose()
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

    seq: Annotated[Seq, _NullMeans(0)] = 0
    captured_at_ms: ClockMs | None = None


class RenderView(Message):
    """A `View` whose `type`, `seq` and clock may be left out."""

    type: Annotated[Literal["view"], _NullMeans("view")] = "view"
    seq: Annotated[Seq, _NullMeans(0)] = 0
    sent_at_ms: ClockMs | None = None
    eye: Eye
    fov_y_rad: FovRad | None = None


class CachedState(Message):
    """The state a cache is made from, before it is warped to the requested state."""

    frame: Annotated[RenderFace, _NullMeans(RenderFace())] = RenderFace()
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
    frame: Annotated[RenderFace, _NullMeans(RenderFace())] = RenderFace()
    view: RenderView | None = Field(default=None, description="Default: the avatar's own view")
    mode: Annotated[Literal["full", "warp"], _NullMeans("full")] = "full"
    cached: CachedState | None = Field(
        default=None,
        description="In warp mode, what the cache is made from; default the same state",
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
    """What comes with the file of a new avatar."""

    name: str = Field(
        min_length=1, max_length=80, pattern=r"\S", description="Name of the person or avatar"
    )
    consent: str | None = Field(
        default=None,
        min_length=1,
        max_length=2000,
        pattern=r"\S",
        description="Of a video: the statement by which the person agrees to the avatar",
    )
    id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        description="1 to 64 letters, digits, `-` or `_`; default: made from the name, or the one "
        "in the archive",
    )


class MeshFrameOrFrames(RootModel[MeshFrame | list[MeshFrame]]):
    """One frame, or several in the order they were captured."""


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

_mesh_frame = TypeAdapter(MeshFrame)
_viewer_message: TypeAdapter[View | MeshMessage | Ping] = TypeAdapter(ViewerMessage)
_render_request = TypeAdapter(RenderRequest)
_stream_request = TypeAdapter(StreamRequest)
_replay_request = TypeAdapter(ReplayRequest)
_avatar_request = TypeAdapter(AvatarRequest)
_Parsed = TypeVar("_Parsed")


def parse_mesh_frame(text: str | bytes) -> MeshFrame:
    """Read one face frame."""
    if len(text) > LONGEST_FRAME:
        _refuse_length(text, LONGEST_FRAME)
    return _parse(_mesh_frame, text, FRAME_VALUES)


def parse_mesh_frames(text: bytes, largest_count: int) -> list[MeshFrame]:
    """Read one face frame, or an array of at most `largest_count`."""
    return list(each_mesh_frame(text, largest_count))


def each_mesh_frame(text: bytes, largest_count: int) -> Iterator[MeshFrame]:
    """Read one face frame, or an array of at most `largest_count`, frame by frame.

    A step takes some milliseconds at most, whatever the text, so that a caller can let others run
    in between. The first error ends it.
    """
    text = text.removeprefix(_BYTE_ORDER_MARK.encode())
    if not text.lstrip().startswith(b"["):
        yield parse_mesh_frame(text)
        return
    elements = split_array(text, FRAME_VALUES)
    for index in range(largest_count):
        try:
            element = next(elements, None)
            if element is None:
                return
            frame = parse_mesh_frame(element)
        except BadMessageError as exc:
            raise BadMessageError(at_index(index, exc)) from exc
        yield frame
    rest = len(list(islice(elements, 2)))
    if rest:
        got = largest_count + 1 if rest == 1 else f"more than {largest_count + 1}"
        raise BadMessageError(f"expected an array of at most {largest_count} frames, got {got}")


def at_index(index: int, error: BadMessageError) -> str:
    """Return the text of an error with the place of its element in an array."""
    text = str(error)
    return f"{index}: {text}" if text.startswith("expected ") else f"{index}.{text}"


def parse_viewer_message(text: str | bytes) -> View | MeshMessage | Ping:
    """Read one message of the data channel `view`."""
    mesh = b'"mesh"' in text if isinstance(text, bytes) else '"mesh"' in text
    if len(text) > LONGEST_SMALL_MESSAGE and not mesh:
        _refuse_length(text)
    return _parse(_viewer_message, text, FRAME_VALUES)


def parse_render_request(text: bytes) -> RenderRequest:
    """Read the body of `POST /v1/render`; its two frames together are as long as one may be."""
    if len(text) > LONGEST_FRAME:
        _refuse_length(text, LONGEST_FRAME)
    return _parse(_render_request, text, 2 * FRAME_VALUES)


def parse_stream_request(text: bytes) -> StreamRequest:
    """Read the body of `POST /v1/streams`; an empty one selects all defaults."""
    return parse_small(_stream_request, text if text.strip() else b"{}")


def parse_replay_request(text: bytes) -> ReplayRequest:
    """Read the body of `POST /v1/recordings/{id}/replay`."""
    return parse_small(_replay_request, text)


def parse_small(adapter: TypeAdapter[_Parsed], text: str | bytes) -> _Parsed:
    """Read a message of at most `LONGEST_SMALL_MESSAGE` characters.

    Raises:
        BadMessageError: If it is too long or does not fit the adapter's type.
    """
    if len(text) > LONGEST_SMALL_MESSAGE:
        _refuse_length(text)
    return _parse(adapter, text, _SMALL_VALUES)


def parse_avatar_request(text: str) -> AvatarRequest:
    """Read the header `Telewarp-Avatar` of `POST /v1/avatars`."""
    if len(text) > 2 * LONGEST_SMALL_MESSAGE:
        _refuse_length(text, 2 * LONGEST_SMALL_MESSAGE)
    return _parse(_avatar_request, text, _SMALL_VALUES)


def _refuse_length(text: str | bytes, longest: int = LONGEST_SMALL_MESSAGE) -> NoReturn:
    raise BadMessageError(f"expected at most {longest} characters, got {len(text)}")


def _parse(adapter: TypeAdapter[_Parsed], text: str | bytes, most_values: int) -> _Parsed:
    check_values(text, most_values)
    if isinstance(text, bytes):
        text = text.removeprefix(_BYTE_ORDER_MARK.encode())
    else:
        text = text.removeprefix(_BYTE_ORDER_MARK)
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
    parts = [str(part) for part in detail["loc"] if part not in ("by name", "whole")]
    place = ".".join(part[:_SHOWN_INPUT] for part in parts)
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
    """Show a value from outside in JSON's words, without letting it fill a log or an answer."""
    if isinstance(value, str):
        text = repr(value[: 2 * _SHOWN_INPUT])
    elif value is None or isinstance(value, bool | dict | list):
        text = json.dumps(value)
    else:
        text = repr(value)
    return text if len(text) <= _SHOWN_INPUT else f"{text[:_SHOWN_INPUT]}..."
