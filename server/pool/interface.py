"""Interface of a renderer to the pool, implemented by `engine.py`, and by `fake.py` for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from models.contract.avatar_info import AvatarInfo
from models.contract.backdrop import Backdrop
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage, WarpedNv12
from models.contract.rendition import Rendition
from server.pool.jobs import SlotHandle
from server.pool.slot_layout import SlotLayout

CPU = "cpu"
"""Name of the device that every machine has."""

Purpose = Literal["refresh", "warp"]
"""Main task of an engine: full renders in a worker, or warps of all viewers of a device."""

Slot = Mapping[str, Any]
"""One cache: named arrays or tensors in preallocated memory."""


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of a GPU in bytes, usage by other programs included."""

    used: int
    total: int


class SlotMemory(Protocol):
    """The memory of one viewer's cache slots, mapped into one process."""

    @property
    def handle(self) -> SlotHandle:
        """The argument of `Engine.attach` in another process."""

    def slot(self, index: int) -> Slot:
        """Return the arrays of slot `index`, the same ones on every call."""

    def close(self) -> None:
        """Unmap the memory, and free it in the process that allocated it. No slot may be in use."""


class ServerMemory(Protocol):
    """The memory of one viewer's cache slots, as the server sees it."""

    def slot(self, index: int) -> Slot:
        """Return the arrays of slot `index`; only where the server itself warps."""

    def export(self, receive: Callable[[SlotHandle | None], None]) -> None:
        """Pass a handle for one worker to `receive`, at once or soon; None if there is no memory.

        Raises:
            RuntimeError: If the device has failed.
        """

    def close(self) -> None:
        """Free the memory once it is unused. No slot may be in use."""


class Fade(Protocol):
    """Crossfade of one frame sequence between caches; used by one thread at a time."""

    @property
    def fading(self) -> bool:
        """Whether the crossfade to the cache of the last `follow` is still in progress."""

    def follow(self, newest: Slot, generation: int, now_s: float) -> Slot:
        """Advance the crossfade towards the newest cache.

        Args:
            newest: The newest cache; not read after the warp of the returned slot.
            generation: Identifies the cache.
            now_s: Monotonic time, seconds.

        Returns:
            The slot to warp from, valid until the next call.
        """


class LoadedAvatar(Protocol):
    """An avatar that one engine has loaded; opaque apart from its description."""

    @property
    def info(self) -> AvatarInfo:
        """Its description."""


class Engine(Protocol):
    """All avatars on one device, in one process, used by one thread at a time."""

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """The avatars that can be rendered, by id."""

    def allocate(self, rendition: Rendition) -> SlotMemory:
        """Allocate cache slots that other processes can map.

        Other resources for frames of this size are kept until the last of their slots are closed.

        Raises:
            PoolBusyError: If there is not enough memory.
        """

    def attach(self, rendition: Rendition, handle: SlotHandle) -> SlotMemory:
        """Map cache slots that another process has allocated."""

    def reclaim(self, handle: SlotHandle) -> None:
        """Release a handle whose process has ended or failed to attach it.

        Does nothing where the system frees the mappings of a process.
        """

    def slot_layouts(self, avatar_id: str) -> Mapping[int, SlotLayout] | None:
        """Return the layouts of cache slots that any process may allocate in shared memory.

        By the size of frames; None where only a process that uses the device can allocate them.
        """

    def largest_batch(self, rendition: Rendition) -> int:
        """Return the number of frames that one call of `warp_batch` renders faster than alone."""

    def refresh(self, rendition: Rendition, state: FrameState, slot: Slot) -> None:
        """Fill a slot with the cache of a state. On return every process can read it.

        Raises:
            RenderError: If this state cannot be rendered.
        """

    def probe(self) -> None:
        """Verify that the device still computes, after an unexpected error of another method.

        Raises:
            Exception: The error of the device, if it has failed.
        """

    def open_fade(self, rendition: Rendition, previous: Fade | None = None) -> Fade:
        """Start a crossfade state, or copy another one (`previous`) of the same rendition.

        Its memory is freed when it is garbage-collected.
        """

    def warp(
        self, rendition: Rendition, state: FrameState, slot: Slot, backdrop: Backdrop | None = None
    ) -> WarpedNv12:
        """Warp a cache to a state. On return the slot is no longer read.

        Args:
            rendition: The avatar, and the size of the frame.
            state: What to show.
            slot: The cache.
            backdrop: What is behind the head; None for the avatar's background. Over nothing the
                image is layered, see `images.layered_rows`.

        Raises:
            RenderError: If this state cannot be rendered.
        """

    def warp_batch(
        self, rendition: Rendition, frames: Sequence[tuple[FrameState, Slot]]
    ) -> list[WarpedNv12]:
        """Warp up to `largest_batch` caches at once, see `warp`.

        Raises:
            RenderError: If one of the states cannot be rendered; then nothing is rendered.
        """

    def full(self, avatar_id: str, state: FrameState, size: int | None = None) -> RgbImage:
        """Render a state without a cache; return (H, W, 3) uint8.

        Args:
            avatar_id: The avatar.
            state: What to render.
            size: Rows and columns, a multiple of 32; None for the avatar's resolution.

        Raises:
            RenderError: If this state cannot be rendered, or there is no memory for the size.
        """

    def warp_from(self, avatar_id: str, state: FrameState, cached: FrameState) -> RgbImage:
        """Fill a cache with `cached` and warp it to `state`; return (H, W, 3) uint8.

        Raises:
            RenderError: If one of the states cannot be rendered.
        """

    def load(self, folder: Path) -> LoadedAvatar:
        """Load another avatar, ready to render at full speed, for `add`.

        May be called in another thread while this engine renders.

        Raises:
            RenderError: If it cannot be loaded.
        """

    def add(self, loaded: LoadedAvatar) -> None:
        """Render another avatar from now on."""

    def remove(self, avatar_id: str) -> None:
        """Free an avatar. None of its slots is in use; their memory is closed separately."""


class EngineFactory(Protocol):
    """Builds engines; picklable, since every worker process builds its own."""

    def devices(self, wanted: str) -> tuple[str, ...]:
        """Return the devices that `wanted` names: `auto`, `cpu`, `cuda`, `cuda:0,cuda:1`.

        Must not initialize a device. `auto` without a usable GPU is the CPU, which it logs.

        Raises:
            ValueError: If this machine has no such device.
        """

    def memory(self, device: str) -> DeviceMemory | None:
        """Return the memory usage of a device that this process uses; None for the CPU.

        Raises:
            RuntimeError: If the device has failed.
        """

    def build(self, device: str, threads: int, purpose: Purpose) -> Engine:
        """Load all avatars onto a device, ready to render at full speed.

        Args:
            device: One of `devices(...)`.
            threads: Number of threads that the engine may compute with.
            purpose: Main task of the engine.
        """
