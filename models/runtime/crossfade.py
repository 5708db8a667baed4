"""What a warp starts from while caches change: the shown cache moves to each new one by and by.

Two full renders of almost the same moment differ a little everywhere. Swapped from one frame to the
next, that is seen as flicker wherever the picture is calm; spread over some frames it is not. The
warp is linear in what it takes of a cache up to its first ReLU, so mixing caches is mixing two
warps there, at the price of one. Before, the older one is carried to the newer one's frame.
"""

from __future__ import annotations

import copy
from typing import Protocol

import torch

from models.runtime.base import Cache, TensorSpec

FADE_S = 0.2
"""How long a new cache takes to come in fully: a viewer of a calm face sees a faster one."""
_LONGEST_STEP_S = 1 / 30
"""After a still picture, the first step is no longer than this."""


class Mixer(Protocol):
    """Knows how caches are mixed; every `Runtime` does."""

    layout: tuple[TensorSpec, ...]

    def align(self, cache: Cache, newer: Cache) -> None:
        """See `Runtime`."""


class Crossfade:
    """The cache that one stream of frames is drawn from.

    Args:
        shown: Tensors of a cache, to be kept and changed.
        runtime: Whose cache it is.
    """

    def __init__(self, shown: Cache, runtime: Mixer) -> None:
        self._shown, self._align = shown, runtime.align
        self._mixed = [spec.name for spec in runtime.layout if spec.mixes]
        self._generation: int | None = None
        self._last_s = 0.0
        self._ends_s = 0.0

    def copy(self) -> Crossfade:
        """Another that goes on from here by itself."""
        twin = copy.copy(self)
        twin._shown = {name: tensor.clone() for name, tensor in self._shown.items()}
        return twin

    @property
    def fading(self) -> bool:
        """Whether the last frame did not show its cache fully yet."""
        return self._last_s < self._ends_s

    @torch.inference_mode()
    def follow(self, newest: Cache, generation: int, now_s: float) -> Cache:
        """Move towards the newest cache.

        Args:
            newest: It; read only before this returns.
            generation: Tells one cache from another.
            now_s: When the frame to be drawn is shown; never goes back.

        Returns:
            What to draw the frame from; valid until the next call.
        """
        if self._generation is None:  # nothing to come from
            for name, tensor in self._shown.items():
                tensor.copy_(newest[name])
            self._ends_s = now_s
        elif generation != self._generation:
            self._align(self._shown, newest)
            self._last_s = max(self._last_s, now_s - _LONGEST_STEP_S)
            self._ends_s = self._last_s + FADE_S
        if self.fading:
            # Of the way that is left, so that the whole of it goes evenly.
            self._take(newest, (now_s - self._last_s) / (self._ends_s - self._last_s))
        self._generation, self._last_s = generation, now_s
        return self._shown

    def _take(self, newest: Cache, share: float) -> None:
        for name in self._mixed:
            if share >= 1:
                self._shown[name].copy_(newest[name])
            else:
                self._shown[name].lerp_(newest[name], share)
