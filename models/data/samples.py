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
    weight: Tensor | None = None
    """(B, 1, H, W) of each pixel in the loss, 0 or more; None counts every pixel once."""


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
    truths = [s.truth for s in samples]
    weights = [truth.weight for truth in truths if truth.weight is not None]
    assert len(weights) in (0, len(truths))  # a split has weights for all frames or for none
    return Sample(
        FrameBatch.concatenate([s.frame for s in samples]),
        Truth(
            torch.cat([truth.rgb for truth in truths]),
            torch.cat([truth.mask for truth in truths]),
            torch.cat([truth.background for truth in truths]),
            torch.cat(weights) if weights else None,
        ),
    )


def move(sample: Sample, device: torch.device) -> Sample:
    """Copy a sample to a device."""
    frame, truth = sample
    rgb, mask, background = (part.to(device, non_blocking=True) for part in truth[:3])
    weight = None if truth.weight is None else truth.weight.to(device, non_blocking=True)
    return Sample(frame.to(device), Truth(rgb, mask, background, weight))
