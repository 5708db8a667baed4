"""Footage whose frames are drawn: what networks see follows from a dataset's states and a head.

The same code that draws live frames draws these, so training and serving see the same inputs.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from models.contract.frame_state import FrameState
from models.data.samples import Sample, Truth, image_tensor
from models.geometry.gbuffer import Window, render_gbuffer
from models.geometry.head import Head
from models.networks.conditioning import compute_conditioning
from models.networks.frame_batch import frame_batch

Bytes = NDArray[np.uint8]


class Frames(Protocol):
    """States and pictures; `training.dataset.Sequences` is the real one."""

    background: Bytes
    """(H, W, 3)"""

    def __len__(self) -> int:
        """Number of frames."""

    def frame(self, index: int) -> tuple[FrameState, Bytes, Bytes]:
        """State, picture (H, W, 3) and coverage (H, W) of a frame."""

    def older(self, index: int, age: int) -> int:
        """The frame `age` before in the same sequence, or the sequence's first."""


class RenderedSplit:
    """A head's frames.

    Args:
        frames: What they look like.
        head: Whose surface is drawn as networks see it.
    """

    def __init__(self, frames: Frames, head: Head) -> None:
        self._frames, self._head = frames, head
        self.background = frames.background

    def __len__(self) -> int:
        return len(self._frames)

    def older(self, index: int, age: int) -> int:
        """The frame `age` before in the same sequence, or the sequence's first."""
        return self._frames.older(index, age)

    def take(self, index: int) -> RenderedFrame:
        """Read a frame."""
        return RenderedFrame(self._head, self.background, *self._frames.frame(index))


class RenderedFrame:
    """One frame; drawn when it is asked for.

    Args:
        head: The head.
        background: (H, W, 3).
        state: The frame's.
        rgb: (H, W, 3) its picture.
        mask: (H, W) its coverage.
    """

    def __init__(
        self, head: Head, background: Bytes, state: FrameState, rgb: Bytes, mask: Bytes
    ) -> None:
        self.mask = mask
        self._head, self._background, self._state, self._rgb = head, background, state, rgb

    def example(self, window: Window | None = None) -> Sample:
        """The frame (B = 1) or a window of it."""
        size = self.mask.shape[0]
        top, left, height, width = window or Window(0, 0, size, size)
        part = np.s_[top : top + height, left : left + width]
        buffers = render_gbuffer(self._head, self._state, size, window)
        frame = frame_batch(buffers, compute_conditioning(self._state), window)
        coverage = torch.from_numpy(self.mask[part].astype(np.float32) / 255)[None, None]
        rgb, background = (image_tensor(p[part]) for p in (self._rgb, self._background))
        return Sample(frame, Truth(rgb, coverage, background))
