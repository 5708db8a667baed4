"""A crossfade that leaves the interpolation to the warp.

`Crossfade` interpolates all tensors of a cache in memory before each frame. A warp that reads two
caches and mixes them where it adds them (`kernels/cuda/convolve.py`) needs no pass over memory and
no launches for that; only a new cache still copies tensors.
"""

from __future__ import annotations

from torch import Tensor

from models.runtime.base import Cache
from models.runtime.crossfade import Crossfade, Mixer


class MixedCache(dict[str, Tensor]):
    """A cache, and an older one in its frame that it is still to be mixed with.

    Args:
        newer: The tensors of the cache.
        older: Those of the older one.
        share: Weight of the newer one, 0..1.
    """

    def __init__(self, newer: Cache, older: Cache, share: float) -> None:
        super().__init__(newer)
        self.older, self.share = older, share


class DeferredCrossfade(Crossfade):
    """The same mixtures as of `Crossfade`, as a `MixedCache`.

    Args:
        blended: Tensors of a cache, which the crossfade owns and changes in place.
        target: Tensors of another one.
        runtime: The runtime that the caches belong to.
    """

    def __init__(self, blended: Cache, target: Cache, runtime: Mixer) -> None:
        super().__init__(blended, runtime)
        self._target = target
        """The cache that is faded in; unused without a crossfade."""
        self._share: float | None = None
        """Weight of `_target`; none without a crossfade."""

    def copy(self) -> DeferredCrossfade:
        """Return an independent crossfade in the same state."""
        other = super().copy()
        assert isinstance(other, DeferredCrossfade)
        other._target = {name: tensor.clone() for name, tensor in self._target.items()}
        return other

    def follow(self, newest: Cache, generation: int, now_s: float) -> Cache:
        """See `Crossfade.follow`; returns a `MixedCache`."""
        blended = super().follow(newest, generation, now_s)
        if self._share is None:
            return MixedCache(blended, blended, 1.0)
        return MixedCache(self._target, blended, self._share)

    def _start(self, newest: Cache, now_s: float) -> None:
        self._settle()
        super()._start(newest, now_s)
        if self.fading:
            # A copy, because the newest cache's memory is reused before the crossfade ends.
            for name, tensor in self._target.items():
                tensor.copy_(newest[name])
            self._share = 0.0

    def _settle(self) -> None:
        """Interpolate the present mixture in memory, to fade from it."""
        if self._share is None:
            return
        if self._share >= 1:
            self._blended, self._target = self._target, self._blended
        else:
            for name in self._mixed:
                self._blended[name].lerp_(self._target[name], self._share)
        self._share = None

    def _take(self, newest: Cache, share: float) -> None:
        assert self._share is not None
        # Each step takes a share of the remaining time.
        self._share = 1 - (1 - self._share) * (1 - min(share, 1.0))
