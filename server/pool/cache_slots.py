"""The cache slots of a viewer: three caches, filled by workers and read by the warp."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from models.contract.backdrop import Backdrop
from models.contract.frame_state import FrameState
from models.contract.rendition import Rendition
from server.pool.frame import CacheView, FrameSequence, Warping
from server.pool.interface import ServerMemory
from server.pool.slot_usage import SlotUsage
from server.protocol.states import FrameInputs

_RETRY_PAUSE_S = 1.0
"""Pause after two workers in a row died in refreshes of the same slots. Doubles with each further
death, so that one viewer's state cannot take the workers away from all others."""
_MAX_RETRY_PAUSE_S = 30.0  # as `Timeouts.max_backoff_s`

Sample = Callable[[float], FrameState]
"""Returns the state that is expected so many seconds after the call, from the newest inputs."""


@dataclass(frozen=True, eq=False)
class Refresh:
    """A refresh in progress."""

    sample: Sample
    slot: int
    state: FrameState
    made_at: float


@dataclass(eq=False)
class _UsedSequence:
    """The sequence of frames over one backdrop, and the number of viewers who use it."""

    sequence: FrameSequence
    users: int = 0


class CacheSlots:
    """Triple-buffered caches with at most one refresh in progress and one pending request.

    Created by `RenderPool.open_slots`. Only `reading` and `ready` are thread-safe; everything else
    belongs to the event loop.

    Args:
        slots_id: Identifies the slots in messages to workers.
        rendition: What the caches are of.
        device: The device that holds the memory.
        memory: The memory of the slots, closed by this object.
        changed: Called when a refresh may have become possible, and by `close`.
        submit: Queues a warp on that device, see `WarpDevice.submit`.
        close_sequence: Drops the state of a sequence on that device.
    """

    def __init__(
        self,
        slots_id: int,
        rendition: Rendition,
        device: str,
        memory: ServerMemory,
        changed: Callable[[CacheSlots], None],
        submit: Submit,
        close_sequence: Callable[[FrameSequence], None],
    ) -> None:
        self.id = slots_id
        self.rendition = rendition
        self.device = device
        self.memory = memory
        self.sequence = FrameSequence()
        """The frames warped from these caches over the avatar's background."""
        self._over: dict[Backdrop, _UsedSequence] = {}
        self.on_ready: list[Callable[[], None]] = []
        """Called after each new cache. Callbacks must be quick and must not raise."""
        self.on_device_failed: list[Callable[[], None]] = []
        """Called once the device has failed; the owner of the slots then closes them."""
        self.failed_refreshes = 0
        """Number of refreshes whose state the renderer refused."""
        self.closed = False
        self.device_failed = False
        self.exports = 0
        """Number of handles that are not yet sent to workers; no refresh begins before they are."""
        self.lost_frames = 0
        """Number of device processes in a row that ended while they made a frame of these slots."""
        self._changed, self._submit, self._close_sequence = changed, submit, close_sequence
        self._usage = SlotUsage()
        self._views: dict[int, CacheView] = {}
        self._pending: Sample | None = None
        self._in_progress: Refresh | None = None
        self._refresh_s = 0.0
        """Duration of the last refresh."""
        self._worker_deaths = 0
        """Number of workers in a row that died during a refresh of these slots."""
        self._paused_until = float("-inf")
        self._freed = False

    @property
    def ready(self) -> CacheView | None:
        """The newest finished cache; None before the first."""
        newest = self._usage.newest
        return None if newest is None else self._views[newest]

    @property
    def generation(self) -> int:
        """Number of finished caches."""
        ready = self.ready
        return ready.generation if ready else 0

    def request(self, sample: Sample) -> None:
        """Request a cache of the state that `sample` returns once a worker is free.

        It is asked for the state expected after the duration of a refresh, when the cache is first
        used. Replaces a pending request.
        """
        if self.closed:
            return
        self._pending = sample
        if self.can_refresh:
            self._changed(self)

    def use_sequence(self, backdrop: Backdrop | None) -> FrameSequence:
        """Return the sequence of frames over a backdrop, the same for all viewers.

        Each call needs one of `release_sequence`: viewers may ask for any number of colours, and
        the crossfade of a sequence holds the memory of a cache.
        """
        if backdrop is None:
            return self.sequence
        used = self._over.get(backdrop)
        if used is None:
            used = self._over[backdrop] = _UsedSequence(FrameSequence(backdrop=backdrop))
        used.users += 1
        return used.sequence

    def release_sequence(self, sequence: FrameSequence) -> None:
        """Drop a sequence of `use_sequence`, if it has no other users."""
        if sequence.backdrop is None:  # kept until these slots are closed
            return
        used = self._over[sequence.backdrop]
        used.users -= 1
        if not used.users:
            del self._over[sequence.backdrop]
            self._close_sequence(sequence)

    def warp(self, sequence: FrameSequence, sample: Callable[[], FrameInputs]) -> Warping:
        """Warp the newest cache to the newest inputs.

        Args:
            sequence: The sequence that the frame belongs to, usually `self.sequence`.
            sample: Returns the newest inputs; thread-safe. The frame shows the newest inputs when
                the warp begins, if `Warping.inputs_changed` is called at each change.

        Returns:
            The frame, with the stages `queue`, `raster` and `warp`; None if there is no cache or
            the device has failed. It raises RenderError if the renderer refuses the state.
        """
        return self._submit(self, sequence, sample)

    def unique_generation(self, cache: CacheView) -> int:
        """Return a number of a cache among all slots, because a sequence may move between them."""
        # 32 bits for the caches of one viewer, of which there are at most some 30 a second.
        return (self.id << 32) + cache.generation

    def pin(self) -> CacheView | None:
        """Protect the newest cache from being overwritten until `unpin`; None before the first.

        Thread-safe.
        """
        pinned = self._usage.pin_newest()
        return None if pinned is None else self._views[pinned]

    def unpin(self, cache: CacheView) -> None:
        """Undo one `pin`. If `needs_resume` is true then, the event loop must call `resume`.

        Thread-safe.
        """
        self._usage.unpin(cache.slot)

    @contextmanager
    def reading(self) -> Iterator[CacheView | None]:
        """Pin the newest cache for a while; see `pin` and `unpin`."""
        cache = self.pin()
        try:
            yield cache
        finally:
            if cache is not None:
                self.unpin(cache)

    @property
    def needs_resume(self) -> bool:
        """Whether a refresh or `close` may have waited for a reader to finish."""
        return self.closed or (self._pending is not None and self._in_progress is None)

    def resume(self) -> None:
        """Continue what a reader has blocked: start the pending refresh or free the memory."""
        if self.closed:
            self._free_if_unused()
        elif self.can_refresh:
            self._changed(self)

    def fail_device(self) -> None:
        """Notify the owner that the device has failed."""
        self.device_failed = True
        for callback in tuple(self.on_device_failed):
            callback()

    def close(self) -> None:
        """Drop the pending request, and free the memory once no worker or warp uses it."""
        if self.closed:
            return
        self.closed = True
        self._pending = None
        self.on_ready.clear()
        self.on_device_failed.clear()
        for sequence in (self.sequence, *(used.sequence for used in self._over.values())):
            self._close_sequence(sequence)
        self._changed(self)
        self._free_if_unused()

    @property
    def can_refresh(self) -> bool:
        """Whether a request is pending, a slot is free for it and refreshes are not paused."""
        if self._pending is None or self._in_progress is not None or self.exports:
            return False
        return self._usage.can_write and time.monotonic() >= self._paused_until

    def begin_refresh(self) -> Refresh:
        """Start the pending request and reserve a slot for it. Requires `can_refresh`."""
        sample, slot = self._pending, self._usage.begin_write()
        assert sample is not None
        assert slot is not None
        self._pending = None
        # Before sampling, so that the cache never claims to be newer than its state.
        made_at = time.monotonic()
        self._in_progress = Refresh(sample, slot, sample(self._refresh_s), made_at)
        return self._in_progress

    def finish_refresh(self) -> None:
        """Make the cache of the refresh in progress the newest one."""
        refresh = self._in_progress
        assert refresh is not None
        self._in_progress = None
        self._refresh_s = time.monotonic() - refresh.made_at
        self._worker_deaths = 0
        # Before the slot becomes the newest: from then on the warp thread looks its view up.
        self._views[refresh.slot] = CacheView(
            self.generation + 1, refresh.made_at, refresh.state, refresh.slot
        )
        self._usage.finish_write()
        for callback in tuple(self.on_ready):
            callback()
        self.resume()

    def fail_refresh(self) -> None:
        """Abandon the refresh in progress because the renderer refused its state."""
        self.failed_refreshes += 1
        self._in_progress = None
        self._usage.abort_write()
        self.resume()

    def retry_refresh(self) -> float:
        """Repeat the refresh in progress after its worker died, unless a newer one is pending.

        Returns:
            The pause before the next attempt, seconds; the caller must then call `resume`.
        """
        refresh = self._in_progress
        assert refresh is not None
        self._in_progress = None
        self._usage.abort_write()
        if self._pending is None and not self.closed:
            self._pending = refresh.sample
        self._worker_deaths += 1
        pause_s = _pause_s(self._worker_deaths)
        self._paused_until = time.monotonic() + pause_s
        self.resume()
        return pause_s

    def _free_if_unused(self) -> None:
        if not self._freed and self._usage.retire():
            self._freed = True
            self._views.clear()
            self.memory.close()


def _pause_s(deaths: int) -> float:
    return 0.0 if deaths < 2 else min(_RETRY_PAUSE_S * 2.0 ** (deaths - 2), _MAX_RETRY_PAUSE_S)


Submit = Callable[[CacheSlots, FrameSequence, Callable[[], FrameInputs]], Warping]
"""Queues a warp of some slots."""
