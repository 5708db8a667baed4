"""Training samples: the network inputs of frames and their ground truth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.networks.frame_batch import FrameBatch


class Truth(NamedTuple):
    """Ground truth of a batch."""

    rgb: Tensor
    """(B, 3, H, W) in 0..1, composited on the background."""
    mask: Tensor
    """(B, 1, H, W) coverage in 0..1."""
    background: Tensor
    """(B, 3, H, W) in 0..1."""


class Sample(NamedTuple):
    """A batch of frames with their ground truth."""

    frame: FrameBatch
    truth: Truth


class SamplePair(NamedTuple):
    """A batch of pairs."""

    cached: Sample
    """Older frames, whose caches are warped."""
    now: Sample
    """Newer frames, which the caches are warped to."""


def image_tensor(rgb: NDArray[np.uint8]) -> Tensor:
    """Convert an image (H, W, 3) u8 to a tensor (1, 3, H, W) float32 in 0..1."""
    return torch.from_numpy(rgb.astype(np.float32) / 255).permute(2, 0, 1)[None]


def collate(samples: Sequence[Sample]) -> Sample:
    """Concatenate samples along the batch dimension."""
    return Sample(
        FrameBatch.concatenate([s.frame for s in samples]),
        Truth(*(torch.cat(parts) for parts in zip(*(s.truth for s in samples), strict=True))),
    )


def move(sample: Sample, device: torch.device) -> Sample:
    """Copy a sample to a device."""
    frame, truth = sample
    return Sample(
        frame.to(device),
        type(truth)(*(part.to(device, non_blocking=True) for part in truth)),
    )
