"""Converts messages to the arrays that are rendered, and checks them against the avatar."""

from __future__ import annotations

import base64
import binascii
import difflib

import numpy as np
from numpy.typing import NDArray

from models.contract.arkit import NEUTRAL, arkit_name
from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from server.errors import BadMessageError
from server.protocol.json_text import shorten
from server.protocol.messages import FARTHEST_M, Face, MeshFrame, View
from server.protocol.requests import RenderFace, RenderView
from server.protocol.states import MeshState, ViewState, frame_state

Floats = NDArray[np.float32]

COEFFICIENT_TOLERANCE = 0.05
"""Values this far outside the range are clamped: real trackers overshoot 0..1 (1.003 in Live Link
Face recordings)."""


def decode_mesh(frame: MeshFrame | RenderFace, avatar: AvatarInfo, received_at: float) -> MeshState:
    """Check a face against its avatar and convert it.

    Args:
        frame: The message as received.
        avatar: Avatar whose names and topology it must match.
        received_at: `time.monotonic()`, seconds.

    Raises:
        BadMessageError: On unknown names, wrong counts, vertices that are no numbers.
    """
    return MeshState(
        seq=frame.seq,
        captured_at_ms=frame.captured_at_ms,
        received_at=received_at,
        head_rotation=np.array(frame.head.rotation, np.float32),
        head_translation=np.array(frame.head.translation, np.float32),
        expression=to_expression(frame, avatar),
        vertices=to_vertices(frame, avatar),
    )


def decode_view(view: View | RenderView, received_at: float) -> ViewState:
    """Convert an eye pose; every view that was parsed can be rendered.

    Args:
        view: The parsed message.
        received_at: `time.monotonic()`, seconds.
    """
    return ViewState(
        seq=view.seq,
        sent_at_ms=view.sent_at_ms,
        received_at=received_at,
        eye_rotation=np.array(view.eye.rotation, np.float32),
        eye_position=np.array(view.eye.position, np.float32),
        fov_y_rad=view.fov_y_rad,
    )


def decode_state(face: RenderFace, view: RenderView | None, avatar: AvatarInfo) -> FrameState:
    """Convert the mesh frame and the view of a render request.

    Raises:
        BadMessageError: If the mesh frame does not fit the avatar.
    """
    mesh = decode_mesh(face, avatar, received_at=0.0)
    return frame_state(avatar, mesh, decode_view(view, 0.0) if view is not None else None)


def to_expression(face: Face, avatar: AvatarInfo) -> Floats:
    """Write a face's coefficients in the avatar's order.

    Returns:
        (E,) float32 in the avatar's range; zeros, the neutral face, where the face carries none.

    Raises:
        BadMessageError: On names the avatar does not know, a list of another length, or a value far
            out of range.
    """
    names = avatar.expression_names
    if isinstance(face.expression, list):
        if len(face.expression) != len(names):
            raise BadMessageError(
                f"expression: expected {len(names)} numbers (avatar {avatar.id!r}), "
                f"got {len(face.expression)}"
            )
        return _within(avatar, np.asarray(face.expression, dtype=np.float32))
    coefficients = np.zeros(len(names), dtype=np.float32)
    given: dict[str, str] = {}
    for spelled, value in (face.expression or {}).items():
        if spelled == NEUTRAL:
            continue
        name = _known_expression(spelled, avatar)
        if (other := given.setdefault(name, spelled)) != spelled:
            raise BadMessageError(
                f"expression: expected {name} once, got {shorten(other)} and {shorten(spelled)}"
            )
        coefficients[names.index(name)] = value
    return _within(avatar, coefficients)


def _known_expression(name: str, avatar: AvatarInfo) -> str:
    """Return the avatar's name of a coefficient: trackers spell ARKit's names differently."""
    if name in avatar.expression_names:
        return name
    arkit = arkit_name(name)
    if arkit not in avatar.expression_names:
        raise BadMessageError(_unknown_expression(name, avatar))
    return arkit


def _within(avatar: AvatarInfo, coefficients: Floats) -> Floats:
    """Clamp a value slightly outside of the avatar's range."""
    low, high = avatar.expression_range
    clamped: Floats = np.clip(coefficients, low, high)
    off = np.abs(coefficients - clamped)
    if off.max(initial=0.0) > COEFFICIENT_TOLERANCE:
        worst = int(off.argmax())
        name, got = avatar.expression_names[worst], float(coefficients[worst])
        limit = f"less than or equal to {high + COEFFICIENT_TOLERANCE:g}"
        if got < low:
            limit = f"greater than or equal to {low - COEFFICIENT_TOLERANCE:g}"
        raise BadMessageError(f"expression.{name}: expected {limit}, got {got:g}")
    return clamped


def _unknown_expression(name: str, avatar: AvatarInfo) -> str:
    lowered = {known.lower(): known for known in avatar.expression_names}
    near = difflib.get_close_matches(name[:64].lower(), lowered, n=1, cutoff=0.5)
    hint = f"; did you mean {lowered[near[0]]!r}?" if near else ""
    return (
        f"expression: expected one of the {len(lowered)} names of avatar {avatar.id!r}, "
        f"got {shorten(name)}{hint}"
    )


def to_vertices(face: Face, avatar: AvatarInfo) -> Floats | None:
    """Decode a face's own vertices.

    Returns:
        (V, 3) float32 metres in head space, None where the face carries none.

    Raises:
        BadMessageError: If they are no base64, not V x 3 floats, or not finite and near.
    """
    if face.vertices is None:
        return None
    try:
        raw = base64.b64decode(face.vertices, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadMessageError(
            f"vertices: expected base64, got an error at decoding: {exc}"
        ) from exc
    expected = avatar.vertex_count * 3 * 4
    if len(raw) != expected:
        raise BadMessageError(
            f"vertices: expected {avatar.vertex_count} x 3 float32 = {expected} bytes "
            f"(avatar {avatar.id!r}), got {len(raw)} bytes"
        )
    vertices = np.frombuffer(raw, dtype="<f4").astype(np.float32).reshape(-1, 3)
    # Written so that NaN fails as well.
    if not bool(np.all(np.abs(vertices) <= FARTHEST_M)):
        raise BadMessageError(
            f"vertices: expected finite numbers within {FARTHEST_M:g} m of the head, got others"
        )
    return vertices
