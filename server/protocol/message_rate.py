"""Rate limits: a token bucket, and that of one sender's messages, which is queried before parsing.

Live input is one deep, so a message above the rate is dropped and counted, and a newer one replaces
it. Only a sender that stays far above the rate for long is disconnected.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FLOOD_FACTOR = 10.0
"""A sender at this multiple of its rate floods. A page that catches up after a stall of the network
sends the messages of some seconds at once, but not for longer than `FLOOD_S`."""
FLOOD_S = 10.0

BAD_CHARACTERS = 250
"""An invalid message counts as one more for so many characters: of 12 000 characters with a
thousand errors, which take 10 ms to find and describe, as some 50."""


@dataclass(slots=True)
class TokenBucket:
    """Permits events at a mean rate, and a burst after a pause.

    `now` of all calls is monotonic time, seconds.
    """

    per_s: float
    """Tokens added per second; an event takes one."""
    burst: float
    """Tokens that it holds at most, and at the start."""
    counted_at: float
    """Time of the last count."""
    left: float = field(init=False)
    """Tokens at that time; negative after a charge that is not compensated yet."""

    def __post_init__(self) -> None:
        self.left = self.burst

    def take(self, now: float) -> bool:
        """Take a token for an event; return whether there was one."""
        self.left = min(self.burst, self.left + (now - self.counted_at) * self.per_s)
        self.counted_at = now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True

    def wait_s(self, now: float) -> float:
        """Return the time until there is a token, seconds; 0 if there is one."""
        left = self.left + (now - self.counted_at) * self.per_s
        return max(0.0, (1.0 - left) / self.per_s)


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
        self._clock = clock
        self._window_began_at = clock()
        self._in_window = 0
        self._bucket = TokenBucket(per_s, max(1.0, burst), self._window_began_at)

    def take(self) -> bool:
        """Count a message.

        Returns:
            Whether it is within the rate; otherwise drop it without parsing it.
        """
        now = self._clock()
        self._note_flood(now)
        if self._bucket.take(now):
            return True
        self.dropped += 1
        return False

    def charge(self, messages: float) -> None:
        """Count additional messages; the next ones wait until these are compensated.

        Args:
            messages: Number of messages, handled or dropped.
        """
        self._bucket.left -= messages

    def charge_bad(self, length: int) -> None:
        """Count a message that was taken and found invalid as several, by its length.

        A single one after a pause does not affect the sender.

        Args:
            length: Characters or bytes of the message.
        """
        self.charge(length / BAD_CHARACTERS)

    def wait_s(self) -> float:
        """Return the time until the next message is within the rate, seconds; 0 if it is now."""
        return self._bucket.wait_s(self._clock())

    def _note_flood(self, now: float) -> None:
        self._in_window += 1
        elapsed_s = now - self._window_began_at
        if elapsed_s < FLOOD_S:
            return
        self.flooding |= self._in_window > FLOOD_FACTOR * self._bucket.per_s * elapsed_s
        self._window_began_at, self._in_window = now, 0
