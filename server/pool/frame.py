"""The record of one frame, which collects its stage times between the warp and the packet."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.contract.images import Nv12Image
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
    nv12: Nv12Image
    """(3 H/2, W) uint8; viewers with the same view may share the array."""
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
