"""Training samples: what the networks see of a frame, and the ground truth they should produce."""

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
    """(B, 3, H, W) 0..1, on the background."""
    mask: Tensor
    """(B, 1, H, W) coverage, 0..1."""
    background: Tensor
    """(B, 3, H, W)"""


class Sample(NamedTuple):
    """A batch of frames with their pictures."""

    frame: FrameBatch
    truth: Truth


class SamplePair(NamedTuple):
    """A batch of pairs."""

    cached: Sample
    now: Sample


def image_tensor(rgb: NDArray[np.uint8]) -> Tensor:
    """(H, W, 3) uint8 to (1, 3, H, W) float 0..1."""
    return torch.from_numpy(rgb.astype(np.float32) / 255).permute(2, 0, 1)[None]


def collate(examples: Sequence[Sample]) -> Sample:
    """Stack examples along the batch."""
    return Sample(
        FrameBatch.concatenate([e.frame for e in examples]),
        Truth(*(torch.cat(parts) for parts in zip(*(e.truth for e in examples), strict=True))),
    )


def move(sample: Sample, device: torch.device) -> Sample:
    """The same example on a device."""
    frame, truth = sample
    return Sample(
        frame.to(device),
        type(truth)(*(part.to(device, non_blocking=True) for part in truth)),
    )
