"""Where viewers of one stream look from, and what those share who look from nearly the same place.

Viewers of one vantage share its caches, hence the full renders, and each picture that would be the
same: a crowd that watches without moving costs little more than one viewer. Who moves away gets
caches of its own, who comes back joins again, and neither sees it happen: one goes on from the
pictures of the vantage left until there is a cache of its own, and one who joins first draws from
the other's caches for a while, until both show the same.

Knows no streams, sessions or WebRTC. Used from the event loop only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import cos
from typing import NamedTuple

import numpy as np

from models.contract.frame_state import FrameState
from server.pool.pool import CacheSlots, FrameSequence, RenderPool


class Tolerance(NamedTuple):
    """How far two views may be apart."""

    move_m: float
    turn_rad: float
    """Also of the opening angle."""


NEAR, FAR = Tolerance(0.01, 0.01), Tolerance(0.02, 0.02)
"""Viewers join within the first and part beyond the second. To a cache, being used 2 cm from where
it was made is as much as being three frames old is for somebody who walks past."""
JOIN_S = 0.5
"""So long two viewers must be near before one joins the other, or passers-by would; and so long one
who joins draws from the other caches by itself: four fades."""


@dataclass(eq=False)
class ViewGroup:
    """Caches for one place to look from."""

    line: CacheSlots
    place: FrameState
    """Seen from there; follows a viewer who is alone."""
    viewers: int = 0
    """Who share it."""
    guests: int = 0
    """Who draw from its caches for a while only."""
    apart: bool = False
    """Whether its one viewer sees another face than the stream's."""


class ViewGroups:
    """All vantages of one stream.

    Args:
        pool: Opens lines.
    """

    def __init__(self, pool: RenderPool) -> None:
        self._pool = pool
        self._open: list[ViewGroup] = []

    def near(self, place: FrameState, but: ViewGroup | None = None) -> ViewGroup | None:
        """One that is close to a place, and another one than `but`."""
        for vantage in self._open:
            if vantage is but or vantage.apart or vantage.line.lost or not vantage.viewers:
                continue
            if _alike(place, vantage.place, NEAR):
                return vantage
        return None

    def open(self, avatar_id: str, place: FrameState) -> ViewGroup:
        """Open one, for a viewer to be counted in.

        Raises:
            AvatarNotFoundError: If there is no such avatar.
        """
        vantage = ViewGroup(self._pool.open_slots(avatar_id), place)
        self._open.append(vantage)
        return vantage

    def close_unused(self, vantage: ViewGroup) -> None:
        """Close its line, if the last one has left."""
        if not vantage.viewers + vantage.guests:
            self._open.remove(vantage)
            vantage.line.close()


