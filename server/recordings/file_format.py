"""The recording file: lines of JSON, readable up to the point where a crash truncated it.

    {"format": "telewarp-recording", "version": 1, "stream": "me", "avatar": "default", ...}
    {"type": "mesh", "at_ms": 0.0, "seq": 17, "head": {...}, "expression": [...]}
    {"type": "voice", "at_ms": 3.5, "rtp_timestamp": 960, "sequence_number": 7, "opus": "<base64>"}
    {"type": "end", "reason": "stopped", "at_ms": 5012.2, "frames": 300}

`at_ms` is the time since the first line, on the server's monotonic clock. Numbers are written with
all digits, so that a mesh frame is read back identical to the bit. Lines of other types are
reserved for later versions, and skipped.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FloatArray
from server.errors import BadMessageError
from server.protocol.json_text import describe
from server.protocol.messages import (
    LONGEST_EXPRESSION,
    LONGEST_VERTICES,
    QUATERNION_TOLERANCE,
    ClockMs,
    Message,
    Point,
    Seq,
)
from server.protocol.states import MeshState
from server.streams.voice import VoicePacket

FORMAT = "telewarp-recording"
VERSION = 1
_PACKET_TICKS = 960
"""20 ms, the length of a packet where its number was not recorded."""
MEDIA_TYPE = "application/x-ndjson"
LONGEST_LINE = LONGEST_VERTICES + 65536
"""Bytes: a mesh frame with as many vertices as a message may have."""


def _unit(quaternion: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    length = sqrt(sum(part * part for part in quaternion))
    if not abs(length - 1.0) <= QUATERNION_TOLERANCE:
        raise PydanticCustomError("quaternion", "expected a unit quaternion, got another length")
    return quaternion


class Header(Message):
    """The first line."""

    format: Literal["telewarp-recording"] = "telewarp-recording"
    version: Literal[1] = 1
    stream: str
    """Id of the stream that was recorded."""
    avatar: str
    """Id of its avatar."""
    expression_names: list[str]
    """Order of the coefficients in the mesh frames."""
    started_at: str
    """Date and time, ISO 8601, UTC."""


class RecordedHead(Message):
    """As `protocol.messages.HeadPose`, but not normalised again, which could change a last bit."""

    rotation: Annotated[tuple[float, float, float, float], AfterValidator(_unit)]
    translation: Point


class MeshLine(Message):
    """A mesh frame that the stream accepted."""

    type: Literal["mesh"] = "mesh"
    at_ms: float = Field(ge=0)
    seq: Seq
    captured_at_ms: ClockMs | None = None
    head: RecordedHead
    expression: list[float] = Field(max_length=LONGEST_EXPRESSION)
    vertices: str | None = Field(default=None, max_length=LONGEST_VERTICES)


class VoiceLine(Message):
    """A packet of the publisher's voice."""

    type: Literal["voice"] = "voice"
    at_ms: float = Field(ge=0)
    captured_at_ms: ClockMs | None = None
    rtp_timestamp: int = Field(ge=0, lt=2**32)
    """Timestamp, in ticks of the clock of Opus, 48 kHz."""
    source: int = Field(default=0, ge=0, lt=2**32)
    """Numbers and timestamps continue only within a source."""
    sequence_number: int | None = Field(default=None, ge=0, lt=2**16)
    """A missing number belongs to a packet that was lost on its way to the server."""
    marker: bool = False
    """Whether it is the first one after a pause."""
    opus: str
    """Base64 of one packet (RFC 6716)."""


class EndLine(Message):
    """The last line of a complete recording."""

    type: Literal["end"] = "end"
    reason: str
    at_ms: float
    frames: int


Line = MeshLine | VoiceLine | EndLine
_LINES: dict[str, TypeAdapter[Any]] = {
    "mesh": TypeAdapter(MeshLine),
    "voice": TypeAdapter(VoiceLine),
    "end": TypeAdapter(EndLine),
}


def encode_header(header: Header) -> bytes:
    """Return the first line, with its newline."""
    return header.model_dump_json().encode() + b"\n"


def encode_mesh(mesh: MeshState, at_ms: float) -> bytes:
    """Return the line of a mesh frame, with its newline."""
    line: dict[str, Any] = {"type": "mesh", "at_ms": round(at_ms, 3), "seq": mesh.seq}
    if mesh.captured_at_ms is not None:
        line["captured_at_ms"] = mesh.captured_at_ms
    line["head"] = {
        "rotation": mesh.head_rotation.tolist(),
        "translation": mesh.head_translation.tolist(),
    }
    line["expression"] = mesh.expression.tolist()
    if mesh.vertices is not None:
        line["vertices"] = base64.b64encode(mesh.vertices.astype("<f4").tobytes()).decode()
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"


def encode_voice(packet: VoicePacket, at_ms: float) -> bytes:
    """Return the line of a packet of the voice, with its newline."""
    line = VoiceLine(
        at_ms=round(at_ms, 3),
        captured_at_ms=packet.captured_at_ms,
        rtp_timestamp=packet.timestamp,
        source=packet.source,
        sequence_number=packet.sequence_number,
        marker=packet.marker,
        opus=base64.b64encode(packet.payload).decode(),
    )
    return line.model_dump_json(exclude_none=True).encode() + b"\n"


def encode_end(reason: str, at_ms: float, frames: int) -> bytes:
    """Return the last line, with its newline."""
    end = EndLine(reason=reason, at_ms=round(at_ms, 3), frames=frames)
    return end.model_dump_json().encode() + b"\n"


@dataclass(frozen=True, eq=False)
class RecordedMesh:
    """A mesh frame and when the server received it."""

    at_ms: float
    """Since the recording began."""
    mesh: MeshState


