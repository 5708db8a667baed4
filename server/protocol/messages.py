"""Messages of clients: views, faces and mesh frames; `client_web/js` sends them in browsers.

All values that a renderer cannot handle are refused: unknown fields, NaN, infinite or huge numbers,
and quaternions that are no rotations. Every parse function raises `BadMessageError`, whose text
says what was expected and what was received.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from math import sqrt
from typing import Annotated, Any, Literal

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
    model_validator,
)
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function, nullable_schema

from server.errors import BadMessageError
from server.protocol.json_text import (
    BYTE_ORDER_MARK,
    LONGEST_SMALL_MESSAGE,
    check_length,
    parse,
    split_array,
)

LARGEST_SEQ = 2**53 - 1
"""The largest integer that JavaScript represents exactly with all smaller ones."""
FARTHEST_M = 10.0
"""Maximum distance of anything from the origin along any axis, metres."""
LONGEST_CLOCK_MS = 1e15
"""About 30 000 years: fits any real clock, and sums of clocks stay exact in a double."""
QUATERNION_TOLERANCE = 0.01
"""Quaternions this close to unit length are normalised, others refused."""
LARGEST_COEFFICIENT = 10.0
"""Above the coefficients of all known avatars: ARKit's end at 1, FLAME's at about 5."""
LARGEST_DISPLAY_PX = 16384
"""Twice the height of an 8K screen, and the largest canvas of browsers."""
LONGEST_EXPRESSION = 1024
LONGEST_VERTICES = 8 * 2**20
"""Characters of base64: about 500 000 vertices, more than any known avatar has."""
LONGEST_FRAME = LONGEST_VERTICES + 2**19
"""Characters of one mesh frame. A text is parsed in one step, so this bounds the duration: 25 ms
for spaces or digits alone."""
FRAME_VALUES = LONGEST_EXPRESSION + 64
"""Values of one mesh frame: its coefficients and everything else."""


class NullMeans:
    """Accepts `null` for an optional value, because some languages write every field.

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
    """Convert 3.0 to 3: it is an integer of JSON Schema, and some languages have only doubles."""
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
_Rotation = Annotated[Quaternion, NullMeans(_NO_ROTATION)]
AvatarId = Annotated[str, Field(max_length=128), NullMeans("default")]
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
    translation: Annotated[Point, NullMeans(_ORIGIN)] = Field(default=_ORIGIN, description="Metres")


class Eye(Message):
    """Pose of the viewer's eye, local to world; it looks along its own -Z."""

    rotation: _Rotation = _NO_ROTATION
    position: Point = Field(description="Metres", examples=[[0.0, 0.0, 0.7]])


class Face(Message):
    """A face without its time."""

    head: Annotated[HeadPose, NullMeans(HeadPose())] = HeadPose()
    expression: Expression | None = Field(
        default=None,
        description="Coefficients, by name or whole in the avatar's order, within its "
        "`expression_range` (0..1 but for FLAME's); default neutral. Names of ARKit in other "
        "spellings (`EyeBlink_L`, `blendShapes.eyeBlinkLeft`) are known",
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
    """The viewer's current eye pose; only the newest counts."""

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


class Display(Message):
    """Size at which the viewer shows the frames: frames and refined stills follow it.

    Viewers that never send it get no stills.
    """

    type: Literal["display"]
    size_px: Annotated[int, BeforeValidator(whole)] = Field(
        ge=1, le=LARGEST_DISPLAY_PX, description="Rows of the square frame, in the screen's pixels"
    )
    stills: bool = Field(default=True, description="Whether refined stills are shown")


ViewerMessage = Annotated[View | MeshMessage | Ping | Display, Discriminator("type")]


class MeshFrameOrFrames(RootModel[MeshFrame | list[MeshFrame]]):
    """One frame, or several in the order they were captured."""


_mesh_frame = TypeAdapter(MeshFrame)
_viewer_message: TypeAdapter[View | MeshMessage | Ping | Display] = TypeAdapter(ViewerMessage)


def parse_mesh_frame(text: str | bytes) -> MeshFrame:
    """Read one face frame."""
    check_length(text, LONGEST_FRAME)
    return parse(_mesh_frame, text, FRAME_VALUES)


def each_mesh_frame(text: bytes, largest_count: int) -> Iterator[MeshFrame]:
    """Read one face frame, or an array of at most `largest_count`, frame by frame.

    A step takes a few milliseconds at most for any text, so that a caller can let other tasks run
    in between. The first error ends the iteration.
    """
    text = text.removeprefix(BYTE_ORDER_MARK.encode())
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
    """Return the text of an error with the index of its element in an array."""
    text = str(error)
    return f"{index}: {text}" if text.startswith("expected ") else f"{index}.{text}"


def parse_viewer_message(text: str | bytes) -> View | MeshMessage | Ping | Display:
    """Read one message of the data channel `view`."""
    mesh = b'"mesh"' in text if isinstance(text, bytes) else '"mesh"' in text
    if not mesh:
        check_length(text, LONGEST_SMALL_MESSAGE)
    return parse(_viewer_message, text, FRAME_VALUES)
