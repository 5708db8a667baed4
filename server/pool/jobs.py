"""Messages between the server and its render processes: plain, picklable data without pixels.

Images and caches stay in memory that both sides have mapped (`shared_block.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from models.contract.frame_state import FrameState
from models.contract.rendition import Rendition

RenderMode = Literal["full", "warp"]
SlotHandle = object
"""Lets another process map the same memory. Picklable; opaque to all but the engine."""


@dataclass(frozen=True)
class AttachSlots:
    """Map the memory of newly opened cache slots."""

    slots_id: int
    rendition: Rendition
    handle: SlotHandle


@dataclass(frozen=True)
class DetachSlots:
    """Unmap the memory of closed cache slots."""

    slots_id: int


@dataclass(frozen=True)
class AttachImage:
    """Map the shared block that single images are written to."""

    name: str


@dataclass(frozen=True, eq=False)
class RefreshJob:
    """Fill one cache slot with the cache of a state."""

    id: int
    slots_id: int
    slot: int
    state: FrameState
    size: int
    """Rows of the slots' frames."""


@dataclass(frozen=True, eq=False)
class RenderJob:
    """Render a single image into the image block."""

    id: int
    avatar_id: str
    state: FrameState
    mode: RenderMode
    cached_state: FrameState | None
    """State of the cache in mode `warp`; None for `state` itself."""
    size: int | None = None
    """Rows and columns in mode `full`, a multiple of 32; None for the avatar's resolution."""


@dataclass(frozen=True)
class LoadJob:
    """Load another avatar."""

    id: int
    avatar_id: str
    folder: Path


@dataclass(frozen=True)
class RemoveAvatar:
    """Free an avatar that a `LoadJob` has loaded."""

    avatar_id: str


@dataclass(frozen=True)
class Ping:
    """Request a `Pong` as a keepalive."""


@dataclass(frozen=True)
class Stop:
    """Exit after the jobs received so far."""


@dataclass(frozen=True)
class Ready:
    """The engine is built; the process accepts jobs."""

    pid: int


@dataclass(frozen=True)
class BuildFailed:
    """The engine could not be built; the process exits."""

    reason: str


@dataclass(frozen=True)
class Pong:
    """Answer to `Ping`."""


@dataclass(frozen=True)
class SlotsDetached:
    """Answer to `DetachSlots`."""

    slots_id: int
    opened: bool
    """Whether this process had mapped the memory and has unmapped it."""


@dataclass(frozen=True)
class Broken:
    """The engine raised an unexpected exception; the process exits."""

    reason: str


@dataclass(frozen=True)
class JobDone:
    """A job is finished; other processes may read its output."""

    job_id: int
    elapsed_ms: float
    shape: tuple[int, ...] = ()
    """Shape (H, W, 3) of the image in the image block; empty for other jobs."""


@dataclass(frozen=True)
class JobFailed:
    """A job failed; the worker continues."""

    job_id: int
    detail: str


Job = RefreshJob | RenderJob | LoadJob
ToWorker = AttachSlots | DetachSlots | AttachImage | RemoveAvatar | Job | Ping | Stop
FromWorker = Ready | BuildFailed | Pong | SlotsDetached | Broken | JobDone | JobFailed
