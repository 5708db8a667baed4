"""View groups: viewers of one stream with nearly the same view, and frames of one size, share the
caches of one group.

Members of a group share its full renders and every frame that would be the same, so that many
viewers who do not move cost little more than one. A viewer who moves away gets caches of its own,
and one who comes close to another group joins it. Both transitions are seamless: after a split,
frames are warped from the old group's caches until the new ones are ready; before a join, they are
warped from the other group's caches until the crossfade shows only those. A viewer whose frames get
another size moves to a group of that size, and sees the old one until there is a cache of the new.

Independent of streams, sessions and WebRTC. Used from the event loop only.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from math import cos
from typing import NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from models.contract.backdrop import Backdrop
from models.contract.frame_state import FrameState
from models.contract.rendition import Rendition
from server.pool.cache_slots import CacheSlots
from server.pool.frame import FrameSequence
from server.pool.pool import RenderPool


class Tolerance(NamedTuple):
    """Largest difference of two similar views."""

    move_m: float
    turn_rad: float
    """Applies to the rotation and to the field of view."""


NEAR, FAR = Tolerance(0.01, 0.01), Tolerance(0.02, 0.02)
"""Viewers join within the first and split beyond the second. A cache used 2 cm from its view gives
the same quality as one that is three frames old for a viewer who walks."""
JOIN_S = 0.5
"""Time for which two views must be similar before a viewer begins to join, so that a passing viewer
does not; also the duration of the transition: four crossfades."""
SPLIT_RETRY_S = 1.0
"""Pause after a failed split, so that an allocation is not tried for every frame while memory is
full."""


@dataclass(eq=False)
class ViewGroup:
    """The caches for one view and the viewers who share them."""

    slots: CacheSlots
    view: FrameState
    """State seen from that view; updated while the group has one member."""
    viewers: int = 0
    """Number of members."""
    transient_viewers: int = 0
    """Number of viewers who use the caches only during a transition."""
    has_own_mesh: bool = False
    """Whether its only member sends its own mesh frames; no other may join then."""


class ViewGroups:
    """All view groups of one stream.

    Args:
        pool: Allocates the cache slots.
    """

    def __init__(self, pool: RenderPool) -> None:
        self._pool = pool
        self._open: list[ViewGroup] = []

    def find_similar(
        self, size: int, view: FrameState, exclude: ViewGroup | None = None
    ) -> ViewGroup | None:
        """Return a group other than `exclude` whose view is similar; None if there is none.

        Args:
            size: Rows of its frames.
            view: The view.
            exclude: A group that is not returned.
        """
        for group in self._open:
            if group is exclude or group.has_own_mesh or not group.viewers:
                continue
            if group.slots.rendition.size != size:
                continue
            # Its caches are no longer refreshed; the viewer gets others on a working device.
            if group.slots.device_failed:
                continue
            if _similar(view, group.view, NEAR):
                return group
        return None

    def open(self, rendition: Rendition, view: FrameState) -> ViewGroup:
        """Open a group without members.

        Args:
            rendition: What its caches are of.
            view: Its view.

        Raises:
            AvatarNotFoundError: If there is no such avatar.
            PoolBusyError: If there is no memory for the caches.
        """
        group = ViewGroup(self._pool.open_slots(*rendition), view)
        self._open.append(group)
        return group

    def close_if_unused(self, group: ViewGroup) -> None:
        """Close a group and its cache slots if they are unused."""
        if not group.viewers + group.transient_viewers:
            self._open.remove(group)
            group.slots.close()


class GroupMembership:
    """A viewer's membership in one of the view groups of a stream.

    Args:
        groups: The groups of the stream.
        rendition: The avatar of the stream, and the size of the viewer's frames.
        view: The viewer's first view.
        on_cache: Called after each new cache of the group.
        on_device_failed: Called if the device of the caches has failed.
        backdrop: What is behind the head in the viewer's frames; None for the avatar's background.
            Viewers with different ones share caches, but no frames.

    Raises:
        AvatarNotFoundError: If there is no such avatar.
        PoolBusyError: If there is no memory for the caches.
    """

    def __init__(
        self,
        groups: ViewGroups,
        rendition: Rendition,
        view: FrameState,
        on_cache: Callable[[], None],
        on_device_failed: Callable[[], None],
        backdrop: Backdrop | None = None,
    ) -> None:
        self._groups = groups
        self._rendition = rendition
        self._on_cache, self._on_device_failed = on_cache, on_device_failed
        self._backdrop = backdrop
        self._sequences: WeakKeyDictionary[ViewGroup, FrameSequence] = WeakKeyDictionary()
        """Sequences of the viewer's group, also after it is closed, and of a transition."""
        similar = groups.find_similar(rendition.size, view)
        self._group = self._join(similar or groups.open(rendition, view))
        self._transition: ViewGroup | None = None
        """During a transition, the group to warp from: the one left, or the one to be joined."""
        self._joins_at: float | None = None
        """When the viewer joins `_transition`; None after a split."""
        self._candidate: ViewGroup | None = None
        """Another group whose view is similar."""
        self._candidate_since = 0.0
        self._split_after = float("-inf")
        """When a split may be tried again after one that failed."""
        self._split_failed = False
        """Whether the last attempt to leave a group whose view is another one has failed."""

    @property
    def slots(self) -> CacheSlots:
        """The caches to warp from."""
        transition = self._transition
        return self._group.slots if transition is None else transition.slots

    @property
    def refresh_slots(self) -> CacheSlots:
        """The caches to refresh."""
        return self.slots if self._joins_at is not None else self._group.slots

    @property
    def sequence(self) -> FrameSequence:
        """The frame sequence of the viewer."""
        transition, group = self._transition, self._group
        # Frames of a sequence are of one size, because a crossfade is.
        if transition is not None and transition.slots.rendition != group.slots.rendition:
            group = transition
        return self._sequences[group]

    @property
    def size(self) -> int:
        """Rows and columns of the viewer's frames."""
        return self.slots.rendition.size

    @property
    def viewers(self) -> int:
        """Number of members of the viewer's group."""
        return self._group.viewers

    def resize(self, size: int) -> None:
        """Request frames of another size, used once `update` has a cache of that size."""
        self._rendition = self._rendition._replace(size=size)

    @property
    def must_move(self) -> bool:
        """Whether `update` is due without a change: for another size, or to repeat a split."""
        return self._must_resize or (
            self._split_failed and self._transition is None and self._may_split
        )

    @property
    def _must_resize(self) -> bool:
        moved = self._group.slots.rendition == self._rendition
        return not moved and self._transition is None and self._may_split

    @property
    def _may_split(self) -> bool:
        return time.monotonic() >= self._split_after

    def update(self, view: FrameState, has_own_mesh: bool) -> None:
        """Split from the group, join another one or continue a transition, as the view requires.

        Args:
            view: The viewer's newest state and view.
            has_own_mesh: Whether the viewer sends its own mesh frames.

        Raises:
            PoolBusyError: If there is no memory to split. The viewer remains a member, and a later
                call tries again, at the earliest after `SPLIT_RETRY_S`.
        """
        if self._transition is not None:
            self._continue_transition(self._transition, view, has_own_mesh)
        elif self._must_resize:
            self._change_size(view, has_own_mesh)
        elif self.viewers > 1:
            # With a wider tolerance than for a join, because a viewer at the limit would split and
            # join repeatedly.
            far = has_own_mesh or not _similar(view, self._group.view, FAR)
            self._split_failed = self._split_failed and far
            if far and self._may_split:
                self._split(view, has_own_mesh)
        else:
            self._split_failed = False
            self._group.view, self._group.has_own_mesh = view, has_own_mesh
            self._consider_join(view, has_own_mesh)

    def close(self) -> None:
        """Leave the group and end a transition, each even if the other fails."""
        with ExitStack() as steps:
            steps.callback(self._leave, self._group)
            if self._transition is not None:
                steps.callback(self._end_transition, self._transition)

    def _split(self, view: FrameState, has_own_mesh: bool) -> None:
        """Leave the group for a new one, and warp from the old caches until it has its own."""
        left = self._group
        self._split_failed = True
        self._move_to(self._open(view, has_own_mesh))
        self._split_failed = False
        self.sequence.previous = self._sequences[left]

    def _change_size(self, view: FrameState, has_own_mesh: bool) -> None:
        """Leave the group for one of another size: that of a similar view, or a new one."""
        self._move_to(self._similar(view, has_own_mesh) or self._open(view, has_own_mesh))
        if self._transition is not None and self._group.slots.ready is not None:
            self._end_transition(self._transition)

    def _similar(self, view: FrameState, has_own_mesh: bool) -> ViewGroup | None:
        """Return another group to join, of the viewer's size and with a similar view."""
        if has_own_mesh:
            return None
        return self._groups.find_similar(self._rendition.size, view, exclude=self._group)

    def _open(self, view: FrameState, has_own_mesh: bool) -> ViewGroup:
        self._split_after = time.monotonic() + SPLIT_RETRY_S
        opened = self._groups.open(self._rendition, view)
        opened.has_own_mesh = has_own_mesh
        return opened

    def _move_to(self, group: ViewGroup) -> None:
        """Leave the group for another one, and warp from the old caches until that has its own."""
        left = self._group
        # Before leaving: a group without members and transients is closed.
        self._begin_transition(left, None)
        self._leave(left)
        self._group = self._join(group)

    def _consider_join(self, view: FrameState, has_own_mesh: bool) -> None:
        """Begin to join another group whose view has been similar for `JOIN_S`."""
        similar = self._similar(view, has_own_mesh)
        now = time.monotonic()
        if similar is not self._candidate:
            self._candidate, self._candidate_since = similar, now
        # Without a cache there is nothing to warp the transition from.
        if similar is None or similar.slots.ready is None:
            return
        if now - self._candidate_since >= JOIN_S:
            self._begin_transition(similar, now + JOIN_S)

    def _continue_transition(self, other: ViewGroup, view: FrameState, has_own_mesh: bool) -> None:
        """Join the other group after the transition, or stay if the view has moved away again."""
        if self.viewers == 1:
            self._group.view, self._group.has_own_mesh = view, has_own_mesh
        if self._joins_at is None:
            return
        if has_own_mesh or not other.viewers or not _similar(view, other.view, FAR):
            self._end_transition(other)
        elif time.monotonic() >= self._joins_at:
            # The other group is still subscribed as a transient one, so it cannot be closed in
            # between.
            self._leave(self._group)
            self._group = self._join(other)
            self._end_transition(other)

    def _on_ready(self) -> None:
        transition, splitting = self._transition, self._joins_at is None
        if transition is not None and splitting and self._group.slots.ready is not None:
            self._end_transition(transition)
        self._on_cache()

    def _join(self, group: ViewGroup) -> ViewGroup:
        group.viewers += 1
        self._subscribe(group)
        return group

    def _leave(self, group: ViewGroup) -> None:
        group.viewers -= 1
        self._unsubscribe(group)

    def _begin_transition(self, group: ViewGroup, joins_at: float | None) -> None:
        group.transient_viewers += 1
        self._subscribe(group)
        self._transition, self._joins_at, self._candidate = group, joins_at, None

    def _end_transition(self, group: ViewGroup) -> None:
        group.transient_viewers -= 1
        self._transition = self._joins_at = None
        self._unsubscribe(group)

    def _subscribe(self, group: ViewGroup) -> None:
        self._sequences[group] = group.slots.use_sequence(self._backdrop)
        group.slots.on_ready.append(self._on_ready)
        group.slots.on_device_failed.append(self._on_device_failed)

    def _unsubscribe(self, group: ViewGroup) -> None:
        if not group.slots.closed:  # the pool may have been closed first
            group.slots.release_sequence(self._sequences[group])
            group.slots.on_ready.remove(self._on_ready)
            group.slots.on_device_failed.remove(self._on_device_failed)
        self._groups.close_if_unused(group)


def _similar(one: FrameState, other: FrameState, tolerance: Tolerance) -> bool:
    """Compare position, rotation and field of view of two views."""
    offset = one.eye_position - other.eye_position
    if float(offset @ offset) > tolerance.move_m**2:
        return False
    if abs(one.fov_y_rad - other.fov_y_rad) > tolerance.turn_rad:
        return False
    # |q1 . q2| is the cosine of half the angle between two unit quaternions.
    lengths = float(np.linalg.norm(one.eye_rotation) * np.linalg.norm(other.eye_rotation))
    cosine = abs(float(one.eye_rotation @ other.eye_rotation))
    return cosine >= lengths * cos(tolerance.turn_rad / 2)
