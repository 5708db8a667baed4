"""The newest input of clients as arrays, and its conversion to the renderer's input.

The newest value wins: each object is replaced as a whole and never changed in place.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FloatArray, FrameState


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

    def sharing(self, previous: MeshState | None) -> MeshState:
        """Return this mesh frame with the arrays of the previous one, if both show the same face.

        Identical arrays show that nothing has moved (`FrameState.same_image`): no new cache is
        made, and the image is refined.
        """
        if previous is None or not self._same_face(previous):
            return self
        return replace(
            self,
            head_rotation=previous.head_rotation,
            head_translation=previous.head_translation,
            expression=previous.expression,
            vertices=previous.vertices,
        )

    def _same_face(self, other: MeshState) -> bool:
        if self.vertices is None or other.vertices is None:
            same = self.vertices is other.vertices
        else:
            same = np.array_equal(self.vertices, other.vertices)
        return (
            same
            and np.array_equal(self.head_rotation, other.head_rotation)
            and np.array_equal(self.head_translation, other.head_translation)
            and np.array_equal(self.expression, other.expression)
        )


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
    return MeshState(
        seq=0,
        captured_at_ms=None,
        received_at=time.monotonic(),
        head_rotation=np.array([0.0, 0.0, 0.0, 1.0], np.float32),
        head_translation=np.zeros(3, np.float32),
        expression=np.zeros(len(avatar.expression_names), np.float32),
    )


def frame_state(avatar: AvatarInfo, mesh: MeshState, view: ViewState | None) -> FrameState:
    """Combine a mesh frame and a view; without a view, the avatar's default one is used."""
    fov_y_rad = view.fov_y_rad if view else None
    return FrameState(
        head_rotation=mesh.head_rotation,
        head_translation=mesh.head_translation,
        expression=mesh.expression,
        vertices=mesh.vertices,
        eye_rotation=view.eye_rotation if view else np.array([0, 0, 0, 1], np.float32),
        eye_position=view.eye_position if view else np.array(avatar.eye_position, np.float32),
        fov_y_rad=avatar.fov_y_rad if fov_y_rad is None else fov_y_rad,
    )
