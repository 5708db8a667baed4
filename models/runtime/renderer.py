"""Renders one avatar on one device: full renders that fill caches, warps that show them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState, neutral_state
from models.contract.images import WarpedImage
from models.networks.avatar_networks import TelewarpNetworks
from models.runtime.base import Cache, Runtime, TensorSpec
from models.runtime.crossfade import Crossfade
from models.runtime.paper import PaperRuntime
from models.runtime.telewarp_cpu import TelewarpCpuRuntime
from models.runtime.telewarp_torch import TelewarpTorchRuntime


class CachedRenderer:
    """An avatar on a device. Used by one thread at a time; caches may travel between renderers.

    Args:
        avatar: What to render.
        device: `cpu`, `cuda`, `cuda:1`, ...
        warp_threads: On a CPU, how many threads share the drawing of one warp.
    """

    def __init__(self, avatar: Avatar, device: str = "cpu", warp_threads: int = 1) -> None:
        self.manifest = avatar.manifest
        self.device = torch.device(device)
        self._runtime = _build_runtime(avatar, self.device, warp_threads)

    @property
    def cache_layout(self) -> tuple[TensorSpec, ...]:
        """What a cache consists of."""
        return self._runtime.layout

    def allocate_cache(self) -> Cache:
        """Tensors for one cache, on this renderer's device."""
        return {
            name: torch.zeros(shape, dtype=dtype, device=self.device)
            for name, shape, dtype, _ in self.cache_layout
        }

    def crossfade(self) -> Crossfade:
        """What one stream of warps starts from while its caches change."""
        return Crossfade(self.allocate_cache(), self._runtime)

    def refresh(self, state: FrameState, cache: Cache) -> None:
        """Render `state` in full and keep its features in `cache`, in place.

        Raises:
            HeadError: If the state does not fit the avatar's head.
        """
        self._runtime.refresh(state, cache)

    def full(self, state: FrameState) -> NDArray[np.uint8]:
        """Render `state` in full, (H, W, 3) RGB.

        Raises:
            HeadError: If the state does not fit the avatar's head.
        """
        return self._runtime.full(state)

    def warp(self, state: FrameState, cache: Cache) -> WarpedImage:
        """Make `state`'s frame from the cache of an older state.

        Raises:
            HeadError: If the state does not fit the avatar's head.
        """
        return self._runtime.warp(state, cache)

    def warm_up(self) -> None:
        """Render once each way, so that no later frame waits for compilation or first-time
        set-up."""
        m = self.manifest
        state = neutral_state(len(m.expression_names), m.eye_position, m.fov_y_rad)
        cache = self.allocate_cache()
        self.refresh(state, cache)
        self.warp(state, cache)
        self.full(state)


def _build_runtime(avatar: Avatar, device: torch.device, warp_threads: int) -> Runtime:
    if not isinstance(avatar.networks, TelewarpNetworks):
        return PaperRuntime(avatar, device)
    if device.type == "cpu":
        return TelewarpCpuRuntime(avatar, warp_threads)
    return TelewarpTorchRuntime(avatar, device)
