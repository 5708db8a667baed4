"""Rate control: the target bitrate, from the bandwidth estimates of the receiver.

A receiver's estimate (REMB) grows only with what is sent: a face that hardly moves, at 200 kb/s,
keeps it at 300 kb/s for ever. So an estimate above the sent bitrate only means that there is no
congestion.
"""

from __future__ import annotations

from collections import deque

_WINDOW_S = 1.0
_RAISE = 1.15
"""Growth per estimate without congestion; they come about once a second."""
_CONGESTED = 0.95
"""An estimate below this part of what was sent means that not all of it arrives in time."""


def follow_start(rate: int, before: int, start: int, *, untested: bool) -> int:
    """Return a bitrate that follows frames of another size.

    Smaller frames need less in proportion, but a rate that congestion has lowered further stays.
    Larger ones begin as a connection with such frames does, where there was no congestion.

    Args:
        rate: Bits per second so far.
        before: First bitrate of a connection with frames of the size before.
        start: First bitrate of a connection with frames of their size now.
        untested: Whether there was no congestion yet.
    """
    if start < before:
        return min(rate, max(start, round(rate * start / before)))
    return max(rate, start) if untested else rate


class RateControl:
    """Keeps the target bitrate between two limits.

    Args:
        start: First target, bits per second.
        lowest: Lowest target; a face below it is not worth sending.
        highest: Never more than this.
    """

    def __init__(self, start: int, lowest: int, highest: int) -> None:
        self.target = min(max(start, lowest), highest)
        self._start = start
        self._was_congested = False
        self._lowest = lowest
        self._highest = highest
        self._sent: deque[tuple[float, int]] = deque()
        self._sent_bytes = 0

    def note_sent(self, size: int, now: float) -> None:
        """Count `size` bytes that were sent at `now` (seconds of any steady clock)."""
        self._sent.append((now, size))
        self._sent_bytes += size
        self._forget(now)

    def note_estimate(self, bitrate: int, now: float) -> int:
        """Update the target from the receiver's estimate in bits per second.

        Returns:
            The new target.
        """
        self._forget(now)
        congested = bitrate < _CONGESTED * self._sent_bytes * 8 / _WINDOW_S
        wanted = bitrate if congested else round(max(self.target * _RAISE, bitrate))
        if congested:
            wanted = min(wanted, self.target)
            self._was_congested = True
        self.target = min(max(wanted, self._lowest), self._highest)
        return self.target

    def expect(self, start: int) -> int:
        """Let the target follow frames of another size.

        Args:
            start: First target of a connection with such frames, bits per second.

        Returns:
            The new target.
        """
        wanted = follow_start(self.target, self._start, start, untested=not self._was_congested)
        self.target, self._start = min(max(wanted, self._lowest), self._highest), start
        return self.target

    def _forget(self, now: float) -> None:
        while self._sent and self._sent[0][0] < now - _WINDOW_S:
            self._sent_bytes -= self._sent.popleft()[1]
