"""Rate limit of one sender's messages: a token bucket that is queried before parsing.

Live input is one deep, so a message above the rate is dropped and counted, and a newer one replaces
it. Only a sender that stays far above the rate for long is disconnected.
"""

from __future__ import annotations

import time
from collections.abc import Callable

FLOOD_FACTOR = 10.0
"""A sender at this multiple of its rate floods. A page that catches up after a stall of the network
sends the messages of some seconds at once, but not for longer than `FLOOD_S`."""
FLOOD_S = 10.0

BAD_CHARACTERS = 250
"""An invalid message counts as one more for so many characters: of 12 000 characters with a
thousand errors, which take 10 ms to find and describe, as some 50."""


class MessageRate:
    """The rate of one sender's messages.

    Args:
        per_s: Messages per second on average.
        burst: Messages that a sender may send at once after a pause.
        clock: Monotonic time, seconds.
    """

    def __init__(
        self, per_s: float, burst: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.dropped = 0
        """Messages above the rate."""
        self.flooding = False
        """Whether the sender was above `FLOOD_FACTOR` times its rate for `FLOOD_S`; never reset."""
        self._per_s = per_s
        self._burst = max(1.0, burst)
        self._clock = clock
        self._left = self._burst
        self._counted_at = self._window_began_at = clock()
        self._in_window = 0

    def take(self) -> bool:
        """Count a message.

        Returns:
            Whether it is within the rate; otherwise drop it without parsing it.
        """
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._counted_at) * self._per_s)
        self._counted_at = now
        self._note_flood(now)
        if self._left < 1.0:
            self.dropped += 1
            return False
        self._left -= 1.0
        return True

    def charge(self, messages: float) -> None:
        """Count additional messages; the next ones wait until these are compensated.

        Args:
            messages: Number of messages, handled or dropped.
        """
        self._left -= messages

    def charge_bad(self, length: int) -> None:
        """Count a message that was taken and found invalid as several, by its length.

        A single one after a pause does not affect the sender.

        Args:
            length: Characters or bytes of the message.
        """
        self.charge(length / BAD_CHARACTERS)

    def wait_s(self) -> float:
        """Return the time until the next message is within the rate, seconds; 0 if it is now."""
        left = self._left + (self._clock() - self._counted_at) * self._per_s
        return max(0.0, (1.0 - left) / self._per_s)

    def _note_flood(self, now: float) -> None:
        self._in_window += 1
        elapsed_s = now - self._window_began_at
        if elapsed_s < FLOOD_S:
            return
        self.flooding |= self._in_window > FLOOD_FACTOR * self._per_s * elapsed_s
        self._window_began_at, self._in_window = now, 0
