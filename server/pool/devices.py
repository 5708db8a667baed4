"""All devices of the pool: their start, their failures, and the choice of one for a viewer."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence

from models.contract.avatar_info import AvatarInfo
from models.contract.rendition import Rendition, sizes_up_to
from server.errors import NotReadyError, PoolBusyError
from server.pool.frame import FrameSequence
from server.pool.interface import DeviceMemory, ServerMemory
from server.pool.placing import DeviceLoad, choose_device
from server.pool.supervisor import Timeouts
from server.pool.warp_benchmark import WarpBenchmark
from server.pool.warp_device import DeviceEvents, MakeBackend, WarpDevice

logger = logging.getLogger(__name__)


class Devices:
    """The devices that warp, and those that have failed.

    Args:
        timeouts: Pauses between attempts to build an engine, and when a device counts as stable.
    """

    def __init__(self, timeouts: Timeouts) -> None:
        self._timeouts = timeouts
        self._all: dict[str, WarpDevice] = {}

    async def build(
        self, names: Sequence[str], make_backend: MakeBackend, events: DeviceEvents
    ) -> None:
        """Build the engines of some devices, replacing earlier ones.

        Those that cannot be built are logged and left out.

        Args:
            names: `cpu`, or `cuda:0`, `cuda:1`, ...
            make_backend: Makes the warp backend of a device, for each attempt to build it.
            events: Receives the callbacks of each.

        Raises:
            Exception: Why the first device could not be built, if none could.
        """
        self._all = {name: WarpDevice(name, make_backend, events, self._timeouts) for name in names}
        results = await asyncio.gather(
            *(device.build() for device in self.all), return_exceptions=True
        )
        problems = [problem for problem in results if isinstance(problem, BaseException)]
        if not self.working:
            raise problems[0]
        for device in self.all:
            if device.problem is not None:
                logger.error("%s is left out: %s", device.name, device.problem)

    def __getitem__(self, name: str) -> WarpDevice:
        """Return a device."""
        return self._all[name]

    @property
    def all(self) -> tuple[WarpDevice, ...]:
        """All devices, in the order of their names at the start."""
        return tuple(self._all.values())

    @property
    def working(self) -> tuple[WarpDevice, ...]:
        """The devices that warp at present."""
        return tuple(device for device in self.all if device.working)

    @property
    def lost(self) -> bool:
        """Whether no device warps and this process cannot build one again."""
        return all(not device.working and device.lost for device in self.all)

    @property
    def avatars(self) -> Mapping[str, AvatarInfo]:
        """The avatars of all devices that warp, by id."""
        return {
            avatar_id: avatar
            for device in self.working
            for avatar_id, avatar in device.avatars.items()
        }

    def warps(self, name: str) -> bool:
        """Return whether a device warps."""
        return name in self._all and self._all[name].working

    def loads(self, usable: Collection[str], avatar_id: str | None = None) -> list[DeviceLoad]:
        """Return the loads of the devices that warp, or only of those that have an avatar.

        Args:
            usable: Devices with a worker that is ready or may become so.
            avatar_id: The avatar; None for any.
        """
        return [
            DeviceLoad(device.name, device.open_slots, device.warp_ms, device.name in usable)
            for device in self.working
            if avatar_id is None or avatar_id in device.avatars
        ]

    def allocate(
        self, rendition: Rendition, usable: Collection[str]
    ) -> tuple[WarpDevice, ServerMemory]:
        """Allocate cache slots on the least loaded device that can.

        Args:
            rendition: What the caches are of.
            usable: Devices with a worker that is ready or may become so.

        Raises:
            NotReadyError: If no device warps this avatar at present.
            PoolBusyError: If there is no memory.
        """
        avatar_id = rendition.avatar_id
        loads = self.loads(usable, avatar_id)
        error: Exception = NotReadyError(f"no device warps avatar {avatar_id!r} at present")
        while loads:
            device = self[choose_device(loads)]
            try:
                return device, device.allocate(rendition)
            except PoolBusyError as exc:
                error = exc
            except RuntimeError as exc:  # as CUDA raises for any error of a GPU
                device.suspect(exc)
                error = NotReadyError(f"{device.name}: {exc}")
            loads = [load for load in loads if load.device != device.name]
        raise error

    async def benchmark(
        self, seconds: float, largest: int | None = None
    ) -> dict[str, WarpBenchmark]:
        """Time warps of the largest frames on all devices in parallel.

        Args:
            seconds: How long.
            largest: Rows and columns of the largest frames; None for the avatars' resolutions.
        """
        devices = self.working
        benchmarks = await asyncio.gather(
            *(d.benchmark(_largest(d.avatars, largest), seconds) for d in devices)
        )
        return {device.name: found for device, found in zip(devices, benchmarks, strict=True)}

    def memory(self) -> dict[str, DeviceMemory]:
        """Return the memory usage of each GPU that works."""
        found = {device.name: device.memory() for device in self.all}
        return {name: memory for name, memory in found.items() if memory is not None}

    def close_sequence(self, sequence: FrameSequence) -> None:
        """Drop the crossfade states of a sequence, which may have used several devices."""
        for device in self.all:
            device.close_sequence(sequence)

    def stop(self) -> None:
        """Stop building devices."""
        for device in self.all:
            device.stop()

    async def close(self) -> None:
        """Wait for the warps in progress and end the threads and processes."""
        await asyncio.gather(*(device.close() for device in self.all))


def _largest(avatars: Mapping[str, AvatarInfo], largest: int | None) -> Rendition:
    """Return the rendition with the largest frames, the first of several."""
    sizes = {key: sizes_up_to(avatar.resolution, largest)[-1] for key, avatar in avatars.items()}
    found = max(sizes, key=sizes.__getitem__)
    return Rendition(found, sizes[found])
