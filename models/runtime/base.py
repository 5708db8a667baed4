"""Common parts of all runtimes: interface, cache layout, inputs of a frame, and composition."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from models.avatar.folder import Avatar
from models.contract.backdrop import Backdrop
from models.contract.frame_state import FrameState
from models.contract.images import STRIDE, RgbImage, WarpedImage, WarpedNv12
from models.geometry.gbuffer import render_gbuffer
from models.kernels.layers import extend_colours, layers_of, over_colour
from models.networks.frame_batch import FrameBatch, frame_batch
from models.networks.telewarp import Foreground
from models.runtime.flame_conditioning import conditioning_function

Cache = dict[str, Tensor]
"""The tensors of a cache by name, with names and shapes of `Runtime.layout`."""


class TensorSpec(NamedTuple):
    """One tensor of a cache."""

    name: str
    shape: tuple[int, ...]
    dtype: torch.dtype
    mixes: bool = True
    """Whether tensors of two caches of one frame can be interpolated; indices cannot."""


class Runtime(Protocol):
    """Renders one kind of networks on a device. Used by one thread at a time."""

    stage: Stage
    """Rasterizes and composes its frames."""
    mixes: bool
    """Whether `warp` takes a `MixedCache`."""
    largest_batch: int
    """Number of frames that one call of `warp_nv12_batch` renders faster than one by one."""

    @property
    def layout(self) -> tuple[TensorSpec, ...]:
        """The tensors of a cache."""

    def layout_at(self, size: int) -> tuple[TensorSpec, ...]:
        """Return the tensors of a cache of frames with `size` rows."""

    def refresh(self, state: FrameState, cache: Cache) -> None:
        """Render `state` in full and store its features in `cache`, in place."""

    def full(
        self, state: FrameState, size: int | None = None, backdrop: Backdrop | None = None
    ) -> RgbImage:
        """Render `state` in full, (H, W, 3), or (H, W, 4) over nothing; see `Stage.compose`.

        Args:
            state: What to render.
            size: Rows and columns; None for the avatar's resolution.
            backdrop: None for the avatar's background.
        """

    def warp(self, state: FrameState, cache: Cache) -> WarpedImage:
        """Warp an older state's cache to `state`."""

    def warp_nv12(
        self, state: FrameState, cache: Cache, backdrop: Backdrop | None = None
    ) -> WarpedNv12:
        """Warp an older state's cache to `state`, to NV12: what `warp` returns, converted.

        Over a backdrop: what `kernels.layers.finish` returns.
        """

    def warp_nv12_batch(self, frames: Sequence[tuple[FrameState, Cache]]) -> list[WarpedNv12]:
        """Warp 1 to `largest_batch` caches, of any viewers, to the states beside them."""

    def align(self, cache: Cache, newer: Cache) -> None:
        """Reproject `cache` in place to the frame of `newer`, so that both can be interpolated."""

    def resized(self, size: int) -> Runtime:
        """Return a runtime of the same networks whose caches and frames have `size` rows.

        Networks and textures are shared, so both must be used by the same thread.
        """


class Stage:
    """Rasterizes an avatar's frames for its networks, and composes their output.

    Args:
        avatar: The avatar.
        device: Where the networks run.
    """

    def __init__(self, avatar: Avatar, device: torch.device) -> None:
        self.head, self.device = avatar.head, device
        self.size = avatar.manifest.resolution
        self._compute_conditioning = conditioning_function(avatar)
        self.background_rgb = avatar.background
        background = torch.from_numpy(avatar.background).permute(2, 0, 1)[None]
        self.background = background.to(device).float() / 255
        self._other_size: Stage | None = None

    def at(self, size: int | None) -> Stage:
        """Return a stage of the same avatar whose frames have `size` rows, a multiple of 32.

        The newest other size is kept, so that calls of one size in a row prepare it once.
        """
        if size is None or size == self.size:
            return self
        if self._other_size is None or self._other_size.size != size:
            self._other_size = self.resized(size)
        return self._other_size

    def resized(self, size: int) -> Stage:
        """Return a stage of the same avatar whose frames have `size` rows, a multiple of 32."""
        assert size % STRIDE == 0, f"expected a multiple of {STRIDE}, got {size}"
        other = copy.copy(self)
        # Without the other size of this one: a stage would hold a chain of all sizes before.
        other.size, other._other_size = size, None
        other.background = F.interpolate(
            self.background, (size, size), mode="bicubic", align_corners=False, antialias=True
        ).clamp(0, 1)
        other.background_rgb = other.rounded(other.background)
        return other

    def frame(self, state: FrameState) -> FrameBatch:
        """Rasterize a state into a batch of one frame.

        Raises:
            HeadError: If the state does not fit the avatar's head.
        """
        buffers = render_gbuffer(self.head, state, self.size)
        return frame_batch(buffers, self._compute_conditioning(state)).to(self.device)

    def compose(self, foreground: Foreground, backdrop: Backdrop | None = None) -> RgbImage:
        """Composite the head over a background, rounded to 8 bits.

        Args:
            foreground: The head.
            backdrop: None for the avatar's background.

        Returns:
            (H, W, 3); over nothing (H, W, 4): continued colours, not multiplied, and coverage.
        """
        if backdrop is None:
            return self.rounded(foreground.over(self.background).clamp(0, 1))
        layers = self.layers(foreground)
        if backdrop.colour is not None:
            return over_colour(layers, backdrop.colour).numpy()
        return torch.dstack([extend_colours(layers), layers[..., 3]]).numpy()

    @staticmethod
    def layers(foreground: Foreground) -> Tensor:
        """Return the layers (H, W, 4) uint8 of a head, see `kernels.layers`, on the CPU."""
        mask = torch.sigmoid(foreground.mask_logit)
        return layers_of(foreground.rgb[0].permute(1, 2, 0), mask[0, 0]).cpu()

    @staticmethod
    def rounded(image: Tensor) -> RgbImage:
        """Return an image (1, 3, H, W) in 0..1 as 8 bits (H, W, 3)."""
        # byte() truncates, + 0.5 makes it round.
        return (image[0] * 255 + 0.5).byte().permute(1, 2, 0).contiguous().cpu().numpy()


def network_dtype(device: torch.device) -> torch.dtype:
    """Return the fastest precision for convolutions on a device without a visible difference."""
    # Without instructions for bfloat16 the alternatives are faster.
    if device.type == "cuda":
        # `torch.cuda.is_bf16_supported` is also true where bfloat16 is emulated (before Ampere).
        ampere = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if ampere else torch.float16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32
