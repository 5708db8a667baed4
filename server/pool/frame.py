"""The records of a frame: its source, its request and its result."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from itertools import count
from weakref import WeakKeyDictionary

from models.contract.backdrop import Backdrop
from models.contract.frame_state import FrameState
from models.contract.images import Nv12Image, StageTimes
from server.protocol.states import FrameInputs

_MEAN_WEIGHT = 0.05
"""Weight of the newest value in the moving mean of warp times: about one second of one viewer."""
_NOTHING_MADE: StageTimes = {"raster": 0.0, "warp": 0.0}
"""Stages of a frame that shows the previous image again."""


@dataclass(frozen=True, eq=False)
class CacheView:
    """A finished cache."""

    generation: int
    """1 for the first cache of a viewer, increasing by 1."""
    made_at: float
    """When its state was sampled: `time.monotonic()`, seconds."""
    state: FrameState
    slot: int
    """Which slot holds it; its arrays may be read only while it is pinned."""

    @property
    def age_ms(self) -> float:
        """Time since its state was sampled."""
        return (time.monotonic() - self.made_at) * 1e3


_sequence_ids = count(1)


class FrameSequence:
    """Identifies a sequence of frames; the warp thread keeps the crossfade state of each.

    Args:
        previous: The sequence whose crossfade state this one continues, so that the viewer sees
            no jump at its first frame.
        backdrop: What is behind the head in its frames; None for the avatar's background.
    """

    def __init__(
        self, previous: FrameSequence | None = None, backdrop: Backdrop | None = None
    ) -> None:
        self.id = next(_sequence_ids)
        self.backdrop = backdrop
        self.previous = previous
        self.closed = False


@dataclass(eq=False, slots=True)
class Frame:
    """One frame of one viewer. Each stage adds its result and its time.

    The warp thread creates it, the session completes it, and the transport encodes and reports it.
    Only one of them has it at a time, so it needs no lock.
    """

    inputs: FrameInputs
    """The mesh frame and view that it shows."""
    cache: CacheView
    """The newest cache that it was warped from; its arrays may have been overwritten since."""
    nv12: Nv12Image
    """(3 H/2, W) uint8; viewers with the same view may share the array. H is W, but larger over
    nothing, see `images.layered_rows`."""
    fading: bool
    """Whether the crossfade to that cache is still in progress, so that the next frame differs."""
    stages_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds by stage: `wait` (from the newest input change to the warp request: pacing and
    the track), `queue` (other viewers' warps), `raster`, `warp`, `hand_over` (between threads),
    `encode`."""
    cache_age_ms: float = 0.0
    """Age of the state of the cache; 0 while that state is still current."""
    repeated: bool = False
    """Whether it is the previous frame again, because nothing has changed."""
    still: int | None = None
    """Number of the refined still that shows the same; None without one."""
    lowered_from: int | None = None
    """Rows that the viewer's display needs, where the server is too slow for them."""
    rendered_at: float | None = None
    """When the session received it; all `*_at` are `time.monotonic()`, seconds."""
    pts: int = 0
    """Presentation time, in ticks of the RTP clock (90 kHz)."""
    encoded_at: float | None = None

    @property
    def view_seq(self) -> int | None:
        """Sequence number of the view it shows; None for the avatar's default view."""
        return self.inputs.view.seq if self.inputs.view else None

    @property
    def mesh_seq(self) -> int | None:
        """Sequence number of the mesh frame it shows; None before anything was published."""
        return self.inputs.mesh.seq if self.inputs.mesh else None

    @property
    def view_sent_at_ms(self) -> float | None:
        """The viewer's own clock when it sent that view."""
        return self.inputs.view.sent_at_ms if self.inputs.view else None

    def complete(self, requested_at: float, changed_at: float) -> None:
        """Add the stages `wait` and `hand_over` and the cache age, when the session receives it.

        Args:
            requested_at: When the session requested the warp.
            changed_at: When the newest input before that changed.
        """
        self.rendered_at = time.monotonic()
        elapsed_ms = (self.rendered_at - requested_at) * 1e3
        # What the stages of the warp thread do not account for was spent between the threads.
        in_warp_thread_ms = sum(self.stages_ms.values())
        self.stages_ms = {
            "wait": (requested_at - changed_at) * 1e3,
            **self.stages_ms,
            "hand_over": max(0.0, elapsed_ms - in_warp_thread_ms),
        }
        # An old cache of a state that has not changed since is as good as a new one.
        current = self.cache.state.same_image(self.inputs.state)
        self.cache_age_ms = 0.0 if current else self.cache.age_ms

    def repeat(self) -> Frame:
        """Return a copy to be sent again, as it still shows the newest state."""
        age_ms = self.cache.age_ms if self.cache_age_ms else 0.0
        # Without stages, so that a repeated frame does not count in the percentiles a second time.
        return replace(self, cache_age_ms=age_ms, stages_ms={}, repeated=True)


class Warping:
    """A frame that was requested; await it for the result.

    Args:
        frame: The frame, see `CacheSlots.warp`.
        inputs_changed: Called to show the newest inputs, if the warp has not begun.
    """

    def __init__(
        self, frame: asyncio.Future[Frame | None], inputs_changed: Callable[[], None]
    ) -> None:
        self.frame = frame
        self._inputs_changed = inputs_changed

    @classmethod
    def nothing(cls) -> Warping:
        """Return a request that is answered already: there is no frame."""
        frame: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()
        frame.set_result(None)
        return cls(frame, lambda: None)

    def __await__(self) -> Generator[object, None, Frame | None]:
        """Wait for the frame."""
        return self.frame.__await__()

    def inputs_changed(self) -> None:
        """Show the newest inputs if the warp has not begun; on the event loop."""
        if not self.frame.done():
            self._inputs_changed()


class NewestFrames:
    """The newest frame of each sequence of one device, and the mean of their warp times."""

    def __init__(self) -> None:
        self.warp_ms: float | None = None
        """Moving mean of the warp time; None before the first warp."""
        self._frames: WeakKeyDictionary[FrameSequence, Frame] = WeakKeyDictionary()

    def add(self, sequence: FrameSequence, frame: Frame) -> Frame:
        """Store a frame that the device has made, and return it."""
        self._frames[sequence] = frame
        newest_ms = frame.stages_ms["raster"] + frame.stages_ms["warp"]
        mean_ms = newest_ms if self.warp_ms is None else self.warp_ms
        self.warp_ms = mean_ms + _MEAN_WEIGHT * (newest_ms - mean_ms)
        return frame

    def again(
        self, sequence: FrameSequence, inputs: FrameInputs, stages_ms: StageTimes
    ) -> Frame | None:
        """Return a frame of other inputs that shows the newest image of a sequence.

        Args:
            sequence: The sequence.
            inputs: What the frame shows.
            stages_ms: Its stages so far.

        Returns:
            None if the sequence was closed meanwhile: then nobody waits for its frame.
        """
        newest = self._frames.get(sequence)
        if newest is None:
            return None
        stages = {**stages_ms, **_NOTHING_MADE}
        return Frame(inputs, newest.cache, newest.nv12, newest.fading, stages)

    def forget(self, sequence: FrameSequence) -> None:
        """Drop the frame of a sequence."""
        self._frames.pop(sequence, None)

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()
