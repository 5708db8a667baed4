"""Divides the usable frames of a video into training, validation and test sequences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SHORTEST_SEQUENCE = 12
"""Shorter runs of usable frames are left out: the warp learns from pairs of frames."""
TEST_FRAMES = 350
"""Greatest length of the test split: INSTA's and NeRFace's protocol takes the last 350 frames."""
_TEST_SHARE = 0.2
_VALIDATION_BLOCKS, _VALIDATION_FRAMES = 3, 14
"""Blocks of validation frames spread over the training part, and the length of each."""
_GAP = 4
"""Frames left out on both sides of a validation block: neighbours look the same."""

Sequences = list[list[int]]


def divide(usable: NDArray[np.bool_]) -> dict[str, Sequences]:
    """Return the sequences of frame numbers of each split.

    The test split is the end of the video, as others measure; validation frames lie in between.

    Args:
        usable: (N,) whether a frame can be used.
    """
    frames = np.nonzero(usable)[0]
    test_count = min(TEST_FRAMES, int(len(frames) * _TEST_SHARE))
    first_test = int(frames[-test_count]) if test_count else len(usable)
    validation = np.zeros(len(usable), bool)
    near = np.zeros(len(usable), bool)
    trained = frames[frames < first_test]
    for block in range(_VALIDATION_BLOCKS):
        at = int(trained[len(trained) * (2 * block + 1) // (2 * _VALIDATION_BLOCKS)])
        validation[at : min(at + _VALIDATION_FRAMES, first_test)] = True
        near[max(0, at - _GAP) : min(at + _VALIDATION_FRAMES + _GAP, first_test)] = True
    index = np.arange(len(usable))
    before = index < first_test
    return {
        "train": runs(usable & before & ~near),
        "val": runs(usable & before & validation),
        "test": runs(usable & ~before),
    }


def runs(chosen: NDArray[np.bool_]) -> Sequences:
    """Return the runs of consecutive chosen frames that are not too short."""
    frames = np.nonzero(chosen)[0]
    parts = np.split(frames, np.nonzero(np.diff(frames) > 1)[0] + 1)
    return [part.tolist() for part in parts if len(part) >= SHORTEST_SEQUENCE]
