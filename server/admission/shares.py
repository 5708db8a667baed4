"""Shares of session slots and of the queue: how much one token, and one address, may hold.

A quarter of the session slots and of the queue stays free of any one token, so that a client with
one token cannot block the holders of other tokens. Many clients may have the same token (a shared
link), so one address gets a part of its share only. Addresses alone are not limited where there are
tokens: an office or a proxy has one address for many people.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from server.auth.grants import Grant


@dataclass(frozen=True)
class Shares:
    """Largest shares of the slots that one viewer's token and address may hold, 0..1."""

    token: float | None = None
    """Share of one token; None without tokens, where viewers differ by address only."""
    address: float = 1.0
    """Share of one address with the same token."""

    def queue_key(self, viewer: Grant) -> str:
        """Return the identity between which the queue alternates: a token, or else an address."""
        return viewer.address if self.token is None else viewer.holder

    def excess(self, viewer: Grant, present: Iterable[Grant], slots: int) -> str | None:
        """Return the limit that one more slot for a viewer would exceed; None if it exceeds none.

        Args:
            viewer: The viewer to be admitted.
            present: Holders of the slots in use, one entry per slot.
            slots: Number of slots, free ones included.

        Returns:
            A part of an error message, such as "your token holds 2 of 3, its limit".
        """
        same_token = [other for other in present if other.holder == viewer.holder]
        if self.token is not None and len(same_token) >= part_of(self.token, slots):
            return f"your token holds {len(same_token)} of {slots}, its limit"
        here = sum(other.address == viewer.address for other in same_token)
        if here >= part_of(self.address, slots):
            return f"your address holds {here} of {slots}, its limit"
        return None


UNLIMITED = Shares()
"""No limits: for a server that serves its own machine only."""


def part_of(share: float, slots: int) -> int:
    """Return the slots of a share: at least one, and below 1 never all of two or more."""
    if share >= 1:
        return slots
    return max(1, min(slots - 1, math.ceil(share * slots)))
