"""Render the network inputs of a dataset from its states and a head.

Live frames use the same code, so training and serving see the same inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.contract.frame_state import FrameState
from models.data.dataset import WEIGHT_UNIT
from models.data.samples import Sample, Truth, image_tensor
from models.geometry.gbuffer import Window, render_gbuffer
from models.geometry.head import Head
from models.networks.conditioning import compute_conditioning
from models.networks.frame_batch import frame_batch

Bytes = NDArray[np.uint8]


class Frames(Protocol):
    """Source of states and images; `SplitReader` implements it for datasets on disk."""

    background: Bytes
    """(H, W, 3) u8"""

    def __len__(self) -> int:
        """Number of frames."""

    def frame(self, index: int) -> tuple[FrameState, Bytes, Bytes]:
        """Return state, image (H, W, 3) u8 and coverage (H, W) u8 of a frame."""

    def older(self, index: int, age: int) -> int:
        """Return the index `age` frames before `index`, at least the first of its sequence."""


class RenderedSplit:
    """A split whose network inputs are rendered on demand.

    Args:
        frames: States and images.
        head: Head that the images show.
        weights: Reads the weights (H, W) u8 of a frame's pixels in the loss; None for equal ones.
    """

    def __init__(
        self, frames: Frames, head: Head, weights: Callable[[int], Bytes] | None = None
    ) -> None:
        self._frames, self._head, self._weights = frames, head, weights
        self.background = frames.background

    def __len__(self) -> int:
        return len(self._frames)

    def older(self, index: int, age: int) -> int:
        """Return the index `age` frames before `index`, at least the first of its sequence."""
        return self._frames.older(index, age)

    def frame(self, index: int) -> RenderedFrame:
        """Read a frame."""
        weight = None if self._weights is None else self._weights(index)
        return RenderedFrame(self._head, self.background, *self._frames.frame(index), weight)


class RenderedFrame:
    """One frame; `sample` renders its network inputs.

    Args:
        head: Head that the image shows.
        background: (H, W, 3) u8.
        state: State of the frame.
        rgb: (H, W, 3) image, u8.
        mask: (H, W) coverage, u8.
        weight: (H, W) weights in the loss, in units of 1/`WEIGHT_UNIT`, u8, or None.
    """

    def __init__(
        self,
        head: Head,
        background: Bytes,
        state: FrameState,
        rgb: Bytes,
        mask: Bytes,
        weight: Bytes | None = None,
    ) -> None:
        self.mask, self._weight = mask, weight
        self._head, self._background, self._state, self._rgb = head, background, state, rgb

    def sample(self, window: Window | None = None) -> Sample:
        """Render the whole frame, or a window of it, as a batch of one."""
        size = self.mask.shape[0]
        top, left, height, width = window or Window(0, 0, size, size)
        part = np.s_[top : top + height, left : left + width]
        # At the size of the whole image, of which the window is a crop: a crop's pixels are those
        # of the frame.
        buffers = render_gbuffer(self._head, self._state, size, window)
        frame = frame_batch(buffers, compute_conditioning(self._state), window)
        coverage = torch.from_numpy(self.mask[part].astype(np.float32) / 255)[None, None]
        rgb, background = (image_tensor(p[part]) for p in (self._rgb, self._background))
        return Sample(frame, Truth(rgb, coverage, background, self._weight_of(part)))

    def _weight_of(self, part: tuple[slice, slice]) -> Tensor | None:
        if self._weight is None:
            return None
        weight = self._weight[part].astype(np.float32) / WEIGHT_UNIT
        return torch.from_numpy(weight)[None, None]
