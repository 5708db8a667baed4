"""What travels between the server and its render processes: plain data, picklable, no pixels.

Pixels and features stay in memory both sides have mapped (`slots.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.contract.frame_state import FrameState

RenderMode = Literal["full", "warp"]
SlotHandle = object
"""Tells another process how to map the same memory; picklable, made and read by the engine."""


@dataclass(frozen=True)
class AttachSlots:
    """Map the slots of a line that has been opened."""

    slots_id: int
    avatar_id: str
    handle: SlotHandle


@dataclass(frozen=True)
class DetachSlots:
    """Unmap the slots of a line that has been closed."""

    slots_id: int


@dataclass(frozen=True)
class AttachImage:
    """Map the shared block that whole pictures are left in."""

    name: str


@dataclass(frozen=True, eq=False)
class RefreshJob:
    """Fill one slot of a line with the cache of a state."""

    id: int
    slots_id: int
    slot: int
    state: FrameState


@dataclass(frozen=True, eq=False)
class RenderJob:
    """Render one whole picture into the picture block."""

    id: int
    avatar_id: str
    state: FrameState
    mode: RenderMode
    cached_state: FrameState | None
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
ToWorker = AttachSlots | DetachSlots | AttachImage | RefreshJob | RenderJob | Ping | Stop
FromWorker = Ready | BuildFailed | Pong | Broken | JobDone | JobFailed
