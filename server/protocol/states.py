"""The newest input of clients as arrays, and its conversion to the renderer's input.

The newest value wins: each object is replaced as a whole and never changed in place.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FloatArray, FrameState, default_state


@dataclass(frozen=True, eq=False)
class MeshState:
    """A mesh frame, checked against its avatar. Quaternions [x, y, z, w], metres."""

    seq: int
    captured_at_ms: float | None
    """Capture time on the sender's own clock."""
    received_at: float
    """`time.monotonic()`, seconds."""
    head_rotation: FloatArray
    """(4,) quaternion, head space to world."""
    head_translation: FloatArray
    """(3,) metres."""
    expression: FloatArray
    """(E,) coefficients in the avatar's order."""
    vertices: FloatArray | None = None
    """(V, 3) posed in head space; replaces `expression` where given."""


@dataclass(frozen=True, eq=False)
class ViewState:
    """A viewer's eye pose, checked."""

    seq: int
    sent_at_ms: float | None
    """Send time on the viewer's own clock."""
    received_at: float
    """`time.monotonic()`, seconds."""
    eye_rotation: FloatArray
    """(4,) quaternion [x, y, z, w], camera space to world."""
    eye_position: FloatArray
    """(3,) metres, world."""
    fov_y_rad: float | None = None
    """Full vertical field of view; None for the avatar's default."""


@dataclass(frozen=True, eq=False)
class FrameInputs:
    """The newest mesh frame and view at one moment, combined into the renderer's input."""

    revision: int
    """Number of input changes that are included."""
    view: ViewState | None
    """None until the viewer has sent one."""
    mesh: MeshState | None
    """None until a mesh frame was published."""
    state: FrameState


def neutral_mesh(avatar: AvatarInfo) -> MeshState:
    """Return the neutral face at the origin, which is shown before anything was published."""
    neutral = default_state(avatar)
    return MeshState(
        seq=0,
        captured_at_ms=None,
        received_at=time.monotonic(),
        head_rotation=neutral.head_rotation,
        head_translation=neutral.head_translation,
        expression=neutral.expression,
    )


def frame_state(avatar: AvatarInfo, mesh: MeshState, view: ViewState | None) -> FrameState:
    """Combine a mesh frame and a view; without a view, the avatar's default one is used."""
    camera = view or default_state(avatar)
    return FrameState(
        head_rotation=mesh.head_rotation,
        head_translation=mesh.head_translation,
        expression=mesh.expression,
        vertices=mesh.vertices,
        eye_rotation=camera.eye_rotation,
        eye_position=camera.eye_position,
        fov_y_rad=avatar.fov_y_rad if camera.fov_y_rad is None else camera.fov_y_rad,
    )
