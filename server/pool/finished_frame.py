"""From what a device has made to the frame that a session gets; the same for all carriers."""

from __future__ import annotations

from models.contract.images import Nv12Image
from server.pool.cache_slots import CacheSlots, CacheView
from server.pool.frame import Frame
from server.protocol.states import FrameInputs

_MEAN_WEIGHT = 0.05
"""Weight of the newest value in the moving mean of warp times: about one second of one viewer."""


def new_frame(
    inputs: FrameInputs,
    cache: CacheView,
    nv12: Nv12Image,
    *,
    fading: bool,
    queue_ms: float,
    raster_ms: float,
    warp_ms: float,
) -> Frame:
    """Return the record of a frame that was warped."""
    stages_ms = {"queue": queue_ms, "raster": raster_ms, "warp": warp_ms}
    return Frame(inputs, cache, nv12, fading, stages_ms)


def same_frame(newest: Frame, inputs: FrameInputs, queue_ms: float) -> Frame:
    """Return the record of a frame that shows the newest image of its sequence again."""
    stages_ms = {"queue": queue_ms, "raster": 0.0, "warp": 0.0}
    return Frame(inputs, newest.cache, newest.nv12, newest.fading, stages_ms)


def mean_ms(mean: float | None, newest_ms: float) -> float:
    """Return the moving mean of warp times after one more."""
    return newest_ms if mean is None else mean + _MEAN_WEIGHT * (newest_ms - mean)


def unique_generation(slots: CacheSlots, cache: CacheView) -> int:
    """Return a number of a cache among all slots, because a sequence may move between them."""
    return (slots.id << 32) + cache.generation
