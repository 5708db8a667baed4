"""Shares of a limited number of places: how many one token, and one of its addresses, may hold.

A quarter of the session slots and of the queue stays free of any one token, so that no client with
one token can keep the holders of other tokens out. Many clients may have the same token (a link
that was passed on), so one address gets a part of its share only. Addresses alone are not limited
where there are tokens: an office or a proxy has one address for many people.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from server.auth.grants import Grant


@dataclass(frozen=True)
class Shares:
    """The largest parts of the places that one viewer's token and address may hold, 0..1."""

    token: float | None = None
    """Of one token; None where no tokens are used, so that viewers differ by address only."""
    address: float = 1.0
    """Of one address, with the same token."""

    def party(self, viewer: Grant) -> str:
        """Return whom the queue serves in turn with others: a token, or else an address."""
        return viewer.address if self.token is None else viewer.holder

    def excess(self, viewer: Grant, present: Iterable[Grant], places: int) -> str | None:
        """Return which limit one more place for a viewer would exceed, None if it has room.

        Args:
            viewer: The viewer to be admitted.
            present: Who holds the places that are taken, one entry per place.
            places: How many there are, free ones included.

        Returns:
            A part of an error message, such as "your token holds 2 of 3, as many as it may".
        """
        same_token = [other for other in present if other.holder == viewer.holder]
        if self.token is not None and len(same_token) >= part_of(self.token, places):
            return f"your token holds {len(same_token)} of {places}, as many as it may"
        here = sum(other.address == viewer.address for other in same_token)
        if here >= part_of(self.address, places):
            return f"your address holds {here} of {places}, as many as it may"
        return None


EVERYTHING = Shares()
"""Everyone may take all places: where the server serves its own machine only."""


def part_of(share: float, places: int) -> int:
    """Return how many places a share is: at least one, and below 1 never all of two or more."""
    if share >= 1:
        return places
    return max(1, min(places - 1, math.ceil(share * places)))
