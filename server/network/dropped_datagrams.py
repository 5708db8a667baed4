"""Counts the datagrams of viewers and publishers that this process has dropped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Reason = Literal["late", "rate", "stranger"]
"""`late`: waited too long on an overloaded server; `rate`: above the limit of one connection;
`stranger`: not from an address of the connection's peer."""

_counts: dict[Reason, int] = {"late": 0, "rate": 0, "stranger": 0}


def count_dropped(reason: Reason) -> None:
    """Count a datagram."""
    _counts[reason] += 1


def dropped_datagrams() -> Mapping[Reason, int]:
    """Return the number of dropped datagrams by reason, since the start of this process."""
    return _counts