class GroupMembership:
    """A viewer's place among a stream's vantages.

    Args:
        vantages: Of the stream.
        avatar_id: Who is seen.
        place: Where it looks from.
        on_cache: Called after a new cache came for it.
        on_lost: Called when the device of its caches has failed.

    Raises:
        AvatarNotFoundError: If there is no such avatar.
    """

    def __init__(
        self,
        vantages: ViewGroups,
        avatar_id: str,
        place: FrameState,
        on_cache: Callable[[], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._vantages = vantages
        self._avatar_id = avatar_id
        self._on_cache, self._on_lost = on_cache, on_lost
        self._own = self._sit_down(vantages.near(place) or vantages.open(avatar_id, place))
        self._other: ViewGroup | None = None
        """What is drawn from instead of the own caches: of the vantage left, or to be joined."""
        self._joins_at: float | None = None
        """When `_other` becomes the own vantage; None where it is the one left."""
        self._met: ViewGroup | None = None
        """One that is near."""
        self._met_at = 0.0

    @property
    def line(self) -> CacheSlots:
        """What to draw from now."""
        other = self._other
        return self._own.line if other is None else other.line

    @property
    def wanted(self) -> CacheSlots:
        """What to refresh now."""
        return self.line if self._joins_at is not None else self._own.line

    @property
    def sequence(self) -> FrameSequence:
        """The viewer's pictures."""
        return self._own.line.sequence

    @property
    def viewers(self) -> int:
        """How many share the own caches."""
        return self._own.viewers

    def move(self, place: FrameState, apart: bool) -> None:
        """Look from somewhere, perhaps at another face than the stream's."""
        if self._other is not None:
            self._go_on(self._other, place, apart)
        elif self.viewers > 1:
            if apart or not _alike(place, self._own.place, FAR):
                self._part(place, apart)
        else:
            self._own.place, self._own.apart = place, apart
            self._look_for_company(place, apart)

    def close(self) -> None:
        """Give everything back."""
        if self._other is not None:
            self._say_goodbye(self._other)
        self._get_up(self._own)

    def _part(self, place: FrameState, apart: bool) -> None:
        left = self._own
        self._visit(left, None)
        self._get_up(left)
        self._own = self._sit_down(self._vantages.open(self._avatar_id, place))
        self._own.apart = apart
        self._own.line.sequence.before = left.line.sequence

    def _look_for_company(self, place: FrameState, apart: bool) -> None:
        """Begin to join another vantage, once it has been near for a while."""
        near, now = None if apart else self._vantages.near(place, but=self._own), time.monotonic()
        if near is not self._met:
            self._met, self._met_at = near, now
        if near is not None and near.line.ready is not None and now - self._met_at >= JOIN_S:
            self._visit(near, now + JOIN_S)

    def _go_on(self, other: ViewGroup, place: FrameState, apart: bool) -> None:
        """Keep away from another vantage or join it, once it is time."""
        self._own.place, self._own.apart = place, apart
        if self._joins_at is None:
            return
        if apart or not other.viewers or not _alike(place, other.place, FAR):
            self._say_goodbye(other)
        elif time.monotonic() >= self._joins_at:
            self._get_up(self._own)
            self._own = self._sit_down(other)
            self._say_goodbye(other)

    def _cache_came(self) -> None:
        if self._other is not None and self._joins_at is None and self._own.line.ready is not None:
            self._say_goodbye(self._other)
        self._on_cache()

    def _sit_down(self, vantage: ViewGroup) -> ViewGroup:
        vantage.viewers += 1
        self._listen(vantage)
        return vantage

    def _get_up(self, vantage: ViewGroup) -> None:
        vantage.viewers -= 1
        self._stop_listening(vantage)

    def _visit(self, vantage: ViewGroup, joins_at: float | None) -> None:
        vantage.guests += 1
        self._listen(vantage)
        self._other, self._joins_at, self._met = vantage, joins_at, None

    def _say_goodbye(self, vantage: ViewGroup) -> None:
        vantage.guests -= 1
        self._other = self._joins_at = None
        self._stop_listening(vantage)

    def _listen(self, vantage: ViewGroup) -> None:
        vantage.line.on_ready.append(self._cache_came)
        vantage.line.on_lost.append(self._on_lost)

    def _stop_listening(self, vantage: ViewGroup) -> None:
        if not vantage.line.closed:  # the pool may have ended first
            vantage.line.on_ready.remove(self._cache_came)
            vantage.line.on_lost.remove(self._on_lost)
        self._vantages.close_unused(vantage)


def _alike(one: FrameState, other: FrameState, tolerance: Tolerance) -> bool:
    """Whether two views are, in where they are, where to and how wide."""
    away = one.eye_position - other.eye_position
    if float(away @ away) > tolerance.move_m**2:
        return False
    if abs(one.fov_y_rad - other.fov_y_rad) > tolerance.turn_rad:
        return False
    lengths = float(np.linalg.norm(one.eye_rotation) * np.linalg.norm(other.eye_rotation))
    alike = abs(float(one.eye_rotation @ other.eye_rotation))
    return alike >= lengths * cos(tolerance.turn_rad / 2)
