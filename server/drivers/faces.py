"""Common form of the data of all trackers: coefficients and head of one subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.contract.avatar_info import AvatarInfo
from server.protocol.states import MeshState
from server.streams.head_pose import neck_fixed

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class DrivenFace:
    """A face of one subject, as sent by a tracker."""

    subject: str
    """Name of the person in the tracker."""
    sender: str
    """Sending device; a subject has one sender at a time."""
    coefficients: Mapping[str, float]
    """Finite values by ARKit name; usually 0..1, which trackers may exceed."""
    head_rotation: Floats
    """(4,) quaternion [x, y, z, w], head to world."""
    captured_at_ms: float | None = None
    """Capture time on the tracker's clock, milliseconds."""


def to_mesh(face: DrivenFace, avatar: AvatarInfo, seq: int, received_at: float) -> MeshState:
    """Convert a face to a mesh frame of an avatar.

    Coefficients that the avatar lacks are left out, and others are clamped to its range: a live
    face must not stop because of a smile of 1.1.

    Args:
        face: The face as the tracker sent it.
        avatar: The avatar, which determines names and order of the coefficients.
        seq: Number of the mesh frame.
        received_at: `time.monotonic()`, seconds.
    """
    values = [face.coefficients.get(name, 0.0) for name in avatar.expression_names]
    return MeshState(
        seq=seq,
        captured_at_ms=face.captured_at_ms,
        received_at=received_at,
        head_rotation=face.head_rotation,
        head_translation=neck_fixed(face.head_rotation),
        expression=np.clip(np.array(values, np.float32), *avatar.expression_range),
    )
