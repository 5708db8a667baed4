"""A cable that loses, delays and queues packets, as `tc netem` does where the kernel has it.

Each end is a TUN device in a namespace; this process carries every IP packet between the two, so
that all of it can be changed at any moment and needs no kernel module.
"""

from __future__ import annotations

import fcntl
import math
import os
import random
import select
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.server.network.network import Place, attach

_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST = 65536
_LONGEST_SLEEP_S = 0.05


@dataclass
class BadWire:
    """What happens to the packets of both directions; may be changed while they travel."""

    loss: float = 0.0
    """Part of the packets that never arrive, each by itself."""
    delay_s: float = 0.0
    """Of each direction."""
    bits_per_s: float = math.inf
    """Of each direction; what exceeds it queues."""
    longest_queue_s: float = math.inf
    """What would queue longer is dropped."""
    carried: int = 0
    lost: int = 0
    queued: list[tuple[float, int, int, float]] = field(default_factory=list)
    """For each packet: when it came, `time.monotonic()`, its end of the cable, 0 or 1, its bytes,
    and how long it queued."""
    _dice: random.Random = field(default_factory=lambda: random.Random(5))
    _travelling: dict[int, deque[tuple[float, bytes]]] = field(default_factory=dict)
    _free_at: dict[int, float] = field(default_factory=dict)

    def carry(self, ends: tuple[int, int], stop: threading.Event) -> None:
        """Carry packets between two devices, by their descriptors, until told to stop."""
        other = {ends[0]: ends[1], ends[1]: ends[0]}
        self._travelling = {end: deque() for end in ends}
        self._free_at = dict.fromkeys(ends, 0.0)
        while not stop.is_set():
            readable, _, _ = select.select(ends, (), (), self._next_in_s())
            for end in readable:
                self._take(os.read(end, _LARGEST), other[end], ends.index(end))
            self._deliver()

    def _take(self, packet: bytes, to: int, came_from: int) -> None:
        now = time.monotonic()
        queue_s = max(0.0, self._free_at[to] - now)
        if self._dice.random() < self.loss or queue_s > self.longest_queue_s:
            self.lost += 1
            return
        self.carried += 1
        self.queued.append((now, came_from, len(packet), queue_s))
        self._free_at[to] = now + queue_s + len(packet) * 8 / self.bits_per_s
        self._travelling[to].append((self._free_at[to] + self.delay_s, packet))

    def _next_in_s(self) -> float:
        next_at = min((way[0][0] for way in self._travelling.values() if way), default=math.inf)
        return min(_LONGEST_SLEEP_S, max(0.0, next_at - time.monotonic()))

    def _deliver(self) -> None:
        """Hand over what has travelled long enough; in order, so a shorter delay does not pass."""
        for to, way in self._travelling.items():
            while way and way[0][0] <= time.monotonic():
                os.write(to, way.popleft()[1])


@contextmanager
def bad_wire(one: Place, one_address: str, other: Place, other_address: str) -> Iterator[BadWire]:
    """Lay a cable between two places: addresses of the same /24; a good one until it is changed."""
    if not os.access(_TUN, os.R_OK | os.W_OK):
        pytest.skip(f"no {_TUN} to make a bad cable of")
    wire, stop = BadWire(), threading.Event()
    with ExitStack() as stack:
        ends = []
        for place, address, letter in ((one, one_address, "a"), (other, other_address, "b")):
            device = f"bad{letter}{os.getpid()}"
            ends.append(_open_device(device))
            stack.callback(os.close, ends[-1])
            attach(place, address, device)
        carrier = threading.Thread(target=wire.carry, args=(tuple(ends), stop), name="bad-wire")
        carrier.start()
        stack.callback(carrier.join)
        stack.callback(stop.set)
        yield wire


def _open_device(name: str) -> int:
    """Make a TUN device; it goes when what is returned is closed."""
    opened = os.open(_TUN, os.O_RDWR)
    flags = _IFF_TUN | _IFF_NO_PI
    fcntl.ioctl(opened, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    return opened
