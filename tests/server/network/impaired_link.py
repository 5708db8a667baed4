"""A link with packet loss, delay and limited bandwidth, like `tc netem`.

Each end is a TUN device in a network namespace; this process forwards every IP packet between
them, so that the impairments can change at any time and need no kernel module.
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

from tests.server.network.network import Namespace, attach

_TUN = Path("/dev/net/tun")
_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_LARGEST = 65536
_LONGEST_SLEEP_S = 0.05


@dataclass
class ImpairedLink:
    """Impairments of a link in both directions; may be changed at any time."""

    loss: float = 0.0
    """Fraction of packets that are lost, independently of each other."""
    delay_s: float = 0.0
    """Per direction."""
    bits_per_s: float = math.inf
    """Bandwidth per direction; packets above it queue."""
    longest_queue_s: float = math.inf
    """Packets that would queue longer are dropped."""
    forwarded: int = 0
    lost: int = 0
    queued: list[tuple[float, int, int, float]] = field(default_factory=list)
    """For each packet: its arrival by `time.monotonic()`, the end of the link where it
    arrived (0 or 1), its size in bytes, and how long it queued, seconds."""
    _random: random.Random = field(default_factory=lambda: random.Random(5))
    _in_flight: dict[int, deque[tuple[float, bytes]]] = field(default_factory=dict)
    _free_at: dict[int, float] = field(default_factory=dict)

    def forward(self, ends: tuple[int, int], stop: threading.Event) -> None:
        """Forward packets between two devices, given by their descriptors, until `stop` is set."""
        other = {ends[0]: ends[1], ends[1]: ends[0]}
        self._in_flight = {end: deque() for end in ends}
        self._free_at = dict.fromkeys(ends, 0.0)
        while not stop.is_set():
            readable, _, _ = select.select(ends, (), (), self._next_in_s())
            for end in readable:
                self._take(os.read(end, _LARGEST), other[end], ends.index(end))
            self._deliver()

    def _take(self, packet: bytes, to: int, source_end: int) -> None:
        now = time.monotonic()
        queue_s = max(0.0, self._free_at[to] - now)
        if self._random.random() < self.loss or queue_s > self.longest_queue_s:
            self.lost += 1
            return
        self.forwarded += 1
        self.queued.append((now, source_end, len(packet), queue_s))
        self._free_at[to] = now + queue_s + len(packet) * 8 / self.bits_per_s
        self._in_flight[to].append((self._free_at[to] + self.delay_s, packet))

    def _next_in_s(self) -> float:
        next_at = min(
            (packets[0][0] for packets in self._in_flight.values() if packets), default=math.inf
        )
        return min(_LONGEST_SLEEP_S, max(0.0, next_at - time.monotonic()))

    def _deliver(self) -> None:
        """Deliver packets that are due, in order: a lower delay does not let packets overtake."""
        for to, packets in self._in_flight.items():
            while packets and packets[0][0] <= time.monotonic():
                os.write(to, packets.popleft()[1])


@contextmanager
def impaired_link(
    one: Namespace, one_address: str, other: Namespace, other_address: str
) -> Iterator[ImpairedLink]:
    """Connect two namespaces with addresses of one /24; without impairments at first."""
    if not os.access(_TUN, os.R_OK | os.W_OK):
        pytest.skip(f"no {_TUN} for an impaired link")
    link, stop = ImpairedLink(), threading.Event()
    with ExitStack() as stack:
        ends = []
        for namespace, address, letter in ((one, one_address, "a"), (other, other_address, "b")):
            device = f"bad{letter}{os.getpid()}"
            ends.append(_open_device(device))
            stack.callback(os.close, ends[-1])
            attach(namespace, address, device)
        carrier = threading.Thread(
            target=link.forward, args=(tuple(ends), stop), name="impaired-link"
        )
        carrier.start()
        stack.callback(carrier.join)
        stack.callback(stop.set)
        yield link


def _open_device(name: str) -> int:
    """Create a TUN device; return its descriptor, which removes the device when closed."""
    descriptor = os.open(_TUN, os.O_RDWR)
    flags = _IFF_TUN | _IFF_NO_PI
    fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    return descriptor
