"""A cable that loses and delays packets, as `tc netem` does where the kernel has it.

Each end is a TUN device in a namespace; this process carries every IP packet between the two, so
that loss and delay can be changed at any moment and need no kernel module.
"""

from __future__ import annotations

import fcntl
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
    carried: int = 0
    lost: int = 0
    _dice: random.Random = field(default_factory=lambda: random.Random(5))
    _travelling: deque[tuple[float, int, bytes]] = field(default_factory=deque)

    def carry(self, ends: tuple[int, int], stop: threading.Event) -> None:
        """Carry packets between two devices, by their descriptors, until told to stop."""
        other = {ends[0]: ends[1], ends[1]: ends[0]}
        while not stop.is_set():
            readable, _, _ = select.select(ends, (), (), self._next_in_s())
            for end in readable:
                self._take(os.read(end, _LARGEST), other[end])
            self._deliver()

    def _take(self, packet: bytes, to: int) -> None:
        if self._dice.random() < self.loss:
            self.lost += 1
        else:
            self.carried += 1
            self._travelling.append((time.monotonic() + self.delay_s, to, packet))

    def _next_in_s(self) -> float:
        if not self._travelling:
            return _LONGEST_SLEEP_S
        return min(_LONGEST_SLEEP_S, max(0.0, self._travelling[0][0] - time.monotonic()))

    def _deliver(self) -> None:
        """Hand over what has travelled long enough; in order, so a shorter delay does not pass."""
        while self._travelling and self._travelling[0][0] <= time.monotonic():
            _, to, packet = self._travelling.popleft()
            os.write(to, packet)


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
