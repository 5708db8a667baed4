"""Messages between the server and a device process: plain, picklable data without pixels.

Images and inputs are in the ring (`frame_ring.py`), caches in the memory of cache slots.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from models.contract.avatar_info import AvatarInfo
from models.contract.backdrop import Backdrop
from models.contract.images import StageTimes
from models.contract.rendition import Rendition
from server.pool.frame_ring import RingLayout
from server.pool.interface import DeviceMemory
from server.pool.jobs import SlotHandle
from server.pool.slot_layout import SlotLayout
from server.pool.warp_benchmark import WarpBenchmark


@dataclass(frozen=True)
class AttachRing:
    """Map the ring, replacing an earlier one; no frame is in progress."""

    name: str
    layout: RingLayout


@dataclass(frozen=True)
class OpenMemory:
    """Map the memory of cache slots, or allocate it where only the device process can."""

    memory_id: int
    rendition: Rendition
    handle: SlotHandle | None
    """None to allocate."""


@dataclass(frozen=True)
class ExportMemory:
    """Request a handle of allocated memory, for one worker."""

    memory_id: int
    export_id: int


@dataclass(frozen=True)
class ReclaimHandle:
    """Release a handle whose worker has ended or failed to open it."""

    handle: SlotHandle


@dataclass(frozen=True)
class CloseMemory:
    """Unmap or free the memory of cache slots; no frame of them is in progress."""

    memory_id: int


@dataclass(frozen=True)
class WarpFrame:
    """Make the frame whose inputs are in an entry of the ring."""

    frame_id: int
    entry: int
    memory_id: int
    slot: int
    generation: int
    sequence: int
    previous: int | None
    """The sequence whose crossfade this one continues, if this is its first frame."""
    backdrop: Backdrop | None
    submitted_at: float
    """When the frame was requested: `time.perf_counter()`, which all processes of a machine share,
    seconds."""


@dataclass(frozen=True)
class CloseSequence:
    """Forget a sequence of frames."""

    sequence: int


@dataclass(frozen=True)
class LoadFolder:
    """Load another avatar while frames go on."""

    load_id: int
    folder: Path


@dataclass(frozen=True)
class UseLoaded:
    """Start to render a loaded avatar."""

    load_id: int


@dataclass(frozen=True)
class BenchmarkWarps:
    """Time warps between the frames of viewers."""

    rendition: Rendition
    seconds: float


@dataclass(frozen=True)
class DeviceAvatar:
    """An avatar that a device process has loaded."""

    info: AvatarInfo
    layouts: Mapping[int, SlotLayout] | None
    """Layouts of its cache slots by the size of frames, for the server to allocate in shared
    memory; None where only the device process can allocate them."""


@dataclass(frozen=True)
class DeviceReady:
    """The engine is built; the process makes frames."""

    pid: int
    avatars: Mapping[str, DeviceAvatar]


@dataclass(frozen=True)
class DevicePong:
    """Answer to `Ping`."""

    memory: DeviceMemory | None


@dataclass(frozen=True)
class MemoryRefused:
    """There is no memory for cache slots."""

    memory_id: int
    detail: str


@dataclass(frozen=True)
class MemoryExported:
    """Answer to `ExportMemory`; the handle is None if the memory could not be allocated."""

    export_id: int
    handle: SlotHandle | None


@dataclass(frozen=True)
class FrameMade:
    """The image of a frame is in its entry, or the previous frame of its sequence shows it."""

    frame_id: int
    version: int
    """Version of the inputs that it shows."""
    shape: tuple[int, int] | None
    """(3 H/2, W); None where the previous frame shows the same, and the entry has no image."""
    fading: bool
    """Whether the crossfade to the newest cache is still in progress."""
    stages_ms: StageTimes
    """Stages of the frame so far."""


@dataclass(frozen=True)
class FrameFailed:
    """A frame could not be made; the process continues."""

    frame_id: int
    version: int
    refused: bool
    """Whether the renderer has refused the state; otherwise it is an unexpected error."""
    detail: str


@dataclass(frozen=True)
class FolderLoaded:
    """Answer to `LoadFolder`."""

    load_id: int
    info: AvatarInfo | None
    """None if it cannot be loaded."""
    detail: str = ""


@dataclass(frozen=True)
class LoadedUsed:
    """Answer to `UseLoaded`."""

    load_id: int
    avatar: DeviceAvatar


@dataclass(frozen=True)
class BenchmarkDone:
    """Answer to `BenchmarkWarps`."""

    benchmark: WarpBenchmark
