"""What the pool needs of a renderer; `engine.py` is the real one, `fake.py` the one for tests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FrameState
from models.contract.images import RgbImage, WarpedImage
from server.pool.jobs import SlotHandle

SLOT_COUNT = 3
"""One being written, one ready, one being read."""

Slot = Mapping[str, Any]
"""One cache: named arrays or tensors in preallocated memory."""


@dataclass(frozen=True)
class DeviceMemory:
    """Memory of a GPU, whoever uses it, bytes."""

    used: int
    total: int


class SlotMemory(Protocol):
    """The slots of one line, as one process sees them."""

    @property
    def handle(self) -> SlotHandle:
        """What `Engine.attach` in another process needs."""

    def slot(self, index: int) -> Slot:
        """The arrays of slot `index`; the same ones on every call."""

    def close(self) -> None:
        """Unmap; the process that allocated them also frees them. No slot may be in use."""


class Fade(Protocol):
    """What one trail's warps start from while caches change; used by one thread at a time."""

    @property
    def fading(self) -> bool:
        """Whether the last `follow` did not show its cache fully yet."""

    def follow(self, newest: Slot, generation: int, now_s: float) -> Slot:
        """Move towards the newest cache.

        Args:
            newest: It; not read any more once the warp from what is returned is done.
            generation: Tells one cache from another.
            now_s: Never goes back.

        Returns:
            What to warp from; valid until the next call.
        """


class Engine(Protocol):
    """All avatars on one device, in one process, used by one thread at a time."""

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """The avatars that can be rendered, by id."""

    def allocate(self, avatar_id: str) -> SlotMemory:
        """Make the slots of a new line, to be mapped by other processes too.

        Raises:
            PoolBusyError: If there is no memory left for them.
        """

    def attach(self, avatar_id: str, handle: SlotHandle) -> SlotMemory:
        """Map slots that another process has allocated."""

    def refresh(self, avatar_id: str, state: FrameState, slot: Slot) -> None:
        """Fill a slot with the cache of a state; on return every process can read it.

        Raises:
            RenderError: If this state cannot be rendered.
        """

    def open_fade(self, avatar_id: str, before: Fade | None = None) -> Fade:
        """Begin what a trail's warps start from, or go on from another trail's.

        Its memory goes when it is dropped.
        """

    def warp(self, avatar_id: str, state: FrameState, slot: Slot) -> WarpedImage:
        """Draw a state from a cache; on return the slot is no longer being read.

        Raises:
            RenderError: If this state cannot be rendered.
        """

    def full(self, avatar_id: str, state: FrameState) -> RgbImage:
        """Draw a state without a cache, (H, W, 3) uint8.

        Raises:
            RenderError: If this state cannot be rendered.
        """

    def warp_from(self, avatar_id: str, state: FrameState, cached: FrameState) -> RgbImage:
        """Draw a state from a cache made for `cached` on the spot, (H, W, 3) uint8.

        Raises:
            RenderError: If one of the states cannot be rendered.
        """


class EngineFactory(Protocol):
    """Builds engines; picklable, since every worker process builds its own."""

    def devices(self, wanted: str) -> tuple[str, ...]:
        """The devices that `wanted` stands for: `auto`, `cpu`, `cuda`, `cuda:0,cuda:1`.

        Must not initialise a device.

        Raises:
            ValueError: If there is no such device here.
        """

    def memory(self, device: str) -> DeviceMemory | None:
        """What is in use on a device that has been initialised here; None for the CPU."""

    def build(self, device: str, threads: int) -> Engine:
        """Load all avatars onto a device, ready to render at full speed.

        Args:
            device: One of `devices(...)`.
            threads: How many threads the engine may compute with.
        """
