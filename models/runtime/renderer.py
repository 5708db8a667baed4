"""Renders one avatar on one device: full renders that fill caches, and warps of caches.

Frames of each size have a renderer of their own; all share the networks.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence

import torch

from models.avatar.folder import Avatar
from models.contract.backdrop import TRANSPARENT, Backdrop
from models.contract.frame_state import FrameState, default_state
from models.contract.images import RgbImage, WarpedImage, WarpedNv12
from models.runtime.base import Cache, TensorSpec
from models.runtime.build_runtime import Kernels, build_runtime
from models.runtime.crossfade import Crossfade
from models.runtime.deferred_crossfade import DeferredCrossfade


class CachedRenderer:
    """Renders an avatar on a device.

    Used by one thread at a time. Caches may be exchanged between renderers of the same avatar.

    Args:
        avatar: The avatar.
        device: `cpu`, `cuda`, `cuda:1`, ...
        warp_threads: Number of threads that render one warp together; on CPUs only.
        kernels: What warps; on GPUs only.
    """

    def __init__(
        self,
        avatar: Avatar,
        device: str = "cpu",
        warp_threads: int = 1,
        kernels: Kernels = "auto",
    ) -> None:
        self.manifest = avatar.manifest
        self.device = torch.device(device)
        self._runtime = build_runtime(avatar, self.device, warp_threads, kernels)

    def resized(self, size: int) -> CachedRenderer:
        """Return a renderer of the same avatar whose caches and frames have `size` rows.

        Both share the networks, and must be used by the same thread.

        Args:
            size: Rows and columns, a multiple of 32.
        """
        other = copy.copy(self)
        other._runtime = self._runtime.resized(size)
        return other

    @property
    def size(self) -> int:
        """Rows and columns of its frames."""
        return self._runtime.stage.size

    @property
    def cache_layout(self) -> tuple[TensorSpec, ...]:
        """The tensors of a cache."""
        return self._runtime.layout

    def cache_layout_at(self, size: int) -> tuple[TensorSpec, ...]:
        """Return the tensors of a cache of `resized(size)`, which need not be built."""
        return self._runtime.layout_at(size)

    def allocate_cache(self) -> Cache:
        """Allocate the tensors of one cache, zeroed, on this renderer's device."""
        return {
            name: torch.zeros(shape, dtype=dtype, device=self.device)
            for name, shape, dtype, _ in self.cache_layout
        }

    def crossfade(self) -> Crossfade:
        """Return a crossfade between the caches of one viewer."""
        if self._runtime.mixes:
            return DeferredCrossfade(self.allocate_cache(), self.allocate_cache(), self._runtime)
        return Crossfade(self.allocate_cache(), self._runtime)

    def refresh(self, state: FrameState, cache: Cache) -> None:
        """Render `state` in full and store its features in `cache`, in place.

        Raises:
            HeadError: If the state does not fit the avatar's head.
        """
        self._runtime.refresh(state, cache)

    def full(
        self, state: FrameState, size: int | None = None, backdrop: Backdrop | None = None
    ) -> RgbImage:
        """Render `state` in full, (H, W, 3) RGB.

        Args:
            state: What to render.
            size: Rows and columns, a multiple of 32; None for the avatar's resolution.
            backdrop: What is behind the head: over nothing the image is (H, W, 4), its colours not
                multiplied with its coverage. None for the avatar's background.

        Raises:
            HeadError: If the state does not fit the avatar's head.
        """
        return self._runtime.full(state, size, backdrop)

    def warp(self, state: FrameState, cache: Cache) -> WarpedImage:
        """Warp the cache of an older state to `state`.

        Raises:
            HeadError: If the state does not fit the avatar's head.
        """
        return self._runtime.warp(state, cache)

    def warp_nv12(
        self, state: FrameState, cache: Cache, backdrop: Backdrop | None = None
    ) -> WarpedNv12:
        """Warp the cache of an older state to `state`, to NV12: what `warp` returns, converted.

        Args:
            state: What to show.
            cache: The cache.
            backdrop: What is behind the head; over nothing the frame is layered, see
                `contract.images.layered_rows`. None for the avatar's background.

        Raises:
            HeadError: If the state does not fit the avatar's head.
        """
        return self._runtime.warp_nv12(state, cache, backdrop)

    @property
    def largest_batch(self) -> int:
        """Number of frames that one call of `warp_nv12_batch` renders faster than one by one."""
        return self._runtime.largest_batch

    def warp_nv12_batch(self, frames: Sequence[tuple[FrameState, Cache]]) -> list[WarpedNv12]:
        """Warp 1 to `largest_batch` caches, of any viewers, each as `warp_nv12` does.

        Raises:
            HeadError: If a state does not fit the avatar's head; then nothing is rendered.
        """
        return self._runtime.warp_nv12_batch(frames)

    def warm_up_batches(self) -> None:
        """Run a batch of each size once, as `warm_up` does for other operations."""
        if self.largest_batch == 1:
            return
        state, cache = default_state(self.manifest), self.allocate_cache()
        self.refresh(state, cache)
        for size in range(2, self.largest_batch + 1):
            self.warp_nv12_batch([(state, cache)] * size)

    def warm_up(self) -> None:
        """Run each operation once, so that no later frame waits for compilation or set-up."""
        state, cache = default_state(self.manifest), self.allocate_cache()
        # In this order: the warp reads what the refresh has stored.
        self.refresh(state, cache)
        self.warp(state, cache)
        self.warp_nv12(state, cache)
        for backdrop in (TRANSPARENT, Backdrop((0, 0, 0))):
            self.warp_nv12(state, cache, backdrop)
        self.full(state)


class SizedRenderers:
    """Builds renderers of other sizes at their first use, and drops them after the last.

    A size is used by a number of caches: `begin_use` and `end_use` come from the thread that
    allocates them, `at` from the one that renders, between both.

    Args:
        own: The renderer of the avatar's resolution, which is kept.
    """

    def __init__(self, own: CachedRenderer) -> None:
        self.own = own
        self._others: dict[int, CachedRenderer] = {}
        self._users: Counter[int] = Counter()

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes for which there is a renderer at present."""
        return (self.own.size, *self._others)

    def at(self, size: int) -> CachedRenderer:
        """Return the renderer whose frames have `size` rows, a multiple of 32."""
        if size == self.own.size:
            return self.own
        found = self._others.get(size)
        if found is None:
            found = self._others[size] = self.own.resized(size)
        return found

    def begin_use(self, size: int) -> None:
        """Count a user of a size."""
        self._users[size] += 1

    def end_use(self, size: int) -> None:
        """Drop the renderer of a size that has no users any more: its buffers may be large."""
        self._users[size] -= 1
        if not self._users[size]:
            self._others.pop(size, None)
