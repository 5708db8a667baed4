"""Placement of cache slots on devices. Pure functions: no processes, no devices.

The rules for a machine with several GPUs:

- All slots of a viewer are on one device, and so are its warps and refreshes. The paper warps on
  one GPU and refreshes on the others, and must therefore copy every cache. With as many viewers as
  GPUs every GPU is busy anyway, and nothing has to be copied.
- A new viewer goes to the device with the shortest round: the time to warp once for each of its
  viewers, the new one included. Equal devices get equally many viewers; a device that is twice as
  fast gets twice as many.
- A device whose workers all keep failing gets no viewers, and its slots are reported as failed: the
  clients reconnect by themselves and get another device. The device is used again once one of its
  workers is ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class DeviceLoad:
    """Load of one device at one moment."""

    device: str
    open_slots: int
    """Number of open `CacheSlots`."""
    warp_ms: float | None
    """Moving mean of the warp time; None before the first warp."""
    usable: bool
    """Whether one of its workers is ready or may become ready soon."""


def choose_device(loads: Sequence[DeviceLoad]) -> str:
    """Return the device for a new viewer; the first one among equals."""
    known_ms = [load.warp_ms for load in loads if load.warp_ms is not None]
    # For a device that has not warped yet; any value where none has, as only ratios count then.
    typical_ms = median(known_ms) if known_ms else 1.0
    usable = [load for load in loads if load.usable] or loads
    return min(usable, key=lambda load: (_round_ms(load, typical_ms), load.open_slots)).device


def failed_devices(loads: Iterable[DeviceLoad]) -> set[str]:
    """Return the unusable devices; none if there is no usable one."""
    broken, working = set(), False
    for load in loads:
        working |= load.usable
        if not load.usable:
            broken.add(load.device)
    return broken if working else set()


def _round_ms(load: DeviceLoad, typical_ms: float) -> float:
    """Return the time to warp once for each viewer, a new one included."""
    return (load.open_slots + 1) * (typical_ms if load.warp_ms is None else load.warp_ms)
