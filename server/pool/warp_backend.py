"""Interface of what warps on a device: a thread of the server (`warping.py`) or a separate process
(`process_backend.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from models.contract.avatar_info import AvatarInfo
from models.contract.rendition import Rendition
from server.pool.cache_slots import CacheSlots
from server.pool.frame import FrameSequence, Warping
from server.pool.interface import DeviceMemory, LoadedAvatar, ServerMemory
from server.pool.jobs import SlotHandle
from server.pool.warp_benchmark import WarpBenchmark
from server.protocol.states import FrameInputs


class WarpBackend(Protocol):
    """Warps on one device. Used on the event loop.

    After a failure of the device it stops, and calls `failed` once with the reason.
    """

    @property
    def warp_ms(self) -> float | None:
        """Moving mean of the warp time; None before the first warp."""

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """The avatars that can be warped, by id."""

    @property
    def keeps_slots(self) -> bool:
        """Whether cache slots outlive a failure, so that the next backend warps from them."""

    async def build(self) -> None:
        """Build the engine; raises the error that prevents it."""

    def allocate(self, rendition: Rendition) -> ServerMemory:
        """Allocate cache slots.

        Raises:
            PoolBusyError: If there is no memory.
            RuntimeError: If the device has failed.
        """

    def reclaim(self, handle: SlotHandle) -> None:
        """Release a handle, see `Engine.reclaim`.

        Raises:
            RuntimeError: If the device has failed.
        """

    def memory(self) -> DeviceMemory | None:
        """Return the memory usage of a GPU; None for the CPU.

        Raises:
            RuntimeError: If the device has failed.
        """

    async def load(self, folder: Path) -> LoadedAvatar:
        """Load another avatar while warps continue.

        Raises:
            RenderError: If it cannot be loaded.
        """

    async def add(self, loaded: LoadedAvatar) -> None:
        """Warp a loaded avatar from now on."""

    async def remove(self, avatar_id: str) -> None:
        """Free an avatar after the warps that are queued."""

    def submit(
        self, slots: CacheSlots, sequence: FrameSequence, sample: Callable[[], FrameInputs]
    ) -> Warping:
        """Queue a warp of the newest cache to the newest inputs; first come, first served.

        A viewer requests its next frame only after it has received the last one, so this order
        serves the viewers in rotation. If the newest frame of the sequence shows the same image,
        that image is returned again.

        Args:
            slots: Hold the cache.
            sequence: The sequence that the frame belongs to.
            sample: Returns the newest inputs; thread-safe.

        Returns:
            The frame; None if there is no cache, the viewer has left or the device has failed.
        """

    def suspect(self, error: Exception) -> None:
        """Find out whether an unexpected error came from the device."""

    async def benchmark(self, rendition: Rendition, seconds: float) -> WarpBenchmark:
        """Time warps for a moving viewer. Warps of real viewers run in between."""

    def close_sequence(self, sequence: FrameSequence) -> None:
        """Drop the crossfade state of a sequence, which holds the memory of a whole cache."""

    async def close(self) -> None:
        """Wait for the warp in progress, cancel queued ones and end the thread or process."""

    def abandon(self) -> None:
        """End without waiting; queued warps return None."""
