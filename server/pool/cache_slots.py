"""A cache line: the caches of one viewer, refreshed by workers and read by the warp."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models.contract.frame_state import FrameState
from server.pool.interface import Slot, SlotMemory
from server.pool.slot_memory import SlotBook

_PAUSE_S = 1.0
"""Once a line's refreshes have cost two workers in a row; doubles with each further one, so that
one viewer's state cannot keep the workers from all others."""
_LONGEST_PAUSE_S = 30.0

Sample = Callable[[], FrameState]
"""Gives the newest state at the moment it is called."""


@dataclass(frozen=True, eq=False)
class CacheView:
    """A finished cache."""

    generation: int
    """1 for a line's first cache, counting up."""
    made_at: float
    """When the state it was made from was current: `time.monotonic()`, seconds."""
    state: FrameState
    slot: Slot
    """Its arrays; they may be read only inside `CacheSlots.reading`."""

    @property
    def age_ms(self) -> float:
        """Time since the state it was made from was current."""
        return (time.monotonic() - self.made_at) * 1e3


class FrameSequence:
    """One sequence of pictures; names what the warp keeps from each for the next.

    Args:
        before: The sequence this one goes on from, so that no viewer sees where it begins.
    """

    def __init__(self, before: FrameSequence | None = None) -> None:
        self.before = before
        self.closed = False


@dataclass(frozen=True, eq=False)
class Refresh:
    """A refresh that is under way."""

    sample: Sample
    slot: int
    state: FrameState
    made_at: float


class CacheSlots:
    """Three slots, at most one refresh under way, and at most one request waiting.

    Made by `RenderPool.open_slots`. All but `reading` and `ready` belongs to the event loop.

    Args:
        line_id: Names the line to the workers.
        avatar_id: Whose caches these are.
        device: Where the slots lie.
        memory: The slots; the line closes them.
        changed: Called when the line may have become able to take its turn.
    """

    def __init__(
        self,
        slots_id: int,
        avatar_id: str,
        device: str,
        memory: SlotMemory,
        changed: Callable[[CacheSlots], None],
    ) -> None:
        self.id = slots_id
        self.avatar_id = avatar_id
        self.device = device
        self.memory = memory
        self.sequence = FrameSequence()
        """The pictures drawn from it, where it is not said otherwise."""
        self.on_ready: list[Callable[[], None]] = []
        """Called after a new cache was swapped in. Must be quick and must not raise."""
        self.on_lost: list[Callable[[], None]] = []
        """Called once its device is of no more use; whoever has the line closes it."""
        self.failed = 0
        """Refreshes the renderer refused."""
        self.closed = False
        self.lost = False
        """Whether its device is of no more use."""
        self._changed = changed
        self._book = SlotBook()
        self._views: dict[int, CacheView] = {}
        self._waiting: Sample | None = None
        self._under_way: Refresh | None = None
        self._deaths = 0
        """Workers in a row that died of its refreshes."""
        self._paused_until = float("-inf")
        self._freed = False

    @property
    def ready(self) -> CacheView | None:
        """The newest finished cache."""
        newest = self._book.newest
        return None if newest is None else self._views[newest]

    @property
    def generation(self) -> int:
        """How many caches have been swapped in."""
        ready = self.ready
        return ready.generation if ready else 0

    def request(self, sample: Sample) -> None:
        """Request a cache of the state that `sample` returns once a worker is free for it.

        A request that is still waiting is replaced.
        """
        if self.closed:
            return
        self._waiting = sample
        if self.can_refresh:
            self._changed(self)

    @contextmanager
    def reading(self) -> Iterator[CacheView | None]:
        """Keep the newest cache from being overwritten while it is read; None while there is none.

        May be used from any thread; where `needs_settling` afterwards, the event loop must call
        `settle`.
        """
        pinned = self._book.pin_newest()
        if pinned is None:
            yield None
            return
        try:
            yield self._views[pinned]
        finally:
            self._book.unpin(pinned)

    @property
    def needs_settling(self) -> bool:
        """Whether something may have waited for a reader to finish."""
        return self.closed or (self._waiting is not None and self._under_way is None)

    def settle(self) -> None:
        """Go on with what a reader held up: a refresh without a slot, or freeing the memory."""
        if self.closed:
            self._free_if_unused()
        elif self.can_refresh:
            self._changed(self)

    def lose(self) -> None:
        """Tell whoever has the line that its device is of no more use."""
        self.lost = True
        for callback in tuple(self.on_lost):
            callback()

    def close(self) -> None:
        """Drop what is waiting, and free the slots as soon as nobody uses them."""
        if self.closed:
            return
        self.closed = True
        self._waiting = None
        self.on_ready.clear()
        self.on_lost.clear()
        self._changed(self)
        self._free_if_unused()

    @property
    def can_refresh(self) -> bool:
        """Whether a request is waiting, a slot is free for it, and the line is not paused."""
        if self._waiting is None or self._under_way is not None:
            return False
        return self._book.can_write and time.monotonic() >= self._paused_until

    def begin_refresh(self) -> Refresh:
        """Take the waiting request and a slot for it. Only where `can_refresh`."""
        sample, slot = self._waiting, self._book.begin_write()
        assert sample is not None
        assert slot is not None
        self._waiting = None
        made_at = time.monotonic()  # before sampling: never claims to be newer than its state
        self._under_way = Refresh(sample, slot, sample(), made_at)
        return self._under_way

    def finish_refresh(self) -> None:
        """Swap in the cache that was under way."""
        refresh = self._under_way
        assert refresh is not None
        self._under_way = None
        self._deaths = 0
        self._views[refresh.slot] = CacheView(
            self.generation + 1, refresh.made_at, refresh.state, self.memory.slot(refresh.slot)
        )
        self._book.finish_write()
        for callback in tuple(self.on_ready):
            callback()
        self.settle()

    def fail_refresh(self) -> None:
        """Give up the refresh under way: the renderer refused its state."""
        self.failed += 1
        self._under_way = None
        self._book.abort_write()
        self.settle()

    def retry_refresh(self) -> float:
        """Put the refresh under way back: its worker died. A newer request goes before it.

        Returns:
            How long the line is paused, seconds; `settle` must be called then.
        """
        refresh = self._under_way
        assert refresh is not None
        self._under_way = None
        self._book.abort_write()
        if self._waiting is None and not self.closed:
            self._waiting = refresh.sample
        self._deaths += 1
        pause_s = _pause_s(self._deaths)
        self._paused_until = time.monotonic() + pause_s
        self.settle()
        return pause_s

    def _free_if_unused(self) -> None:
        if not self._freed and self._book.retire():
            self._freed = True
            self._views.clear()
            self.memory.close()


def _pause_s(deaths: int) -> float:
    return 0.0 if deaths < 2 else min(_PAUSE_S * 2.0 ** (deaths - 2), _LONGEST_PAUSE_S)
