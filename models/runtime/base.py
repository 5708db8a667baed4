"""What all runtimes share: a frame's inputs, precision, and the shape of a cache."""

from __future__ import annotations

import time
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.avatar.folder import Avatar
from models.contract.frame_state import FrameState
from models.contract.images import WarpedImage
from models.geometry.gbuffer import render_gbuffer
from models.networks.frame_batch import FrameBatch, frame_batch
from models.networks.telewarp import Foreground as Layers
from models.runtime.flame_conditioning import conditioning_function

Cache = dict[str, Tensor]
"""Tensors named and shaped as `Runtime.layout` says."""


class TensorSpec(NamedTuple):
    """One tensor of a cache."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    mixes: bool = True
    """Whether there is a mean of two caches' tensors, once they are of one frame."""


class Runtime(Protocol):
    """A kind of networks on a device. Used by one thread at a time."""

    layout: tuple[TensorSpec, ...]
    """What a cache consists of."""

    def refresh(self, state: FrameState, cache: Cache) -> None:
        """Render `state` in full and keep its features in `cache`."""

    def full(self, state: FrameState) -> NDArray[np.uint8]:
        """Render `state` in full, (H, W, 3)."""

    def warp(self, state: FrameState, cache: Cache) -> WarpedImage:
        """Make `state`'s frame from an older state's cache."""

    def align(self, cache: Cache, newer: Cache) -> None:
        """Change a cache as if it were of a newer one's frame, so that the two can be mixed."""


class Stage:
    """An avatar's head and background on a device, and how its frames get there.

    Args:
        avatar: The avatar.
        device: Where its networks run.
    """

    def __init__(self, avatar: Avatar, device: torch.device) -> None:
        self.head, self.device = avatar.head, device
        self.size = avatar.manifest.resolution
        self._describe = conditioning_function(avatar)
        self.background_rgb = avatar.background
        background = torch.from_numpy(avatar.background).permute(2, 0, 1)[None]
        self.background = background.to(device).float() / 255

    def frame(self, state: FrameState) -> FrameBatch:
        """Draw a state's inputs (B = 1)."""
        buffers = render_gbuffer(self.head, state, self.size)
        return frame_batch(buffers, self._describe(state)).to(self.device)

    def compose(self, layers: Layers) -> NDArray[np.uint8]:
        """Put the head on its background: (H, W, 3), rounded to 8 bits."""
        picture = layers.over(self.background)[0].clamp(0, 1) * 255 + 0.5
        return picture.byte().permute(1, 2, 0).contiguous().cpu().numpy()


def network_dtype(device: torch.device) -> torch.dtype:
    """The precision that convolutions run fastest in without a visible difference."""
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def milliseconds_since(started: float) -> float:
    """Elapsed time since `time.perf_counter()` said `started`."""
    return (time.perf_counter() - started) * 1000
