"""The record of one frame, which collects its stage times between the warp and the packet."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

from models.contract.images import RgbImage
from server.pool.cache_slots import CacheView
from server.protocol.states import FrameInputs


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
    rgb: RgbImage
    """(H, W, 3) uint8; viewers with the same view may share the array."""
    fading: bool
    """Whether the crossfade to that cache is still in progress, so that the next frame differs."""
    stages_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds by stage: `wait` (from the newest input change to the warp request: pacing and
    the track), `queue` (other viewers' warps), `raster`, `warp`, `hand_over` (between threads),
    `encode` (RGB to YUV conversion included)."""
    cache_age_ms: float = 0.0
    """Age of the state of the cache; 0 while that state is still current."""
    repeated: bool = False
    """Whether it is the previous frame again, because nothing has changed."""
    still: int | None = None
    """Number of the refined still that shows the same; None without one."""
    rendered_at: float | None = None
    """When the session received it; all `*_at` are `time.monotonic()`, seconds."""
    pts: int = 0
    """Presentation time, in ticks of the RTP clock (90 kHz)."""
    convert_ms: float = 0.0
    """Share of `encode` spent in the conversion from RGB to YUV."""
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
