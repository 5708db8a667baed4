"""A sender, a bottleneck and a receiver in simulated time: deterministic and without a network."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from itertools import pairwise

from server.transport.webrtc.congestion.control import CongestionControl
from server.transport.webrtc.congestion.feedback import TransportFeedback

PACKET = 1200
OVERHEAD = 78
FPS = 60
REPORT_S = 0.08
CLOCK_OFFSET_S = 4321.0
_SLOW_ENCODER_S = 0.3


@dataclass
class Call:
    """A viewer behind a bottleneck, and a sender of frames at the encoder's target bitrate.

    Args:
        control: The congestion control under test.
        capacity: Bandwidth of the bottleneck at a time, bits per second.
        needed: Highest bitrate of the frames, bits per second; an encoder does not exceed it.
    """

    control: CongestionControl
    capacity: Callable[[float], float]
    needed: float = 20e6
    travel_s: float = 0.01
    queue_s: float = 10.0
    """Packets that would queue longer at the bottleneck are dropped."""
    loss: float = 0.0
    jitter_s: float = 0.0
    now: float = 0.0
    targets: list[tuple[float, int]] = field(default_factory=list)
    queues: list[tuple[float, float]] = field(default_factory=list)
    """Times at which packets left the bottleneck, and how long they had queued, seconds."""
    shown: list[tuple[float, float]] = field(default_factory=list)
    """Times at which frames had arrived completely, and their ages, seconds."""
    sent_bytes: list[tuple[float, int]] = field(default_factory=list)
    probe_bytes: int = 0

    def __post_init__(self) -> None:
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._free_at = 0.0
        self._frame: list[int] = []
        self._frame_at = 0.0
        self._bits = 0.0
        self._encoder_rate = float(self.control.encoder_target(0.0))
        self._arrived: dict[int, float] = {}
        self._sent_numbers: list[int] = []
        self._base = 0
        self._random = random.Random(3)
        self.reporting = True
        self._reports = 0
        self._at(0.0, self._next_frame)
        self._at(REPORT_S, self._report)

    def run(self, until: float) -> None:
        """Simulate this many seconds."""
        while self._events and self._events[0][0] <= until:
            self.now, _, event = heappop(self._events)
            event()
        self.now = until

    def rate(self, since: float, until: float) -> float:
        """Return the sent bitrate, bits per second."""
        return sum(8 * size for at, size in self.sent_bytes if since <= at < until) / (
            until - since
        )

    def queue_percentile(self, since: float, until: float, part: float) -> float:
        waits = sorted(wait for at, wait in self.queues if since <= at < until) or [0.0]
        return waits[min(int(part * len(waits)), len(waits) - 1)]

    def longest_gap(self, since: float, until: float) -> float:
        """Return the longest time between two frames, seconds."""
        shown = [since, *(at for at, _ in self.shown if since < at < until), until]
        return max(late - early for early, late in pairwise(shown))

    def _at(self, moment: float, event: Callable[[], None]) -> None:
        self._count += 1
        heappush(self._events, (moment, self._count, event))

    def _next_frame(self) -> None:
        now = self.now
        if not self.control.has_room(now):
            self._at(now + 0.005, self._next_frame)
            return
        target = self.control.encoder_target(now)
        # x264 needs some frames to follow a lower target.
        self._encoder_rate += (target - self._encoder_rate) / (_SLOW_ENCODER_S * FPS)
        size = max(200, round(min(self._encoder_rate, self.needed) / FPS / 8))
        self._frame = [min(PACKET, size - start) for start in range(0, size, PACKET)]
        self._frame_at = now
        self._send_frame()

    def _send_frame(self) -> None:
        while self._frame:
            wait_s = self.control.wait_s(self.now)
            if wait_s:
                self._at(self.now + wait_s + 1e-6, self._send_frame)
                return
            size = self._frame.pop(0)
            done = None if self._frame else partial(self._show, self._frame_at)
            self._send(size + OVERHEAD, size, done)
        self._at(max(self.now, self._frame_at + 1 / FPS), self._next_frame)

    def _show(self, began_at: float) -> None:
        self.shown.append((self.now, self.now - began_at))

    def _send(
        self, size: int, of_frame: int, done: Callable[[], None] | None, probe: int | None = None
    ) -> None:
        number = self.control.sent(self.now, size, of_frame, probe)
        self.targets.append((self.now, self.control.figures.estimate))
        self.sent_bytes.append((self.now, size))
        self._sent_numbers.append(number)
        wait_s = max(0.0, self._free_at - self.now)
        if wait_s > self.queue_s or self._random.random() < self.loss:
            return
        self._free_at = self.now + wait_s + size * 8 / self.capacity(self.now)
        self.queues.append((self.now, wait_s))
        late_s = self._random.random() * self.jitter_s
        self._at(self._free_at + self.travel_s + late_s, lambda: self._arrive(number, done))

    def _arrive(self, number: int, done: Callable[[], None] | None) -> None:
        self._arrived[number] = self.now
        if done is not None:
            done()

    def _report(self) -> None:
        self._at(self.now + REPORT_S, self._report)
        waiting = [n for n in self._sent_numbers[self._base :] if n in self._arrived]
        if not waiting or not self.reporting:
            return
        numbers = self._sent_numbers[self._base : self._sent_numbers.index(waiting[-1]) + 1]
        self._base += len(numbers)
        arrivals = tuple(
            self._arrived[n] + CLOCK_OFFSET_S if n in self._arrived else None for n in numbers
        )
        feedback = TransportFeedback(numbers[0], self._reports & 0xFF, 0.0, arrivals)
        self._reports += 1
        self._at(self.now + self.travel_s, lambda: self._reported(feedback))

    def _reported(self, feedback: TransportFeedback) -> None:
        self.control.reported(feedback, self.now)
        probe = self.control.begin_probe(self.now)
        if probe is not None:
            number, bits_per_s, size = probe
            packets = max(5, -(-size // PACKET))
            each = max(200, size // packets)
            self.probe_bytes += packets * each
            for i in range(packets):
                self._at(
                    self.now + i * each * 8 / bits_per_s,
                    lambda: self._send(each, 0, None, number),
                )
