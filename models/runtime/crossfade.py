"""Crossfades from one cache to the next, to avoid cache-swap flicker.

Two full renders of almost the same state differ a little everywhere. A swap within one frame is
visible as flicker where the image is still; spread over several frames it is not. The warp is
linear in the cache up to its first ReLU, so interpolating caches there equals interpolating two
warps, at the cost of one. Before that the older cache is reprojected to the newer one's frame.

Where caches come faster than a crossfade could end, each is so near to the one before that a swap
is invisible, while a mix of the last dozen is resampled once for each of them and lags behind: with
a cache for every frame 42.3 dB to the full render instead of 48.8 (`default`, 320x320, 60 frames
per second, a head that turns 20 degrees to each side). So a crossfade shortens with the interval of
the caches, down to none.
"""

from __future__ import annotations

import copy
from typing import Protocol

import torch

from models.runtime.base import Cache, TensorSpec

FADE_S = 0.2
"""Duration of a crossfade: shorter ones are visible on a still face."""
_LONGEST_STEP_S = 1 / 30
"""Longest first step of a crossfade, so that it does not jump after a pause without frames."""
_SWAP_INTERVAL_S = 0.035
"""Mean interval of new caches up to which they are swapped without a crossfade: two frames at 60
frames per second, and some jitter. A crossfade of only 33 ms would cost 0.6 dB there."""
_FADE_INTERVAL_S = 0.05
"""Mean interval from which on a crossfade takes `FADE_S`: three frames. Workers on a CPU rest, so
their caches are further apart."""
_INTERVAL_WEIGHT = 0.25
"""Weight of the newest interval in the mean, so that a single early cache changes nothing visible
and a dozen of them change everything."""


class Mixer(Protocol):
    """The part of `Runtime` that a crossfade needs."""

    @property
    def layout(self) -> tuple[TensorSpec, ...]:
        """See `Runtime`."""

    def align(self, cache: Cache, newer: Cache) -> None:
        """Reproject `cache` in place to the frame of `newer`, see `Runtime.align`."""


class Crossfade:
    """The blended cache of one viewer's frames.

    Args:
        blended: Tensors of a cache, which the crossfade owns and changes in place.
        runtime: The runtime that the cache belongs to.
    """

    def __init__(self, blended: Cache, runtime: Mixer) -> None:
        self._blended, self._align = blended, runtime.align
        self._mixed = [spec.name for spec in runtime.layout if spec.mixes]
        self._generation: int | None = None
        self._newest_since_s = 0.0
        self._interval_s = FADE_S
        """Moving mean of the time between new caches, each counted as `FADE_S` at most."""
        self._last_s = 0.0
        self._ends_s = 0.0

    def copy(self) -> Crossfade:
        """Return an independent crossfade in the same state."""
        # Only the tensors are changed in place, so only they need copies.
        other = copy.copy(self)
        other._blended = {name: tensor.clone() for name, tensor in self._blended.items()}
        return other

    @property
    def fading(self) -> bool:
        """Whether the last frame's cache was still blended with an older one."""
        return self._last_s < self._ends_s

    @torch.inference_mode()
    def follow(self, newest: Cache, generation: int, now_s: float) -> Cache:
        """Advance the crossfade towards the newest cache.

        Args:
            newest: The newest cache; not read after the call returns.
            generation: Identifies the cache: a new one starts a crossfade.
            now_s: Presentation time of the frame, seconds; must not decrease.

        Returns:
            The cache to warp for the frame; valid until the next call.
        """
        if generation != self._generation:
            self._start(newest, now_s)
        if self.fading:
            # The share of the time that is left: makes the whole crossfade linear.
            self._take(newest, (now_s - self._last_s) / (self._ends_s - self._last_s))
        self._generation, self._last_s = generation, now_s
        return self._blended

    def _start(self, newest: Cache, now_s: float) -> None:
        """Start the crossfade to a new cache, or swap it in at once."""
        if self._generation is not None:
            interval_s = min(now_s - self._newest_since_s, FADE_S)
            self._interval_s += _INTERVAL_WEIGHT * (interval_s - self._interval_s)
        self._newest_since_s = now_s
        duration_s = _duration_s(self._interval_s)
        if self._generation is None or not duration_s:  # nothing to fade from, or no time to
            for name, tensor in self._blended.items():
                tensor.copy_(newest[name])
            self._last_s = self._ends_s = now_s
        else:
            # Also sets the tensors that cannot be interpolated to the newest cache's.
            self._align(self._blended, newest)
            # The first step counts from the last frame, so that it shows the new cache already.
            self._last_s = max(self._last_s, now_s - _LONGEST_STEP_S)
            self._ends_s = self._last_s + duration_s

    def _take(self, newest: Cache, share: float) -> None:
        """Interpolate the blended cache by a share, 0..1 or more, towards the newest."""
        for name in self._mixed:
            # Copied at the end, because lerp would leave rounding errors of the older cache.
            if share >= 1:
                self._blended[name].copy_(newest[name])
            else:
                self._blended[name].lerp_(newest[name], share)


def _duration_s(interval_s: float) -> float:
    """Return the duration of a crossfade between caches that come at this interval."""
    share = (interval_s - _SWAP_INTERVAL_S) / (_FADE_INTERVAL_S - _SWAP_INTERVAL_S)
    return FADE_S * min(max(share, 0.0), 1.0)
