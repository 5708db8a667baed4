"""Which device a viewer's caches lie on. Pure: no processes, no devices.

The rules of a machine with several GPUs:

- A line lives on one device whole: its three slots, its warps, and its refreshes, done by that
  device's own workers. The paper warps on one GPU and refreshes on the others, and so must copy
  every cache; with as many viewers as GPUs each is busy anyway, and nothing is copied.
- A new line goes where it will be warped soonest: to the device with the least warp time asked for
  per round of its lines, the new one included. Equal devices get equally many lines; a device
  twice as fast gets twice as many.
- A device whose workers all keep failing gets no lines, and its lines are lost: their viewers come
  again by themselves, and are given another device. It is used again once a worker is ready.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class DeviceLoad:
    """One device, as seen now."""

    device: str
    lines: int
    """Open ones."""
    warp_ms: float | None
    """How long a warp has taken lately; None while there was none."""
    works: bool
    """Whether one of its workers may become ready soon."""


def choose_device(loads: Sequence[DeviceLoad]) -> str:
    """The device for a new line; among equals the first."""
    known_ms = [load.warp_ms for load in loads if load.warp_ms is not None]
    typical_ms = median(known_ms) if known_ms else 1.0
    usable = [load for load in loads if load.works] or loads
    return min(usable, key=lambda load: (_round_ms(load, typical_ms), load.lines)).device


def lost_devices(loads: Iterable[DeviceLoad]) -> set[str]:
    """Devices whose lines are better off elsewhere; none where nothing else works either."""
    broken, working = set(), False
    for load in loads:
        working |= load.works
        if not load.works:
            broken.add(load.device)
    return broken if working else set()


def _round_ms(load: DeviceLoad, typical_ms: float) -> float:
    """How long a round of all its lines takes once there is one more."""
    return (load.lines + 1) * (typical_ms if load.warp_ms is None else load.warp_ms)
