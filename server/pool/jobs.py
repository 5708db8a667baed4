"""What travels between the server and its render processes: plain data, picklable, no pixels.

Pixels and features stay in memory both sides have mapped (`slots.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]
"""(H, W, 3), RGB."""
RenderMode = Literal["full", "warp"]
SlotHandle = object
"""Tells another process how to map the same memory; picklable, made and read by the engine."""


@dataclass(frozen=True)
class AvatarInfo:
    """What the server tells people about an avatar, and needs to check their messages."""

    id: str
    name: str
    resolution: int
    """Side of the square picture, pixels."""
    expression_names: tuple[str, ...]
    vertex_count: int
    triangle_count: int
    licence: str
    origin: str
    eye_position: tuple[float, float, float]
    """Where a viewer's eye stands by default, metres, looking down -Z."""
    fov_y_rad: float
    """The default vertical field of view."""
    expression_range: tuple[float, float] = (0.0, 1.0)
    """Least and greatest value of a coefficient."""


@dataclass(frozen=True, eq=False)
class RenderState:
    """Everything that decides how a picture looks. The field-by-field twin of the models' own."""

    head_rotation: Floats
    """(4,) quaternion [x, y, z, w], local to world."""
    head_translation: Floats
    """(3,) metres."""
    expression: Floats
    """(E,) coefficients in the avatar's order and range."""
    vertices: Floats | None
    """(V, 3) metres, posed in head space; replaces `expression` where given."""
    eye_rotation: Floats
    """(4,) quaternion [x, y, z, w], local to world; the eye looks down its own -Z."""
    eye_position: Floats
    """(3,) metres."""
    fov_y_rad: float

    def shows_the_same(self, other: RenderState) -> bool:
        """Whether it is the same face frame from an equal view, hence the same picture."""
        return (
            # A face frame is replaced as a whole, never changed.
            self.head_rotation is other.head_rotation
            and self.head_translation is other.head_translation
            and self.expression is other.expression
            and self.vertices is other.vertices
            and self.fov_y_rad == other.fov_y_rad
            and np.array_equal(self.eye_position, other.eye_position)
            and np.array_equal(self.eye_rotation, other.eye_rotation)
        )


@dataclass(frozen=True)
class AttachLine:
    """Map the slots of a line that has been opened."""

    line_id: int
    avatar_id: str
    handle: SlotHandle


@dataclass(frozen=True)
class DetachLine:
    """Unmap the slots of a line that has been closed."""

    line_id: int


@dataclass(frozen=True)
class AttachPicture:
    """Map the shared block that whole pictures are left in."""

    name: str


@dataclass(frozen=True, eq=False)
class RefreshJob:
    """Fill one slot of a line with the cache of a state."""

    id: int
    line_id: int
    slot: int
    state: RenderState


@dataclass(frozen=True, eq=False)
class RenderJob:
    """Render one whole picture into the picture block."""

    id: int
    avatar_id: str
    state: RenderState
    mode: RenderMode
    cached_state: RenderState | None
    """In mode `warp`, the state the cache is made from; `state` itself where None."""


@dataclass(frozen=True)
class Ping:
    """Say that you are still there."""


@dataclass(frozen=True)
class Stop:
    """End after the jobs received so far."""


@dataclass(frozen=True)
class Ready:
    """The engine is built; jobs may come."""

    pid: int


@dataclass(frozen=True)
class BuildFailed:
    """The engine could not be built; the process ends."""

    reason: str


@dataclass(frozen=True)
class Pong:
    """The answer to `Ping`."""


@dataclass(frozen=True)
class Broken:
    """Something went wrong that the process does not survive; it ends."""

    reason: str


@dataclass(frozen=True)
class JobDone:
    """A job is finished and what it wrote can be read."""

    job_id: int
    elapsed_ms: float
    shape: tuple[int, ...] = ()
    """Of the picture in the picture block, (H, W, 3); empty for a refresh."""


@dataclass(frozen=True)
class JobFailed:
    """A job failed; the worker lives on."""

    job_id: int
    detail: str


Job = RefreshJob | RenderJob
ToWorker = AttachLine | DetachLine | AttachPicture | RefreshJob | RenderJob | Ping | Stop
FromWorker = Ready | BuildFailed | Pong | Broken | JobDone | JobFailed