@dataclass(frozen=True, eq=False)
class RecordedVoice:
    """A packet of the voice and when the server received it."""

    at_ms: float
    """Since the recording began."""
    packet: VoicePacket


def is_recording(path: Path) -> bool:
    """Whether a file begins like a recording of this server; an unreadable file does not."""
    try:
        with path.open("rb") as file:
            beginning = file.read(256)
    except OSError:
        return False
    return f'"format":"{FORMAT}"'.encode() in beginning.replace(b" ", b"")


def read_header(path: Path) -> Header:
    """Read the first line of a file.

    Raises:
        BadMessageError: If it is not that of a recording.
        OSError: If the file cannot be read.
    """
    with path.open("rb") as file:
        line = file.readline(LONGEST_LINE)
    try:
        return Header.model_validate_json(line)
    except ValidationError as exc:
        raise BadMessageError(f"expected a recording, got {describe(exc)}") from exc


def read_end(path: Path) -> EndLine | None:
    """Return the last line of a file if it ends a recording; None if the file was truncated."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4096))
        last = file.read().rstrip(b"\n").rpartition(b"\n")[2]
    try:
        return EndLine.model_validate_json(last)
    except ValidationError:
        return None


def read_lines(path: Path) -> Iterator[Line]:
    """Yield all lines of a recording after the first, up to the point where it was truncated.

    Raises:
        BadMessageError: If a line in the middle is broken; the text names it.
        OSError: If the file cannot be read.
    """
    read_header(path)
    with path.open("rb") as file:
        file.readline(LONGEST_LINE)
        number = 1
        while text := file.readline(LONGEST_LINE):
            number += 1
            if not text.endswith(b"\n") and len(text) < LONGEST_LINE:
                return  # truncated while it was written
            line = _parse(text, number)
            if line is not None:
                yield line


def _parse(text: bytes, number: int) -> Line | None:
    try:
        kind = json.loads(text).get("type")
    except (ValueError, AttributeError, RecursionError):
        raise BadMessageError(f"line {number}: expected a JSON object, got other text") from None
    adapter = _LINES.get(kind) if isinstance(kind, str) else None
    if adapter is None:
        return None
    try:
        line: Line = adapter.validate_json(text)
    except ValidationError as exc:
        raise BadMessageError(f"line {number}: {describe(exc)}") from exc
    return line


def read_meshes(path: Path, avatar: AvatarInfo) -> Iterator[RecordedMesh]:
    """Yield the mesh frames of a recording as an avatar shows them; otherwise as `read_all`."""
    return (line for line in read_all(path, avatar) if isinstance(line, RecordedMesh))


def read_voice(path: Path) -> Iterator[RecordedVoice]:
    """Yield the packets of the voice.

    Raises:
        BadMessageError: If the file is no recording, or broken.
        OSError: If the file cannot be read.
    """
    return (_to_voice(line) for line in read_lines(path) if isinstance(line, VoiceLine))


def read_all(path: Path, avatar: AvatarInfo) -> Iterator[RecordedMesh | RecordedVoice]:
    """Yield the mesh frames of a recording as an avatar shows them, and the packets of the voice.

    Args:
        path: The file.
        avatar: Avatar that shows the frames: coefficients are matched by name, those that it lacks
            are left out, and vertices must have its count.

    Raises:
        BadMessageError: If the file is no recording, broken, or of a head of another kind.
        OSError: If the file cannot be read.
    """
    recorded = read_header(path).expression_names
    order = [recorded.index(n) if n in recorded else None for n in avatar.expression_names]
    if not any(index is not None for index in order):
        raise BadMessageError(f"the recording names no expression of avatar {avatar.id!r}")
    for line in read_lines(path):
        if isinstance(line, MeshLine):
            yield RecordedMesh(line.at_ms, _to_mesh(line, len(recorded), order, avatar))
        elif isinstance(line, VoiceLine):
            yield _to_voice(line)


def _to_mesh(
    line: MeshLine, recorded: int, order: list[int | None], avatar: AvatarInfo
) -> MeshState:
    if len(line.expression) != recorded:
        raise BadMessageError(
            f"frame {line.seq}: expected {recorded} coefficients, got {len(line.expression)}"
        )
    values = [0.0 if index is None else line.expression[index] for index in order]
    return MeshState(
        seq=line.seq,
        captured_at_ms=line.captured_at_ms,
        received_at=line.at_ms / 1e3,
        head_rotation=np.array(line.head.rotation, np.float32),
        head_translation=np.array(line.head.translation, np.float32),
        expression=np.clip(np.array(values, np.float32), *avatar.expression_range),
        vertices=None if line.vertices is None else _to_vertices(line.vertices, avatar),
    )


def _to_voice(line: VoiceLine) -> RecordedVoice:
    try:
        payload = base64.b64decode(line.opus, validate=True)
    except ValueError as exc:
        raise BadMessageError(f"opus: expected base64, got an error: {exc}") from exc
    number = line.sequence_number
    packet = VoicePacket(
        payload,
        line.source,
        line.rtp_timestamp // _PACKET_TICKS & 0xFFFF if number is None else number,
        line.rtp_timestamp,
        line.marker,
        line.at_ms / 1e3,
        line.captured_at_ms,
    )
    return RecordedVoice(line.at_ms, packet)


def _to_vertices(text: str, avatar: AvatarInfo) -> FloatArray:
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError as exc:
        raise BadMessageError(f"vertices: expected base64, got an error: {exc}") from exc
    if len(raw) != avatar.vertex_count * 12:
        raise BadMessageError(
            f"vertices: expected {avatar.vertex_count * 12} bytes (avatar {avatar.id!r}), "
            f"got {len(raw)}"
        )
    return np.frombuffer(raw, "<f4").astype(np.float32).reshape(-1, 3)
